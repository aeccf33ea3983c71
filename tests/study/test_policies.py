"""Design, budget and seed policies: defaults, bounds, and types that are not guessed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from penstock.errors import ValidationError
from penstock.study.policies import DesignKind, DesignSpec, RunBudget, SeedPolicy


def test_what_is_left_out_has_the_contracts_defaults() -> None:
    design, budget, seeds = DesignSpec(), RunBudget(), SeedPolicy()
    assert design.kind is DesignKind.FULL_FACTORIAL
    assert (design.replicates, design.randomize, design.counterbalance) == (1, False, False)
    assert (budget.replicates, budget.max_runs, budget.parallelism, budget.fail_fast) == (
        1,
        None,
        1,
        False,
    )
    assert (seeds.base_seed, seeds.strategy.value, seeds.per_run_offset) == (
        0,
        "condition_replicate",
        9973,
    )


def test_the_short_name_of_a_design_means_the_long_one() -> None:
    assert DesignSpec(kind="full").kind is DesignKind.FULL_FACTORIAL


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (DesignSpec, {"kind": "fulll"}, "Unsupported design kind: 'fulll'"),
        (DesignSpec, {"kind": ["full"]}, "Unsupported design kind: ['full']"),
        (DesignSpec, {"replicates": 0}, "DesignSpec.replicates must be >= 1."),
        (DesignSpec, {"n_samples": 0}, "DesignSpec.n_samples must be >= 1 when provided."),
        (DesignSpec, {"center_points": -1}, "DesignSpec.center_points must be >= 0."),
        (DesignSpec, {"randomize": "false"}, "must be true or false"),
        (RunBudget, {"replicates": 0}, "RunBudget.replicates must be >= 1."),
        (RunBudget, {"parallelism": 0}, "RunBudget.parallelism must be >= 1."),
        (RunBudget, {"max_runs": 0}, "RunBudget.max_runs must be >= 1 when provided."),
        (RunBudget, {"parallelism": "two"}, "a whole number, or 'auto' (got 'two')"),
        (RunBudget, {"parallelism": 2.0}, "a whole number, or 'auto' (got 2.0)"),
        (RunBudget, {"parallelism": True}, "a whole number, or 'auto' (got True)"),
        (RunBudget, {"replicates": True}, "must be a whole number"),
        (RunBudget, {"replicates": "3"}, "must be a whole number"),
        (RunBudget, {"replicates": 3.0}, "must be a whole number"),
        (SeedPolicy, {"strategy": "nonsense"}, "must be 'condition_replicate'"),
        (SeedPolicy, {"base_seed": 1.5}, "must be a whole number"),
    ],
)
def test_each_rule_has_its_sentence(
    kind: type[BaseModel], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        kind(**fields)

    assert message in str(caught.value)


def test_as_many_runs_as_agents_keep_up_with_are_written_as_auto() -> None:
    assert RunBudget(parallelism="auto").model_dump()["parallelism"] == "auto"

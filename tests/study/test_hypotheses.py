"""Hypotheses, outcomes and analysis plans: the contract's fields, defaults and rules."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from penstock.errors import ValidationError
from penstock.study.hypotheses import (
    AnalysisPlan,
    Contrast,
    Hypothesis,
    HypothesisDirection,
    HypothesisKind,
    Outcome,
)

HYPOTHESIS = {"hypothesis_id": "h", "label": "l", "statement": "s"}
OUTCOME = {"name": "o", "source_table": "t", "column": "c", "aggregation": "mean"}
PLAN: dict[str, Any] = {"analysis_plan_id": "a", "hypothesis_ids": ["h"], "tests": ["t"]}


def test_what_is_left_out_has_the_contracts_defaults() -> None:
    hypothesis, outcome = Hypothesis(**HYPOTHESIS), Outcome(**OUTCOME)
    assert hypothesis.kind is HypothesisKind.EFFECT
    assert hypothesis.direction is HypothesisDirection.DIFFERENT
    assert (outcome.expected_type, outcome.missing_data_policy, outcome.primary) == (
        "float",
        "drop",
        False,
    )
    assert Contrast(label="c", left="a", right="b").operation == "difference"


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        *(
            (Hypothesis, HYPOTHESIS | {name: " "}, f"Hypothesis.{name} must be non-empty.")
            for name in HYPOTHESIS
        ),
        *(
            (Outcome, OUTCOME | {name: ""}, f"Outcome.{name} must be non-empty.")
            for name in ("name", "source_table", "column")
        ),
        (
            AnalysisPlan,
            PLAN | {"analysis_plan_id": ""},
            "AnalysisPlan.analysis_plan_id must be non-empty.",
        ),
        (
            AnalysisPlan,
            PLAN | {"hypothesis_ids": []},
            "AnalysisPlan.hypothesis_ids must contain at least one hypothesis ID.",
        ),
        (
            AnalysisPlan,
            PLAN | {"tests": []},
            "AnalysisPlan.tests must contain at least one test family.",
        ),
        (Hypothesis, HYPOTHESIS | {"kind": "hunch"}, "must be 'effect'"),
        (Hypothesis, HYPOTHESIS | {"minimum_effect_of_interest": "much"}, "must be a number"),
        (
            Hypothesis,
            HYPOTHESIS | {"independent_vars": "mode"},
            "independent_vars: must be a list",
        ),
        (Outcome, OUTCOME | {"primary": "true"}, "must be true or false"),
    ],
)
def test_each_rule_has_its_sentence(
    kind: type[BaseModel], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        kind(**fields)

    assert message in str(caught.value)


@pytest.mark.parametrize(("given", "number"), [(1, 1.0), (0.2, 0.2), ("1e-3", 0.001)])
def test_the_smallest_effect_of_interest_is_a_number(given: Any, number: float) -> None:
    hypothesis = Hypothesis(**HYPOTHESIS, minimum_effect_of_interest=given)
    assert hypothesis.minimum_effect_of_interest == number


def test_a_policy_that_is_not_named_is_another_than_a_written_none() -> None:
    unsaid, written = AnalysisPlan(**PLAN), AnalysisPlan(**PLAN, multiple_comparison_policy="none")

    assert (unsaid.multiple_comparison_policy, unsaid.adjustment) == (None, None)
    assert written.adjustment == "none"


@pytest.mark.parametrize(
    ("named", "meant"),
    [("Holm", "holm"), ("Benjamini-Hochberg", "fdr_bh"), ("Dunnett", "dunnett"), ("sidak", None)],
)
def test_a_policy_may_be_called_by_another_name(named: str, meant: str | None) -> None:
    assert AnalysisPlan(**PLAN, multiple_comparison_policy=named).adjustment == meant

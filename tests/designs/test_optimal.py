"""D-optimal designs estimate a model better than designs drawn at random."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest

import penstock as ps
from penstock.designs import d_efficiency
from penstock.designs.optimal import model_matrix
from penstock.errors import ValidationError
from penstock.study.policies import DesignSpec
from tests.designs.studies import rows_of, study_of

FACTORS: dict[str, list[Any]] = {"a": [0, 1, 2], "b": ["x", "y", "z"], "c": [0, 1], "d": [1, 2, 4]}


def _log_determinant(study: ps.Study, rows: list[dict[str, Any]], model: str) -> float:
    matrix = model_matrix(study, rows, model)
    sign, value = np.linalg.slogdet(matrix.T @ matrix)
    return float(value) if sign > 0 else -np.inf


@pytest.mark.parametrize(
    ("model", "n_samples"), [("main_effects", 9), ("interactions", 30), ("quadratic", 20)]
)
def test_a_d_optimal_design_beats_the_best_of_many_random_ones(model: str, n_samples: int) -> None:
    study = study_of(FACTORS)
    rows = rows_of(study, kind="d_optimal", n_samples=n_samples, options={"model": model})
    everything = [
        dict(zip(FACTORS, values, strict=True)) for values in itertools.product(*FACTORS.values())
    ]
    rng = random.Random(1)
    best = max(
        _log_determinant(study, rng.sample(everything, n_samples), model) for _ in range(300)
    )

    assert len(rows) == n_samples
    assert _log_determinant(study, rows, model) > best


def test_where_an_orthogonal_fraction_exists_it_is_found() -> None:
    study = study_of({name: [0, 1] for name in "abcdefg"})
    rows = rows_of(study, kind="d_optimal", n_samples=8, options={"starts": 20})

    assert d_efficiency(study, rows) == pytest.approx(1.0)


def test_only_admissible_combinations_are_chosen_in_every_block() -> None:
    study = study_of(
        {"a": [0, 1, 2], "b": [0, 1, 2]},
        blocks={"cohort": ["n", "e"]},
        constraints=[
            {"constraint_id": "c", "description": "d", "expression": "a != b or cohort == 'n'"}
        ],
    )
    conditions = ps.build_design(study, DesignSpec(kind="d_optimal", n_samples=6))

    assert all(condition.admissible for condition in conditions)
    assert all(condition["a"] != condition["b"] for condition in conditions)
    assert sum(condition.replicates for condition in conditions) == 12


def test_a_combination_chosen_twice_is_one_condition_with_replicates() -> None:
    study = study_of({"a": [0, 1], "b": [0, 1]})
    conditions = ps.build_design(study, DesignSpec(kind="d_optimal", n_samples=8, replicates=3))

    assert [c.replicates for c in conditions] == [6, 6, 6, 6]


def test_rows_may_be_listed_in_another_order() -> None:
    study = study_of(FACTORS)
    plain = rows_of(study, kind="d_optimal", n_samples=12)

    for order in ({"randomize": True}, {"counterbalance": True}):
        made = rows_of(study, kind="d_optimal", n_samples=12, **order)
        assert made != plain
        assert sorted(map(str, made)) == sorted(map(str, plain))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "D-optimal designs require DesignSpec.n_samples"),
        ({"n_samples": 3}, "has 8 parameters; a D-optimal design needs as many n_samples"),
        (
            {"n_samples": 9, "options": {"model": "cubic", "starts": 0}},
            "interactions, quadratic (not 'cubic')\nD-optimal starts must be a whole number from 1",
        ),
    ],
)
def test_a_model_that_cannot_be_is_an_error(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ps.build_design(study_of(FACTORS), DesignSpec(kind="d_optimal", **spec))

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("factors", "rule", "said"),
    [
        ({"a": [0, 1], "b": [0, 1]}, "a == b", "cannot be estimated from the 2 combinations"),
        ({"a": [0, 1], "b": [0, 1]}, "a == 5", "No combination of levels is admissible"),
        ({name: list(range(10)) for name in "abcde"}, "a == 0", "there are 100,000"),
    ],
)
def test_candidates_that_cannot_carry_the_model_are_an_error(
    factors: dict[str, list[int]], rule: str, said: str
) -> None:
    constraints = [{"constraint_id": "c", "description": "d", "expression": rule}]
    study = study_of(factors, constraints=constraints)

    with pytest.raises(ValidationError, match=said):
        ps.build_design(study, DesignSpec(kind="d_optimal", n_samples=60))

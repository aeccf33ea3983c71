"""A design says what it was told and cannot do, with the likely meant name."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.designs.design_options import spec_errors
from penstock.study.policies import DesignSpec
from tests.designs.studies import study_of


def _errors(**spec: Any) -> list[str]:
    study = study_of({"a": [0, 1], "b": ["x", "y"]}, blocks={"cohort": ["n", "e"]})
    return list(spec_errors(study, DesignSpec(**spec)))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"kind": "lhs", "options": {"bound": {}}}, "no option 'bound'; did you mean 'bounds'?"),
        ({"kind": "frac2", "options": {"resolutoin": 4}}, "did you mean 'resolution'?"),
        ({"kind": "full", "options": {"replicates": 2}}, "belongs beside `options`"),
        ({"kind": "full", "options": {"bounds": {}}}, "is an option of latin_hypercube, sobol"),
        ({"kind": "full", "options": {"zzz": 1}}, "its options: none."),
        ({"kind": "lhs", "options": {"zzz": 1}}, "its options: backend, bounds, n_samples"),
        ({"kind": "full", "n_samples": 3}, "DesignSpec.n_samples has no meaning for full"),
        ({"kind": "lhs", "matrix_path": "m.csv"}, "it belongs to custom_matrix."),
        ({"kind": "latin_square", "center_points": 1}, "center_points has no meaning for latin"),
        (
            {"kind": "repeated_measures", "center_points": 1, "options": {"subject_factor": "a"}},
            "center_points has no meaning for repeated_measures",
        ),
        (
            {"kind": "sobol", "options": {"scramble": "false"}},
            "scramble must be true or false (not 'false')",
        ),
        ({"block_randomization_key": "cohort"}, "set `randomize: true`"),
        (
            {"randomize": True, "block_randomization_key": "chort"},
            "Block column 'chort' not present in all design rows; did you mean 'cohort'?",
        ),
        (
            {"kind": "randomized_block", "block_randomization_key": "zzz"},
            "Block column 'zzz' not present in all design rows.",
        ),
        (
            {
                "kind": "repeated_measures",
                "randomize": True,
                "block_randomization_key": "cohort",
                "options": {"subject_factor": "a"},
            },
            "has no meaning with `subject_factor`",
        ),
    ],
)
def test_what_a_kind_cannot_do_is_an_error_that_says_what_to_do(
    spec: dict[str, Any], said: str
) -> None:
    (error,) = _errors(**spec)

    assert said in error


def test_center_points_without_a_numeric_factor_are_an_error() -> None:
    study = study_of({"b": ["x", "y"]})

    (error,) = spec_errors(study, DesignSpec(center_points=1))
    assert "needs a factor whose levels are numbers" in error


def test_nothing_is_said_of_what_a_kind_does() -> None:
    assert _errors(center_points=2, replicates=2, randomize=True, counterbalance=True) == []
    assert _errors(kind="randomized_block", block_randomization_key="cohort") == []
    assert _errors(kind="sobol", n_samples=4, options={"bounds": {}, "scramble": False}) == []

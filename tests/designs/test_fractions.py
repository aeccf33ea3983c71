"""Fractions: resolutions by brute force, orthogonality, and clear main effects."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import penstock as ps
from penstock.designs import fractional_factorial_2level, plackett_burman
from penstock.errors import ValidationError
from penstock.study.policies import DesignSpec
from tests.designs.studies import rows_of, study_of

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ROMAN = {3: "III", 4: "IV", 5: "V", 6: "VI"}
RUNS = {
    (5, 4): 16, (5, 5): 16, (6, 4): 16, (6, 5): 32, (6, 6): 32, (7, 3): 8, (7, 4): 16,
    (7, 5): 64, (8, 3): 16, (8, 4): 16, (8, 5): 64, (9, 3): 16, (9, 4): 32, (9, 5): 128,
    (10, 4): 32, (11, 3): 16, (11, 5): 128, (12, 4): 32, (13, 3): 16, (15, 3): 16,
    (15, 4): 32, (15, 5): 256,
}  # fmt: skip


def _names(count: int) -> list[str]:
    return list(LETTERS[:count])


def _matrix(rows: list[dict[str, Any]]) -> Any:
    return np.array([list(row.values()) for row in rows], dtype=float)


def _brute_force_resolution(rows: list[dict[str, float]], most: int) -> int:
    """Find the shortest product of columns that is constant, trying every product."""
    matrix = _matrix(rows)
    for length in range(1, most + 1):
        for word in itertools.combinations(range(matrix.shape[1]), length):
            if abs(matrix[:, word].prod(axis=1).sum()) == len(matrix):
                return length

    return most + 1


@pytest.mark.parametrize(("factors", "resolution"), RUNS)
def test_a_fraction_has_the_resolution_asked_for_in_the_fewest_runs(
    factors: int, resolution: int
) -> None:
    rows = fractional_factorial_2level(_names(factors), resolution=ROMAN[resolution])

    assert len(rows) == RUNS[factors, resolution]
    assert _brute_force_resolution(rows, resolution) >= resolution
    assert rows == fractional_factorial_2level(_names(factors), resolution=resolution)


@pytest.mark.parametrize("factors", range(2, 7))
def test_the_templates_have_resolution_three_at_least(factors: int) -> None:
    rows = fractional_factorial_2level(_names(factors))

    assert len(rows) == 2 ** min(factors, 3)
    assert _brute_force_resolution(rows, 3) >= 3


def test_a_backend_gives_the_fewest_runs_in_place_of_a_template() -> None:
    assert len(fractional_factorial_2level(_names(3), backend="pydoe")) == 4
    assert len(fractional_factorial_2level(_names(3), backend="pydoe3")) == 4


def test_generators_make_the_fraction_they_say() -> None:
    generators = {"d": ["a", "b"], "e": ["a", "b", "c"]}
    rows = fractional_factorial_2level(_names(5), generators=generators)

    assert len(rows) == 8
    assert all(row["d"] == row["a"] * row["b"] for row in rows)
    assert all(row["e"] == math.prod(row[name] for name in "abc") for row in rows)


@pytest.mark.parametrize("factors", [*range(2, 24), 25, 30, 33, 41])
def test_plackett_burman_columns_are_balanced_and_orthogonal(factors: int) -> None:
    matrix = _matrix(plackett_burman([f"x{i}" for i in range(factors)]))
    with_mean = np.column_stack([np.ones(len(matrix)), matrix])

    assert matrix.shape[1] == factors
    assert len(matrix) % 4 == 0
    assert len(matrix) > factors
    assert (with_mean.T @ with_mean == len(matrix) * np.eye(factors + 1)).all()


def test_a_plackett_burman_study_takes_the_levels_of_its_factors() -> None:
    study = study_of({name: [f"{name}-", f"{name}+"] for name in _names(11)})
    rows = rows_of(study, kind="plackett_burman", replicates=2)

    assert len(rows) == 24
    assert {row["a"] for row in rows} == {"a-", "a+"}


@pytest.mark.parametrize("factors", range(3, 13))
def test_definitive_screening_keeps_main_effects_clear_of_second_order_ones(factors: int) -> None:
    study = study_of({name: [-1, 0, 1] for name in _names(factors)})
    matrix = _matrix(rows_of(study, kind="definitive_screening"))
    pairs = itertools.combinations_with_replacement(range(factors), 2)
    second_order = np.column_stack([matrix[:, i] * matrix[:, j] for i, j in pairs])
    gram = matrix.T @ matrix

    assert len(matrix) == 2 * (factors + factors % 2) + 1
    assert (gram == np.diag(np.diag(gram))).all()
    assert (matrix.T @ second_order == 0).all()


def test_definitive_screening_takes_middles_and_names() -> None:
    study = study_of({"a": [0, 10], "n": ["u", "v"], "b": ["x", "y", "z"], "c": [1, 2, 5]})
    rows = rows_of(study, kind="definitive_screening")

    assert {row["a"] for row in rows} == {0, 5.0, 10}
    assert {row["n"] for row in rows} == {"u", "v"}
    assert {row["b"] for row in rows} == {"x", "y", "z"}
    assert {row["c"] for row in rows} == {1, 2, 5}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"factors": ["a"]}, "At least two factors are required for a factorial design."),
        ({"resolution": "XX"}, "resolution must be one of: 'III', 'IV'"),
        ({"resolution": 2}, "resolution must be one of"),
        ({"resolution": True}, "resolution must be one of"),
        ({"resolution": None}, "resolution must be one of"),
        ({"backend": "zzz"}, "fractional_factorial_2level backend must be one of: stdlib, pydoe3"),
        ({"generators": {"z": ["a", "b"]}}, "names 'z', which is not a factor"),
        ({"generators": {"c": ["a"]}}, "must be a list of two or more"),
        ({"generators": {"c": ["a", "a"]}}, "must be a list of two or more"),
        ({"generators": {"c": "ab"}}, "must be a list of two or more"),
    ],
)
def test_a_fraction_that_is_none_is_an_error(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        fractional_factorial_2level(**{"factors": ["a", "b", "c"], **arguments})

    assert said in str(caught.value)


def test_too_many_factors_for_any_fraction_are_an_error() -> None:
    with pytest.raises(ValidationError, match="no fraction of 40 factors at resolution 9"):
        fractional_factorial_2level([f"x{i}" for i in range(40)], resolution="IX")


def test_a_wrong_fraction_from_the_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pydoe = pytest.importorskip("pydoe")
    wrong = pydoe.fracfact("a b c ab")
    monkeypatch.setattr(pydoe, "fracfact_by_res", lambda *_: wrong)

    with pytest.raises(ValidationError, match="resolution 3 where 4 was asked for"):
        fractional_factorial_2level(["a", "b", "c", "d"], resolution="IV")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("frac2", "Fractional 2-level study designs require exactly two levels per factor."),
        ("plackett_burman", "Plackett-Burman study designs require exactly two levels"),
        ("definitive_screening", "Definitive screening study designs require two or three levels"),
    ],
)
def test_every_factor_with_a_wrong_number_of_levels_is_named(kind: str, said: str) -> None:
    study = study_of({"a": [1], "b": [0, 1], "c": [0, 1, 2, 3]})

    with pytest.raises(ValidationError) as caught:
        ps.build_design(study, DesignSpec(kind=kind))

    assert [error.startswith(said) for error in caught.value.errors] == [True, True]
    assert "Factor 'a' has 1 levels." in caught.value.errors[0]
    assert "Factor 'c' has 4 levels." in caught.value.errors[1]


@pytest.mark.parametrize("kind", ["plackett_burman", "definitive_screening"])
def test_a_screening_design_of_no_factors_is_an_error(kind: str) -> None:
    with pytest.raises(ValidationError, match="needs at least"):
        ps.build_design(study_of({}), DesignSpec(kind=kind))


@pytest.mark.field("studies-C2")
@pytest.mark.parametrize("generators", ["a b ab", ["d", "abc"], 3])
def test_generators_of_another_form_are_refused_with_the_form(generators: Any) -> None:
    spec = DesignSpec(kind="frac2", options={"generators": generators})
    with pytest.raises(ValidationError, match=r"must map each .* as \{d: \[a, b, c\]\}; it is"):
        ps.build_design(study_of({name: [0, 1] for name in "abcd"}), spec)


@pytest.mark.field("engine-G11")
@pytest.mark.parametrize(
    "spec", [{"kind": "frac2"}, {"kind": "plackett_burman"}, {"kind": "definitive_screening"}]
)
def test_a_study_with_centre_points_among_named_levels_is_refused(spec: dict[str, Any]) -> None:
    named = {"a": ["lo", "hi"], "b": ["p", "q"], "c": ["u", "v"]}
    (error,) = ps.validate_study(study_of(named, design_spec={**spec, "center_points": 2}))
    assert "center_points needs a factor whose levels are numbers" in error

    with_number = study_of(named | {"c": [0, 1]}, design_spec={**spec, "center_points": 2})
    assert ps.validate_study(with_number) == []

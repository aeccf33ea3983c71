"""Space-filling designs: every slice of every range holds its share of the points."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.designs import latin_hypercube
from penstock.errors import ValidationError
from penstock.study.policies import DesignSpec
from tests.designs.studies import rows_of, study_of

XYZ = {"x": (0.0, 1.0), "y": (10.0, 20.0), "z": (-5.0, 5.0)}


def _slices(rows: list[dict[str, float]], name: str, count: int) -> list[int]:
    low, high = XYZ[name]
    return [int((row[name] - low) / (high - low) * count) for row in rows]


@given(st.integers(1, 40), st.integers(-10, 10))
@settings(max_examples=40)
def test_each_slice_of_each_range_holds_one_point(n_samples: int, seed: int) -> None:
    rows = latin_hypercube(n_samples, XYZ, seed=seed)

    for name in XYZ:
        assert sorted(_slices(rows, name, n_samples)) == list(range(n_samples))


@pytest.mark.parametrize("backend", ["scipy", "qmc"])
@pytest.mark.parametrize("optimization", [None, "random-cd", "lloyd"])
def test_scipy_stratifies_too_and_is_the_same_for_the_same_seed(
    backend: str, optimization: str | None
) -> None:
    made = [
        latin_hypercube(8, XYZ, seed=-4, backend=backend, optimization=optimization)
        for _ in range(2)
    ]

    assert made[0] == made[1]
    for name, (low, high) in XYZ.items():
        assert all(low <= row[name] <= high for row in made[0])
        if optimization != "lloyd":
            assert sorted(_slices(made[0], name, 8)) == list(range(8))


def test_optimisation_lowers_the_discrepancy() -> None:
    qmc = pytest.importorskip("scipy.stats.qmc")
    unit = {"x": (0.0, 1.0), "y": (0.0, 1.0)}

    def discrepancy(**options: Any) -> float:
        rows = latin_hypercube(20, unit, seed=3, backend="scipy", **options)
        return float(qmc.discrepancy([list(row.values()) for row in rows]))

    assert discrepancy(optimization="random-cd") < discrepancy()


def test_strength_two_stratifies_pairs_of_factors() -> None:
    rows = latin_hypercube(25, XYZ, seed=1, strength=2)

    for one, two in itertools.combinations(XYZ, 2):
        cells = zip(_slices(rows, one, 5), _slices(rows, two, 5), strict=True)
        assert set(Counter(cells).values()) == {1}


def test_sobol_points_are_balanced_in_every_elementary_interval() -> None:
    rows = rows_of(study_of(XYZ), kind="sobol", n_samples=64)

    assert len(rows) == 64
    for name in XYZ:
        assert sorted(_slices(rows, name, 64)) == list(range(64))

    for name_of_8, name_of_2 in itertools.permutations(XYZ, 2):
        cells = zip(_slices(rows, name_of_8, 8), _slices(rows, name_of_2, 2), strict=True)
        assert set(Counter(cells).values()) == {4}


def test_a_sobol_sequence_without_scrambling_starts_at_the_lowest_corner() -> None:
    first, *_ = rows_of(study_of(XYZ), kind="sobol", n_samples=4, options={"scramble": False})

    assert first == {"x": 0.0, "y": 10.0, "z": -5.0}


def test_another_seed_scrambles_otherwise() -> None:
    made = [rows_of(study_of(XYZ, seed=s), kind="sobol", n_samples=4) for s in (1, 1, 2)]

    assert made[0] == made[1] != made[2]


def test_bounds_take_the_place_of_levels() -> None:
    study = study_of({"x": ["low", "high"], "y": [0, 5, 1]})
    rows = rows_of(study, kind="lhs", n_samples=9, options={"bounds": {"x": [100, 200]}})

    assert all(100 <= row["x"] <= 200 for row in rows)
    assert all(0 <= row["y"] <= 5 for row in rows)


def test_each_block_may_have_an_order_of_its_own() -> None:
    study = study_of({"x": [0, 1]}, blocks={"cohort": ["n", "e"]})
    spec = DesignSpec(
        kind="lhs", n_samples=8, randomize=True, block_randomization_key="cohort", replicates=2
    )
    conditions = ps.build_design(study, spec)

    orders = {
        cohort: [c["x"] for c in conditions if c["cohort"] == cohort] for cohort in ("n", "e")
    }
    assert [c["cohort"] for c in conditions] == ["n"] * 8 + ["e"] * 8
    assert orders["n"] != orders["e"]
    assert sorted(orders["n"]) == sorted(orders["e"])


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"kind": "lhs"}, "Latin-hypercube designs require DesignSpec.n_samples or options"),
        ({"kind": "lhs", "options": {"n_samples": 0}}, "n_samples must be positive."),
        ({"kind": "lhs", "options": {"n_samples": True}}, "n_samples must be positive."),
        ({"kind": "sobol", "n_samples": 6}, "powers of two: n_samples 4 or 8."),
        (
            {"kind": "lhs", "n_samples": 2, "options": {"bounds": [0, 1]}},
            "options['bounds'] must be a mapping of factor to [low, high].",
        ),
        (
            {"kind": "lhs", "n_samples": 2, "options": {"bounds": {"x": 3}}},
            "options['bounds'] must be a mapping of factor to [low, high]. 'x' has 3.",
        ),
        (
            {"kind": "lhs", "n_samples": 2, "options": {"bounds": {"x": [1, 1]}}},
            "Factor 'x' bounds must satisfy high > low.",
        ),
        (
            {"kind": "lhs", "n_samples": 2, "options": {"bounds": {"xx": [0, 1]}}},
            "options['bounds'] names 'xx', which is not a factor; did you mean 'x'?",
        ),
        (
            {"kind": "lhs", "n_samples": 2, "options": {"backend": "numpy"}},
            "latin_hypercube backend must be one of: stdlib, scipy, qmc",
        ),
        (
            {"kind": "lhs", "n_samples": 2, "options": {"optimization": "best", "strength": 3}},
            "optimization must be one of: random-cd, lloyd (not 'best')\nlatin_hypercube strength",
        ),
        (
            {"kind": "lhs", "n_samples": 5, "options": {"strength": 2}},
            "Latin hypercube of 5 samples:",
        ),
    ],
)
def test_a_sample_that_does_not_exist_is_an_error(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ps.build_design(study_of({"x": [0, 1], "y": [0, 1]}), DesignSpec(**spec))

    assert said in str(caught.value)


@pytest.mark.parametrize("levels", [["a", "b"], [1], [True, False]])
def test_a_factor_without_a_range_is_an_error_that_names_it(levels: list[Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        ps.build_design(study_of({"x": levels}), DesignSpec(kind="lhs", n_samples=2))

    assert "must be numeric and provide at least two levels, or set" in str(caught.value)
    assert "Problem factor: 'x'." in str(caught.value)


def test_a_sample_of_no_factors_is_an_error() -> None:
    with pytest.raises(ValidationError, match="needs at least one factor"):
        ps.build_design(study_of({}), DesignSpec(kind="lhs", n_samples=2))


@pytest.mark.field("engine-G14")
@pytest.mark.parametrize("samples", [5, 7, 10, 49, 100])
def test_points_that_were_evened_out_are_a_latin_hypercube_still(samples: int) -> None:
    rows = latin_hypercube(samples, XYZ, seed=3, backend="scipy", optimization="lloyd")

    for name in XYZ:
        assert sorted(_slices(rows, name, samples)) == list(range(samples))


@pytest.mark.field("engine-G14")
@pytest.mark.parametrize(("factors", "samples"), [("x", 10), ("xy", 2), ("xyz", 4)])
def test_points_that_cannot_be_evened_out_are_refused_in_a_sentence(
    factors: str, samples: int
) -> None:
    ranges = {name: XYZ[name] for name in factors}
    with pytest.raises(ValidationError, match="'lloyd' evens out distances between neighbours"):
        latin_hypercube(samples, ranges, backend="scipy", optimization="lloyd")

"""Designs without a study: what `generate_doe` and its helpers take, give and refuse."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from penstock.compat import (
    append_center_points,
    balanced_randomization_schedule,
    design_balance_report,
    full_factorial,
    generate_doe,
    randomize_runs,
)
from penstock.errors import ValidationError


@pytest.mark.parametrize("short", ["full", "full_factorial"])
def test_a_design_may_be_named_in_short_and_in_full(short: str) -> None:
    made = generate_doe(kind=short, factors={"a": [0, 1], "b": [2, 3]}, randomize=False)

    assert made["summary"]["design_kind"] == "full_factorial"
    assert made["design"] == full_factorial({"a": [0, 1], "b": [2, 3]})
    assert made["warnings"] == []


def test_replicates_repeat_the_design_and_center_points_do_not_repeat() -> None:
    made = generate_doe(
        kind="full", factors={"a": [0, 1], "b": [2, 3]}, replicates=2, center_points=2
    )

    assert made["summary"]["n_runs"] == 10
    assert Counter(row["a"] for row in made["design"])[0.5] == 2


def test_of_no_factors_there_are_no_rows() -> None:
    assert full_factorial({}) == []


def test_an_unbalanced_factor_is_warned_of() -> None:
    made = generate_doe(kind="full", factors={"v": [0, 0, 0, 1]}, randomize=False)

    assert made["warnings"] == ["Factor 'v' appears imbalanced (max/min ratio > 2)."]


def test_groups_are_shuffled_each_in_an_order_of_its_own() -> None:
    factors = {"block": ["u", "v", "w"], "i": list(range(6))}
    rows = generate_doe(kind="full", factors=factors, block_randomization_key="block")["design"]

    orders = {tuple(row["i"] for row in rows if row["block"] == name) for name in "uvw"}
    assert [row["block"] for row in rows] == ["u"] * 6 + ["v"] * 6 + ["w"] * 6
    assert len(orders) == 3


def test_other_backends_and_resolutions_are_passed_on() -> None:
    lhs = generate_doe(kind="lhs", factors={"x": [0.0, 1.0]}, n_samples=4, backend="scipy")
    assert lhs["summary"]["backend"] == "scipy"
    assert lhs["summary"]["n_runs"] == 4

    frac = generate_doe(kind="frac2", factors=dict.fromkeys("abcdef"), resolution="IV")
    assert frac["summary"]["n_runs"] == 16


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"replicates": 0}, "replicates must be positive."),
        ({"center_points": -1}, "center_points must be non-negative."),
        ({"kind": "lhs"}, "n_samples is required for latin-hypercube DOE generation."),
        ({"kind": "zzz"}, "kind must be one of: full, lhs, frac2"),
        ({"factors": {"a": "bad"}}, "Full-factorial factor definitions must be lists"),
        ({"factors": {"a": []}}, "Factor 'a' must have at least one level."),
        ({"kind": "lhs", "n_samples": 2, "factors": {"a": ["x", "y"]}}, "Latin-hypercube factor"),
        ({"kind": "lhs", "n_samples": 2, "factors": {"a": [1, 0]}}, "must satisfy high > low."),
        ({"kind": "lhs", "n_samples": 0}, "n_samples must be positive."),
        ({"block_randomization_key": "zzz"}, "Block column 'zzz' not present in all design rows."),
    ],
)
def test_what_cannot_be_made_is_an_error(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        generate_doe(**{"kind": "full", "factors": {"a": [0, 1]}, **arguments})

    assert said in str(caught.value)


def test_everything_wrong_with_the_arguments_is_said_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        generate_doe(kind="zzz", factors={}, replicates=0, center_points=-1)

    assert len(caught.value.errors) == 3


def test_a_center_is_mid_range_or_the_commonest_level_first_seen() -> None:
    rows = [{"x": 0.0, "t": "b"}, {"x": 4.0, "t": "a"}, {"x": 1.0, "t": "a"}, {"x": 2, "t": "b"}]

    assert append_center_points(rows, center_points=1)[-1] == {"x": 2.0, "t": "b"}
    assert append_center_points([], center_points=0) == []
    with pytest.raises(ValidationError, match="Cannot append center points to an empty design"):
        append_center_points([], center_points=1)


def test_true_and_one_are_different_levels_of_a_balance_report() -> None:
    report = design_balance_report([{"v": True}, {"v": 1}, {"v": 1}])

    assert report == {"v": {"n_levels": 2.0, "max_to_min_ratio": 2.0}}
    assert design_balance_report([]) == {}


def test_runs_are_shuffled_without_a_block_and_the_argument_stays() -> None:
    rows = [{"i": i} for i in range(9)]
    made = randomize_runs(rows, 3)

    assert rows == [{"i": i} for i in range(9)]
    assert made != rows
    assert sorted(row["i"] for row in made) == list(range(9))


def test_over_as_many_replicates_as_items_each_takes_each_place_once() -> None:
    schedule = balanced_randomization_schedule(list("abcde"), 5, seed=2)

    assert set(Counter((run.item, run.position) for run in schedule).values()) == {1}
    assert set(Counter((run.item, run.replicate) for run in schedule).values()) == {1}
    assert balanced_randomization_schedule([], 2) == []
    with pytest.raises(ValidationError, match="replicates must be positive"):
        balanced_randomization_schedule(["a"], 0)

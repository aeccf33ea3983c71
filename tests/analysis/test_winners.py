from __future__ import annotations

import pytest

from penstock.analysis.winners import winners_of
from tests.analysis.samples import crossed, sample_of


def table(**gains: float) -> dict[str, list[list[float]]]:
    """Eight problems of which each level adds so much, and a little that depends on the problem."""
    return {
        level: [[at + gain + 0.01 * (at * (7 + place) % 5)] for at in range(8)]
        for place, (level, gain) in enumerate(gains.items())
    }


def test_the_level_that_beats_all_others_is_the_best() -> None:
    (found,) = winners_of(sample_of(table(a=0.0, b=2.0, c=1.0)), "tone", "higher")

    assert (found.best, found.runner_up, found.is_shown) == ("b", "c", True)
    assert found.p_adjusted == pytest.approx(3 * 2 / 2**8), "over all three pairs"


def test_the_best_of_what_should_be_low_is_the_lowest() -> None:
    (found,) = winners_of(sample_of(table(a=0.0, b=2.0, c=1.0)), "tone", "lower")

    assert (found.best, found.runner_up) == ("a", "c")


def test_a_level_that_is_close_keeps_the_best_from_being_shown() -> None:
    (found,) = winners_of(sample_of(table(a=0.0, b=1.0, c=1.0)), "tone", "higher")

    assert {found.best, found.runner_up} == {"b", "c"}
    assert not found.is_shown


def test_each_setting_of_the_other_factors_has_a_winner_of_its_own() -> None:
    low, high = table(a=0.0, b=1.0), table(a=1.0, b=0.0)
    sample = crossed(
        {(level, "low"): low[level] for level in low}
        | {(level, "high"): high[level] for level in high}
    )

    found = {each.setting["b"]: each.best for each in winners_of(sample, "a", "higher")}

    assert found == {"low": "b", "high": "a"}


def test_levels_that_came_to_the_same_have_no_winner_that_is_shown() -> None:
    same = [[1.0]] * 8

    (found,) = winners_of(sample_of({"a": same, "b": same, "c": same}), "tone", "higher")

    assert not found.is_shown


def test_what_was_never_scored_has_no_winner_and_too_many_pairs_none_at_all() -> None:
    nothing = [[None]] * 8

    assert winners_of(sample_of({"a": nothing, "b": nothing}), "tone", "higher") == ()
    many = {f"l{at}": [[float(at)]] * 2 for at in range(12)}
    assert winners_of(sample_of(many), "tone", "higher") == ()

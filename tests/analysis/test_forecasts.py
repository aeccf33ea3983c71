from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock.analysis.forecasts import PowerForecast, forecast_power, forecast_powers
from penstock.analysis.spread import Spread, declared_spread
from penstock.study.hypotheses import AnalysisPlan, ExpectedVariance
from tests.analysis.test_analyze import hypothesis, study_of

# The variance components of a pilot of 12 problems x 5: power from R's power.t.test(type =
# "paired", strict = TRUE) with sd_d² = 2 (var_pc + var_e / R).
PILOT = Spread(0.0063097269696969745, (0.00316, 0.01819), 0.0021708683333333343, 0.010854341666667)


def forecast(spread: Spread = PILOT, **fields: Any) -> PowerForecast:
    stated: dict[str, Any] = {"problems": 20, "replicates": 5, "delta": 0.05}
    return forecast_power("h1", spread, **stated | fields)


@pytest.mark.parametrize(
    ("problems", "replicates", "power"),
    [
        (12, 5, 0.51161255979065),
        (12, 1000, 0.68774421125235),
        (20, 5, 0.76130257812324),
        (20, 10, 0.83500203290001),
    ],
)
def test_power_is_that_of_r(problems: int, replicates: int, power: float) -> None:
    found = forecast(problems=problems, replicates=replicates).power

    assert found is not None
    assert found.value == pytest.approx(power, abs=1e-8)
    assert found.low is not None
    assert found.high is not None
    assert found.low < power < found.high


def test_the_fewest_problems_and_the_fewest_replicates_are_the_first_that_are_enough() -> None:
    found = forecast()

    for name, needed in (
        ("problems", found.problems_needed),
        ("replicates", found.replicates_needed),
    ):
        assert needed is not None
        enough, fewer = (
            forecast(PILOT, **{name: int(needed.value) - less}).power for less in (0, 1)
        )
        assert enough is not None
        assert fewer is not None
        assert fewer.value < 0.8 <= enough.value


def test_the_smallest_effect_is_the_one_that_is_shown_with_a_power_of_0_8() -> None:
    smallest = forecast().smallest_effect

    assert smallest is not None
    at_it = forecast(delta=smallest.value).power
    assert at_it is not None
    assert at_it.value == pytest.approx(0.8, abs=1e-9)


def test_where_no_number_of_replicates_is_enough_a_sentence_says_so() -> None:
    found = forecast(problems=12)

    assert found.replicates_needed is None
    assert any(
        "no number of replicates reaches 0.8 with 12 problems: with endless replicates the power "
        "is 0.689" in note
        for note in found.notes
    )


def test_a_pilot_of_one_replicate_forecasts_problems_alone() -> None:
    found = forecast(PILOT._replace(replicate=None, replicate_part=None), replicates=5)

    assert found.replicates == 1
    assert found.replicates_needed is None
    assert found.problems_needed is not None
    assert any("one replicate" in note for note in found.notes)


def test_below_six_problems_nothing_can_be_shown() -> None:
    found = forecast(problems=5, delta=10.0)

    assert (found.power, found.smallest_effect) == (None, None)
    assert found.problems_needed is not None
    assert found.problems_needed.value == 6
    assert any("with 5 problems nothing can be shown" in note for note in found.notes)


def test_an_equivalence_is_forecast_where_there_is_no_difference() -> None:
    wide, narrow = (forecast(delta=delta, is_equivalence=True).power for delta in (0.2, 0.01))

    assert wide is not None
    assert narrow is not None
    assert wide.value > 0.99
    assert narrow.value < 1e-6


def test_without_a_smallest_effect_of_interest_the_detectable_one_is_forecast_alone() -> None:
    found = forecast(delta=None)

    assert (found.power, found.problems_needed) == (None, None)
    assert found.smallest_effect is not None
    assert "minimum_effect_of_interest" in found.notes[0]


def test_these_problems_are_no_sample_so_replicates_alone_help() -> None:
    spread = Spread(0.01, (0.006, 0.02), 0.01, 0.01, df=4.0)

    found = forecast(spread, problems=4, delta=0.1)

    assert found.problems_needed is None
    assert found.power is not None
    assert found.replicates_needed is not None


def test_declared_variances_are_forecast_before_there_are_runs(tmp_path: Path) -> None:
    expected = ExpectedVariance(problem_condition=0.002, replicate=0.0054)
    plan = AnalysisPlan(
        analysis_plan_id="main", hypothesis_ids=("h1",), tests=("t",), expected_variance=expected
    )
    study = study_of(
        tmp_path,
        hypotheses=(hypothesis(minimum_effect_of_interest=0.05),),
        analysis_plans=(plan,),
    )

    (found,) = forecast_powers(study, None, problems=20, replicates=5, pilot="")

    by_hand = forecast(declared_spread(expected, {0: 1.0, 1: -1.0}))
    assert found.source == "the declared variance"
    assert found.power == by_hand.power
    assert found.power is not None
    assert found.power.low is None

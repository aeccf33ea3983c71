from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import penstock as ps
from penstock.analysis.arms import Arm
from penstock.analysis.contrasts import compare
from penstock.analysis.sample import Run, Sample
from penstock.analysis.within_problems import estimate_within_problems
from penstock.study.hypotheses import AnalysisPlan
from tests.analysis.test_analyze import hypothesis, study_of

DIFFERENCE = {1: 1.0, 0: -1.0}


def sample_of(cells: list[list[list[float]]]) -> Sample:
    """A sample of ``cells[arm][problem]``, of these problems only."""
    runs = [
        Run(arm, f"p{at}", replicate, "success", value)
        for arm, problems in enumerate(cells)
        for at, cell in enumerate(problems)
        for replicate, value in enumerate(cell)
    ]
    arms = [Arm(name, {"tone": name}, (name,)) for name in ("plain", "polite")]
    return Sample(arms, [f"p{at}" for at in range(len(cells[0]))], runs, is_of_these_problems=True)


def drawn(scales: list[float], replicates: int = 6) -> list[list[list[float]]]:
    draw = np.random.default_rng(3)
    return [
        [
            [float(shift * scale + scale * draw.normal()) for _ in range(replicates)]
            for scale in scales
        ]
        for shift in (0.0, 1.0)
    ]


def test_sides_that_are_equal_differ_by_nothing_and_not_by_what_rounding_leaves() -> None:
    third = 1 / 3
    one = [[0.1, 0.4], [0.2, 0.9]]
    cells = [one, one, one]
    runs = [
        Run(arm, f"p{at}", replicate, "success", value)
        for arm, problems in enumerate([*cells, *cells])
        for at, cell in enumerate(problems)
        for replicate, value in enumerate(cell)
    ]
    arms = [Arm(name, {"tone": name}, (name,)) for name in "abcdef"]
    sample = Sample(arms, ["p0", "p1"], runs, is_of_these_problems=True)

    found = estimate_within_problems(
        sample, {0: third, 3: -third, 1: third, 4: -third, 5: -third, 2: third}
    )

    assert found.value == 0.0


def test_problems_that_are_strata_of_one_scale_add_their_variances() -> None:
    cells = drawn([1.0, 1.0])
    found = estimate_within_problems(sample_of(cells), DIFFERENCE)

    of_each = [stats.ttest_ind(cells[1][at], cells[0][at], equal_var=False) for at in (0, 1)]
    low_and_high = [each.confidence_interval() for each in of_each]
    halves = [(each.high - each.low) / 2 for each in low_and_high]
    errors = [
        half / stats.t.ppf(0.975, each.df) for half, each in zip(halves, of_each, strict=True)
    ]
    middles = [(each.high + each.low) / 2 for each in low_and_high]
    assert found.value == pytest.approx(np.mean(middles))
    assert found.se == pytest.approx(np.hypot(*errors) / 2)
    assert not found.is_standardised


def test_a_problem_twice_has_the_same_mean_and_half_the_variance() -> None:
    once = drawn([1.0])
    twice = [[problems[0], problems[0]] for problems in once]
    welch = stats.ttest_ind(once[1][0], once[0][0], equal_var=False)

    found = estimate_within_problems(sample_of(twice), DIFFERENCE)

    assert found.value is not None
    assert found.se is not None
    assert found.value / found.se == pytest.approx(welch.statistic * np.sqrt(2))
    assert found.df == pytest.approx(2 * welch.df)


def test_problems_of_other_scales_each_count_in_their_own_standard_deviations() -> None:
    cells = drawn([1.0, 1000.0])
    rescaled = [[problems[0], [value / 50 for value in problems[1]]] for problems in cells]

    found, same = (
        estimate_within_problems(sample_of(each), DIFFERENCE, may_standardise=True)
        for each in (cells, rescaled)
    )
    raw = estimate_within_problems(sample_of(cells), DIFFERENCE)

    assert found.is_standardised
    assert (found.value, found.se, found.df) == pytest.approx((same.value, same.se, same.df))
    assert raw.value is not None
    assert raw.value > 100


def test_a_smallest_effect_of_interest_holds_the_scale_as_it_is() -> None:
    cells = drawn([1.0, 1000.0])

    found = compare(sample_of(cells), "polite-plain", DIFFERENCE, delta=0.5)

    assert not found.is_standardised
    assert found.equivalence is not None
    assert found.generalizes_to == "these_problems"


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([[[1.0], [2.0]], [[2.0], [3.0]]], "one replicate"),
        ([[[1.0, 1.0], [2.0, 2.0]], [[2.0, 2.0], [3.0, 3.0]]], "came to the same"),
        ([[[], []], [[2.0], [3.0]]], "no problem was scored"),
    ],
)
def test_where_there_is_no_error_it_says_why(cells: Any, why: str) -> None:
    found = compare(sample_of(cells), "polite-plain", DIFFERENCE)

    assert found.p is None
    assert why in found.undefined["interval"]


def test_a_true_null_is_rejected_as_often_as_is_meant() -> None:
    draw = np.random.default_rng(11)
    rejected = 0
    for _ in range(400):
        cells = [[draw.normal(at, 1 + at, 5).tolist() for at in range(4)] for _ in range(2)]
        found = compare(sample_of(cells), "polite-plain", DIFFERENCE)
        rejected += (found.p or 1.0) <= 0.05

    assert 6 <= rejected <= 36  # 20 are meant; 99.9 % of seeds lie between


def test_a_plan_that_means_these_problems_has_a_winner_and_says_for_what(tmp_path: Path) -> None:
    async def agent(ctx: Any) -> str:
        scale = 100.0 ** int(ctx.problem.problem_id[1:])
        ctx.record(score=scale * (ctx.rng.normal() + 3 * (ctx.condition["tone"] == "polite")))
        return "x"

    plan = AnalysisPlan(
        analysis_plan_id="main",
        hypothesis_ids=("h1",),
        tests=("difference",),
        generalize_to="these_problems",
    )
    study = study_of(
        tmp_path,
        problems=tuple(ps.Problem(problem_id=f"p{at}") for at in range(3)),
        hypotheses=(hypothesis(),),
        analysis_plans=(plan,),
        run_budget={"replicates": 8},
    )
    results = ps.run_study(study, agent_bindings={"a": agent}, show_progress=False)

    found = results.analyze()

    assert found.hypotheses[0].verdict == "supported"
    assert "for these 3 problems and no others" in found.hypotheses[0].sentence
    assert "standard deviations" in found.hypotheses[0].sentence
    assert "these 3 problems" in (found.outcomes["score"].unit_note or "")
    page = (results.output_dir / "report.html").read_text(encoding="utf-8")
    assert "standard deviations above plain" in page
    assert ps.Study(**study.to_dict()) == study.model_copy()
    assert study.to_dict()["analysis_plans"][0]["generalize_to"] == "these_problems"
    assert (
        "generalize_to"
        not in study.model_copy(
            update={"analysis_plans": (plan.model_copy(update={"generalize_to": "population"}),)}
        ).to_dict()["analysis_plans"][0]
    )

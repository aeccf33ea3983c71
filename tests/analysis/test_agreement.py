from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa, to_table

import penstock as ps
from penstock.analysis.agreement import Agreement, agreement_of
from tests.analysis.test_analyze import study_of

# Two observers of ten items, from Krippendorff's "Computing Krippendorff's Alpha-Reliability".
FIRST = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
OTHER = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]


def agreed(first: Any, other: Any, problems: int = 5) -> Agreement:
    scores = np.array([first, other], dtype=float)
    places = np.array([f"p{at % problems}" for at in range(scores.shape[1])])
    return agreement_of("a", "b", scores, places)


def test_alpha_is_the_published_one() -> None:
    assert agreed(FIRST, OTHER).alpha == pytest.approx(0.095, abs=5e-4)


def test_kappa_is_that_of_statsmodels_weighted_or_not() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, size=200)
    other = np.where(rng.random(200) < 0.6, first, rng.integers(0, 4, size=200))
    table, _ = to_table(np.array([first, other]).T)

    found = agreed(first, other, problems=20)

    assert found.kappa == pytest.approx(cohens_kappa(table).kappa)
    assert found.weighted_kappa == pytest.approx(cohens_kappa(table, wt="fc").kappa)
    assert found.kappa_interval is not None
    assert found.kappa is not None
    assert found.kappa_interval.low < found.kappa < found.kappa_interval.high


def test_a_bias_is_that_of_problems_and_has_an_interval_over_them() -> None:
    found = agreed([1, 1, 2, 2], [2, 2, 2, 4], problems=2)

    assert found.bias == pytest.approx((0.5 + 1.5) / 2)
    assert found.bias_interval is not None
    assert found.bias_interval.low < 1.0 < found.bias_interval.high


def test_the_same_score_for_every_run_has_no_kappa_and_says_so() -> None:
    found = agreed([1, 1, 1], [1, 1, 1], problems=3)

    assert (found.observed, found.kappa, found.alpha) == (1.0, None, None)
    assert "same score to every run" in found.undefined["kappa"]


def test_evaluators_that_scored_the_same_runs_are_compared(tmp_path: Path) -> None:
    async def agent(ctx: Any) -> str:
        ctx.record(score=1.0)
        return "yes" if ctx.spec.replicate == 1 else "no"

    def strict(answer: Any) -> float:
        return float(answer == "yes")

    def lenient(answer: Any, ctx: Any) -> float:
        return float(answer == "yes" or ctx.problem.problem_id in ("p0", "p1"))

    study = study_of(tmp_path, evaluators={"strict": strict, "lenient": lenient})
    results = ps.run_study(study, agent_bindings={"a": agent}, show_progress=False, report=False)

    (found,) = results.analyze().agreements

    assert (found.first, found.other, found.n_runs, found.n_problems) == (
        "lenient",
        "strict",
        32,
        8,
    )
    assert found.observed == pytest.approx(28 / 32)
    assert found.bias == pytest.approx(-1 / 8)

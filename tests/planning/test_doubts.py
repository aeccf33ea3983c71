from __future__ import annotations

from pathlib import Path
from typing import Any

import penstock as ps
from penstock.planning.doubts import study_doubts
from penstock.planning.plan import plan
from penstock.study.policies import RunBudget
from tests.analysis.test_analyze import hypothesis, study_of


def doubts(tmp_path: Path, problems: int = 8, **fields: Any) -> list[str]:
    named = tuple(ps.Problem(problem_id=f"p{at}") for at in range(problems))
    stated = {"hypotheses": (hypothesis(),), "problems": named, **fields}
    study = study_of(tmp_path, **stated)
    return list(study_doubts(study, plan(study)))


def analysis_plan(**fields: Any) -> ps.AnalysisPlan:
    return ps.AnalysisPlan(analysis_plan_id="m", hypothesis_ids=("h1",), tests=("t",), **fields)


def test_five_problems_cannot_support_a_hypothesis_and_six_can(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, problems=5)

    assert doubt.startswith("Hypothesis 'h1' cannot be supported: with 5 problems")
    assert doubts(tmp_path, problems=6) == []


def test_of_one_problem_or_of_these_problems_replicates_are_the_unit(tmp_path: Path) -> None:
    these = analysis_plan(generalize_to="these_problems")

    assert doubts(tmp_path, problems=1) == []
    assert doubts(tmp_path, problems=4, analysis_plans=(these,)) == []


def test_an_equivalence_is_not_decided_by_sign_flips(tmp_path: Path) -> None:
    claim = hypothesis(kind="equivalence", direction="equivalent", minimum_effect_of_interest=0.1)

    assert doubts(tmp_path, problems=4, hypotheses=(claim,)) == []


def test_one_replicate_says_nothing_of_others_of_these_problems(tmp_path: Path) -> None:
    these = analysis_plan(generalize_to="these_problems")
    once = RunBudget(replicates=1)

    (doubt,) = doubts(tmp_path, analysis_plans=(these,), run_budget=once)

    assert "raise `replicates`" in doubt


def test_a_policy_that_is_not_known_is_told(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, analysis_plans=(analysis_plan(multiple_comparison_policy="x"),))

    assert "'x' is not known" in doubt
    assert "by Holm" in doubt


def test_a_filter_of_what_runs_come_to_is_doubted_and_one_of_what_they_are_is_not(
    tmp_path: Path,
) -> None:
    filtering = analysis_plan(filters={"tone": "polite", "family": "unknown", "score": [1, 2]})

    (doubt,) = doubts(tmp_path, analysis_plans=(filtering,))

    assert "its filter 'score' is known after a run only" in doubt


def test_a_covariate_that_is_what_a_hypothesis_compares_is_doubted(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, analysis_plans=(analysis_plan(covariates=("tone",)),))

    assert "compares levels of 'tone'" in doubt


def test_a_covariate_that_nothing_of_the_study_has_is_named(tmp_path: Path) -> None:
    named = ("family", "latency_s", "right", "rigth")

    (doubt,) = doubts(
        tmp_path, evaluators={"right": "exact"}, analysis_plans=(analysis_plan(covariates=named),)
    )

    assert "covariate 'rigth'" in doubt
    assert doubt.endswith("record it; did you mean 'right'?")


def test_levels_that_look_like_numbers_and_are_texts_are_told_once(tmp_path: Path) -> None:
    tone = ps.Factor(name="tone", levels=("plain", "polite"))
    rate = ps.Factor(name="lr", levels=("1e-3", "0x10", "007", "1.5"))
    kept = ps.Factor(name="id", levels=("1e-3", "1e-4"), dtype="str")

    (doubt,) = doubts(tmp_path, factors=(tone, rate, kept))

    assert doubt.startswith("These levels are texts")
    assert "'1e-3', '0x10' of factor 'lr'. To make" in doubt

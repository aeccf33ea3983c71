from __future__ import annotations

from pathlib import Path
from typing import Any

import penstock as ps
from penstock.errors import StopStudy
from penstock.store.actions import actions
from penstock.store.reader import StoreReader
from penstock.study.hypotheses import AnalysisPlan
from penstock.study.policies import RunBudget
from tests.analysis.test_analyze import helped, hypothesis, study_of

H2 = hypothesis(hypothesis_id="h2", direction="less")


def run(study: ps.Study, said: list[str] | None = None) -> ps.StudyResult:
    async def hears(stream: Any) -> None:
        async for event in stream:
            if isinstance(event, ps.events.StudyStarted) and said is not None:
                said.extend(event.notes)

    return ps.run_study(
        study, agent_bindings={"a": helped}, show_progress=False, subscribers=[hears]
    )


def told(study: ps.Study) -> list[str]:
    with StoreReader(Path(str(study.output_dir))) as store:
        return [each.said for each in actions(store)]


def test_a_hypothesis_that_was_added_after_the_runs_is_told_with_its_date(tmp_path: Path) -> None:
    study = study_of(tmp_path, hypotheses=(hypothesis(),))
    run(study)
    later = study.model_copy(update={"hypotheses": (hypothesis(), H2)})
    said: list[str] = []

    results = run(later, said)

    (sentence,) = results.analyze().redeclared
    assert sentence.startswith("hypotheses.h2 added 20")
    assert sentence.endswith("with 32 of 32 runs ended")
    assert any("32 results so far were made: hypotheses.h2 added." in each for each in said)
    page = (results.output_dir / "report.html").read_text()
    assert "Hypothesis h2 was declared on 20" in page
    assert "Declared otherwise" in page
    assert "1 declaration changed" in page


def test_what_is_changed_is_named_by_its_place_with_the_old_and_the_new(tmp_path: Path) -> None:
    plan = AnalysisPlan(analysis_plan_id="main", hypothesis_ids=("h1",), tests=("t",))
    study = study_of(tmp_path, hypotheses=(hypothesis(), H2), analysis_plans=(plan,))
    run(study)
    looser = plan.model_copy(update={"multiple_comparison_policy": "none"})
    other = hypothesis(direction="less", minimum_effect_of_interest=0.2)

    run(
        study.model_copy(
            update={
                "title": "another title",
                "hypotheses": (other,),
                "analysis_plans": (looser,),
                "run_budget": RunBudget(replicates=3),
                "factors": (ps.Factor(name="tone", levels=("plain", "polite", "rude")),),
                "problems": (*study.problems[1:], ps.Problem(problem_id="p9")),
            }
        )
    )

    assert told(study) == [
        'hypotheses.h1.direction changed from "greater" to "less"',
        "hypotheses.h1.minimum_effect_of_interest set to 0.2",
        "hypotheses.h2 dropped",
        'analysis_plans.main.multiple_comparison_policy set to "none"',
        "factors.tone.levels.rude added",
        "replicates changed from 2 to 3",
        "problems added: p9",
        "problems dropped: p0",
    ]


def test_a_study_that_is_run_again_as_it_was_says_nothing(tmp_path: Path) -> None:
    study = study_of(tmp_path, hypotheses=(hypothesis(),))
    run(study)
    said: list[str] = []

    run(study, said)

    assert told(study) == []
    assert not any("otherwise" in each for each in said)


def test_what_is_declared_otherwise_before_the_first_result_is_no_change(tmp_path: Path) -> None:
    async def fails(ctx: Any) -> str:
        raise StopStudy("not yet")

    study = study_of(tmp_path, hypotheses=(hypothesis(),))
    ps.run_study(study, agent_bindings={"a": fails}, show_progress=False)

    run(study.model_copy(update={"hypotheses": (H2,)}))

    assert told(study) == []


def test_changed_expected_answers_are_told_by_their_problems(tmp_path: Path) -> None:
    problems = tuple(
        ps.Problem(problem_id=f"p{at}", payload={"expected": "a secret"}) for at in range(8)
    )
    study = study_of(tmp_path, problems=problems, evaluators={"right": "exact"})
    run(study)
    other = tuple(
        each.model_copy(update={"payload": {"expected": "x"}}) if at < 7 else each
        for at, each in enumerate(problems)
    )

    run(study.model_copy(update={"problems": other}))

    assert told(study) == ["problems changed: p0, p1, p2, p3, p4 and 2 more"]

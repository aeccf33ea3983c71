from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from tests.builders import make_study

EVALUATORS = {"correct": "number", "talks": {"regex": {"pattern": "4"}}}


def declared(table: str, column: str, *, primary: bool = True, **fields: Any) -> ps.Study:
    outcome = ps.Outcome(
        name="acc", source_table=table, column=column, aggregation="mean", primary=primary
    )
    return make_study(("a",), replicates=30, outcomes=[outcome], **fields)


async def agent(_: ps.RunContext) -> str:
    return "42"


def run(study: ps.Study, folder: Path) -> ps.StudyResult:
    return ps.run_study(study, agent_bindings={"agent-a": agent}, output_dir=folder, parallelism=1)


@pytest.mark.field("studies-N9")
@pytest.mark.field("studies-P1")
@pytest.mark.parametrize(
    ("study", "said"),
    [
        (
            declared("evaluations", "corect", evaluators=EVALUATORS),
            "Outcome 'acc' is evaluations.corect, which no evaluator gives; did you mean 'correct'",
        ),
        (declared("evaluations", "zzz", evaluators=EVALUATORS), "they give: correct, talks."),
        (declared("evaluations", "x", primary=False), "the study declares none"),
        (declared("events", "text", evaluators=EVALUATORS), "nothing fills a run's events.text"),
        (declared("runs", "correct", evaluators=EVALUATORS), "say `source_table: evaluations`"),
    ],
)
def test_an_outcome_that_nothing_can_give_is_refused_by_check_and_by_run_alike(
    study: ps.Study, said: str, tmp_path: Path
) -> None:
    report = ps.check(study, agent_bindings={"agent-a": agent})
    with pytest.raises(ps.ValidationError) as refused:
        run(study, tmp_path / "out")

    assert any(said in error for error in report.errors), report.errors
    assert said in str(refused.value)


@pytest.mark.field("studies-N9")
@pytest.mark.field("studies-P1")
@pytest.mark.parametrize(("table", "column"), [("evaluations", "corect"), ("runs", "score")])
def test_a_study_stops_early_where_no_answer_has_its_outcome_and_goes_on_when_it_is_mended(
    table: str, column: str, tmp_path: Path
) -> None:
    def graded(answer: str) -> dict[str, float]:
        return {"correct": float(answer == "42")}

    evaluators = {"graded": graded}
    stopped = run(declared(table, column, evaluators=evaluators), tmp_path).summary
    mended = run(declared("evaluations", "correct", evaluators=evaluators), tmp_path)

    assert stopped.stopped_because is not None
    assert f"'acc' ({table}.{column})" in stopped.stopped_because
    assert "correct" in stopped.stopped_because
    assert stopped.succeeded == 20
    assert mended.summary.session.restored == 20
    assert [result.primary_outcome for result in mended] == [1.0] * 30


def test_a_study_whose_scores_people_give_later_is_not_stopped(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("run_id,score\nrun-1,1\n")
    evaluators = {"quality": {"labels": {"file": str(tmp_path / "labels.csv")}}}
    study = declared("evaluations", "quality", evaluators=evaluators)

    assert run(study, tmp_path / "out").summary.stopped_because is None

"""What came of runs: what a result and a summary say of themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from penstock.planning.plan import plan
from penstock.results import RunError, RunResult, RunStage, RunStatus, answer_of, timestamp
from penstock.study.factors import Factor
from penstock.study.model import Study
from penstock.summary import SessionSummary, StudySummary

MOMENT = datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def result_of(**fields: Any) -> RunResult:
    study = Study(study_id="s", title="t", factors=[Factor(name="x", levels=[1])])
    return RunResult(
        **{
            "spec": plan(study)[0],
            "status": RunStatus.SUCCESS,
            "attempt": 1,
            "started_at": MOMENT,
            "ended_at": MOMENT,
            "latency_s": 0.5,
            **fields,
        }
    )


def test_a_moment_is_written_in_utc_with_microseconds() -> None:
    assert timestamp(MOMENT) == "2020-01-02T03:04:05.000006+00:00"
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert timestamp(elsewhere) == timestamp(MOMENT)


def test_the_moment_is_now_where_none_is_given() -> None:
    before = datetime.now(UTC)
    written = datetime.fromisoformat(timestamp())
    assert before <= written <= datetime.now(UTC)


def test_a_result_gives_what_the_agent_returned_and_measured() -> None:
    metrics = {"cost_usd": 0.25, "primary_outcome": 1}
    result = result_of(outputs_json='{"text":"x","n":123456789012345678901}', metrics=metrics)
    assert result.outputs == {"text": "x", "n": 123456789012345678901}
    assert (result.cost_usd, result.primary_outcome, result.error_info) == (0.25, 1, None)
    assert result.run_id == result.spec.run_id


def test_a_result_without_a_cost_costs_nothing() -> None:
    assert result_of().cost_usd == 0.0
    assert result_of(metrics={"cost_usd": None}).cost_usd == 0.0


@pytest.mark.parametrize("status", RunStatus)
def test_an_answer_is_an_event_where_its_agent_has_reported_nothing(status: RunStatus) -> None:
    result = result_of(status=status, outputs_json='{"text":"yes"}')
    has_answered = status in (RunStatus.SUCCESS, RunStatus.SCORING)
    assert [each.text for each in result.observations] == ["yes"] * has_answered
    reported = answer_of(result.spec, '{"text":"no"}', MOMENT)
    assert result_of(status=status, reported=(reported,)).observations == (reported,)


def test_a_failure_is_told_as_its_class_and_message() -> None:
    error = RunError(kind="ValueError", message="no", stage=RunStage.AGENT)
    assert result_of(status=RunStatus.FAILED, error=error).error_info == "ValueError: no"


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        result_of().attempt = 2  # type: ignore[misc]


def test_a_summary_counts_what_is_done_and_what_remains() -> None:
    session = SessionSummary(restored=4, succeeded=2, failed=1, skipped=1, retried=5)
    summary = StudySummary(
        study_id="s", planned=10, succeeded=6, failed=1, skipped=1, session=session
    )
    assert (summary.done, summary.remaining, summary.undone) == (8, 2, 2)

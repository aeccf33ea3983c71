from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog

from penstock.events import (
    Event,
    LimitChanged,
    LoopStalled,
    RunAbandoned,
    RunFailed,
    RunRetried,
    RunSucceeded,
    StudyFinished,
    StudyStarted,
    StudyStopping,
    StudyWaiting,
    SubscriberFailed,
)
from penstock.events.bus import EventBus
from penstock.subscribers.log import _TOLD, EVENTS, log
from penstock.summary import StudySummary
from tests.builders import NOW, make_error, make_event, make_plan, make_result

pytestmark = pytest.mark.anyio

SPEC = make_plan()[0]
FAILED = make_result(SPEC, error=make_error(message="no"), attempt=2)
SUMMARY = StudySummary(study_id="tested", planned=2, succeeded=1, failed=1)
TOLD = {name: SUMMARY.to_dict()[name] for name in _TOLD}


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    """Leave structlog as a process finds it."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


async def logged(*events: Event) -> None:
    bus = EventBus()
    stream = bus.open(*EVENTS)
    for event in events:
        bus.publish(event)

    bus.close()
    await log(stream)


CASES: list[tuple[Event, dict[str, Any]]] = [
    (
        make_event(StudyStarted, planned=2, restored=1),
        {"event": "study.started", "log_level": "info", "planned": 2, "restored": 1},
    ),
    (
        make_event(StudyStopping, reason="enough"),
        {"event": "study.stopping", "log_level": "warning", "reason": "enough"},
    ),
    (
        make_event(StudyWaiting, subscriber="slow", behind=7),
        {"event": "study.waiting", "log_level": "warning", "subscriber": "slow", "behind": 7},
    ),
    (
        make_event(StudyFinished, summary=SUMMARY),
        {"event": "study.finished", "log_level": "info"} | TOLD,
    ),
    (
        make_event(RunRetried, run_id=SPEC.run_id, result=FAILED, wait_s=1.23456),
        {
            "event": "run.retried",
            "log_level": "warning",
            "run_id": SPEC.run_id,
            "attempt": 2,
            "error": "ValueError: no",
            "wait_s": 1.235,
        },
    ),
    (
        make_event(RunFailed, run_id=SPEC.run_id, result=FAILED),
        {
            "event": "run.failed",
            "log_level": "error",
            "run_id": SPEC.run_id,
            "agent_id": "agent-a",
            "problem_id": "p1",
            "error": "ValueError: no",
        },
    ),
    (
        make_event(RunAbandoned, run_id=SPEC.run_id),
        {"event": "run.abandoned", "log_level": "error", "run_id": SPEC.run_id},
    ),
    (
        make_event(LimitChanged, limit=5, reason="slower"),
        {"event": "limit.changed", "log_level": "info", "limit": 5, "reason": "slower"},
    ),
    (
        make_event(
            LoopStalled,
            duration_s=0.31234,
            culprit="agents:solver (agents.py:12)",
            stack="...",
            run_id=SPEC.run_id,
        ),
        {
            "event": "loop.stalled",
            "log_level": "warning",
            "duration_s": 0.312,
            "culprit": "agents:solver (agents.py:12)",
            "run_id": SPEC.run_id,
        },
    ),
    (
        make_event(SubscriberFailed, subscriber="s", error="E: no", critical=False, traceback="T"),
        {
            "event": "subscriber.failed",
            "log_level": "error",
            "subscriber": "s",
            "error": "E: no",
            "traceback": "T",
        },
    ),
]


@pytest.mark.parametrize(("event", "expected"), CASES, ids=[case[1]["event"] for case in CASES])
async def test_the_host_s_configuration_receives_named_events_with_key_values(
    event: Event, expected: dict[str, Any]
) -> None:
    with structlog.testing.capture_logs() as logs:
        await logged(event)

    assert logs == [{"study_id": "tested"} | expected]


async def test_who_stalls_the_loop_in_every_run_is_named_once_a_minute() -> None:
    def stall(culprit: str, after_s: float) -> Event:
        at = NOW + timedelta(seconds=after_s)
        return make_event(LoopStalled, at=at, duration_s=0.2, culprit=culprit, stack="")

    moments = [("a", 0), ("a", 1), ("b", 2), ("a", 59), ("a", 60), ("b", 61)]
    with structlog.testing.capture_logs() as logs:
        await logged(*(stall(culprit, after_s) for culprit, after_s in moments))

    assert [entry["culprit"] for entry in logs] == ["a", "b", "a"]


async def test_runs_that_succeed_are_not_logged() -> None:
    with structlog.testing.capture_logs() as logs:
        await logged(make_event(RunSucceeded, run_id=SPEC.run_id, result=make_result(SPEC)))

    assert logs == []


async def test_where_the_host_configured_nothing_warnings_and_errors_go_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await logged(*(event for event, _ in CASES))

    captured = capsys.readouterr()
    assert captured.out == ""
    for event, expected in CASES:
        is_said = expected["event"] in captured.err
        assert is_said is (expected["log_level"] != "info"), type(event).__name__


async def test_logging_configures_nothing_by_itself() -> None:
    await logged(CASES[0][0])

    assert not structlog.is_configured()


@pytest.mark.field("studies-N17")
async def test_failures_that_are_alike_are_written_once_with_their_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failure = make_event(RunFailed, run_id=SPEC.run_id, result=FAILED)
    await logged(*[failure] * 300, make_event(StudyFinished, summary=SUMMARY))

    first, total = capsys.readouterr().err.splitlines()
    assert f"run_id={SPEC.run_id}" in first.replace("'", "")
    assert "times=300" in total
    assert "ValueError: no" in total


async def test_a_host_with_a_log_of_its_own_gets_every_failure() -> None:
    failure = make_event(RunFailed, run_id=SPEC.run_id, result=FAILED)
    with structlog.testing.capture_logs() as entries:
        structlog.configure()
        await logged(*[failure] * 3, make_event(StudyFinished, summary=SUMMARY))

    assert [each["event"] for each in entries] == ["run.failed"] * 3 + ["study.finished"]

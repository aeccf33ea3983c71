"""What a worker tells of a result is read as that result."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engines.messages import (
    Ended,
    Lease,
    read_from_worker,
    read_to_worker,
    result_of,
    told,
    written,
)
from penstock.planning.run_spec import RunSpec
from penstock.results import (
    Evaluation,
    Observation,
    RunError,
    RunResult,
    RunStage,
    RunStatus,
)

SPEC = RunSpec(
    position=3,
    run_id="run-3",
    study_id="told",
    condition_id="c",
    problem_id="p",
    agent_id="a",
    replicate=1,
    seed=7,
)
AT = datetime(2026, 1, 1, 0, 0, 5, 250, tzinfo=UTC)
SAID: dict[str, Any] = {
    "timestamp": "2026-01-01T00:00:01.000000+00:00",
    "record_id": "r",
    "text": "\ud800",
    "session_id": "run-3",
    "actor_id": "agent",
    "event_type": "step",
    "meta_json": "{}",
    "study_id": "told",
    "run_id": "run-3",
    "condition_id": "c",
}
SUCCEEDED: dict[str, Any] = {"status": RunStatus.SUCCESS, "outputs_json": '{"text":"yes"}'}
FAILED: dict[str, Any] = {
    "status": RunStatus.FAILED,
    "error": RunError(kind="ValueError", message="no", stage=RunStage.AGENT),
}
MADE = {
    "an answer alone": SUCCEEDED,
    "reports": SUCCEEDED | {"reported": (Observation(**SAID), Observation(**SAID))},
    "one report": SUCCEEDED | {"reported": (Observation(**SAID),)},
    "a failure": FAILED,
    "odd values": SUCCEEDED
    | {
        "metrics": {"big": 10**30, "least": float("-inf"), "none": None, "rows": [{"x": 0.1}]},
        "evaluations": (Evaluation(run_id="run-3", metric_value=True),),
        "provenance": {"model": "m"},
    },
}


def sent(result: RunResult, worker: str | None) -> RunResult:
    """Tell of a result as a worker does, and read it as the driver does."""
    ended = Ended(lease=1, run_id=result.run_id, result=told(result))
    (read,) = read_from_worker(written([ended]))
    assert isinstance(read, Ended)
    return result_of(read.result, SPEC, worker)


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_a_result_is_read_as_it_was_made(made: dict[str, Any]) -> None:
    result = RunResult(spec=SPEC, attempt=2, started_at=AT, ended_at=AT, latency_s=0.5, **made)
    read = sent(result, None)
    assert read == result
    assert (read.started_at.tzinfo, read.ended_at.tzinfo) == (UTC, UTC)


def test_a_result_says_which_worker_made_it() -> None:
    result = RunResult(
        spec=SPEC, attempt=1, started_at=AT, ended_at=AT, latency_s=0.5, **MADE["odd values"]
    )
    assert sent(result, "worker-1").provenance == {"model": "m", "worker": "worker-1"}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters())  # lone surrogates too
    | st.sampled_from(["null", "NaN", "0" * 30]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=3))
def test_what_is_read_is_what_was_said_whatever_values_it_holds(said: list[dict[str, Any]]) -> None:
    messages = [Ended(number, "run-3", values) for number, values in enumerate(said)]
    assert repr(read_from_worker(written(messages))) == repr(messages)  # NaN is like no other


def test_of_a_lease_is_said_what_is_no_default() -> None:
    lease = Lease(lease=7, position=3, attempt=1, evaluator_timeout_s=300.0)
    data = b'[["Lease",{"lease":7,"position":3,"attempt":1,"evaluator_timeout_s":300.0}]]'
    assert written([lease]) == data
    assert read_to_worker(data) == [lease]

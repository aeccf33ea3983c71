"""Facts as rows of the store; `penstock.store.facts` reads them back."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from penstock._base.json import encode
from penstock._base.text import readable_json
from penstock.results import (
    Observation,
    RunResult,
    RunStatus,
    answer_of,
    says_answer,
    timestamp,
)
from penstock.store.schema import EVENT_COLUMNS, UNFINISHED
from penstock.store.transaction import Inserts, Row
from penstock.store.views import ANSWER, LAST
from penstock.study.identity import answer_event_id

__all__ = [
    "ANSWER_ID",
    "ATTEMPT_COLUMNS",
    "DELETE_ATTEMPT",
    "DELETE_ENDING",
    "DELETE_OBSERVATIONS",
    "KEEP_UNSCORED",
    "OBSERVED_COLUMNS",
    "SUPERSEDE",
    "UPDATE_SCORES",
    "attempt_row",
    "cell_of",
    "insert_attempts",
    "insert_observations",
    "last_rows",
    "observation_rows",
    "score_cells",
]

_ERROR_COLUMNS = (
    "error_kind",
    "error_message",
    "error_stage",
    "error_retryable",
    "error_retry_after_s",
    "error_http_status",
    "error_stops_study",
    "traceback",
)
_OF_A_SUCCESS = (
    "id",
    "position",
    "final",
    "session_id",
    "number",
    "planned_order",
    "started_order",
    "run_id",
    "condition_id",
    "problem_id",
    "agent_id",
    "replicate",
    "seed",
    "status",
    "started_at",
    "ended_at",
    "latency_s",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "primary_outcome",
    "outputs",
    "metrics",
    "provenance",
    "trace_refs",
    "answer_event_id",
    "problem_made",
    "agent_made",
)
ATTEMPT_COLUMNS = (*_OF_A_SUCCESS, *_ERROR_COLUMNS)
"""What a row says of an attempt; one without an error ends before what is said of that."""

ANSWER_ID = ATTEMPT_COLUMNS.index("answer_event_id")
_CHANGED_BY_SCORES = (
    "rescored_in",
    "status",
    "primary_outcome",
    "metrics",
    *_ERROR_COLUMNS,
    "answer_event_id",
)
OBSERVED_COLUMNS = tuple(
    name for name in EVENT_COLUMNS if name not in ("study_id", "run_id", "condition_id")
)

_TOLD = OBSERVED_COLUMNS.index("trial_id")
_observed_cells, _observed_links = (
    attrgetter(*names) for names in (OBSERVED_COLUMNS[:_TOLD], OBSERVED_COLUMNS[_TOLD:])
)
_NO_LINKS = (None,) * len(OBSERVED_COLUMNS[_TOLD:])


insert_attempts = Inserts("attempt", ATTEMPT_COLUMNS, len(_OF_A_SUCCESS))
insert_observations = Inserts("observation", ("attempt_id", "number", *OBSERVED_COLUMNS), 2 + _TOLD)

SUPERSEDE = "UPDATE attempt SET final = 0 WHERE final AND position = ?"
UPDATE_SCORES = (
    f"UPDATE attempt SET {', '.join(f'{name} = ?' for name in _CHANGED_BY_SCORES)} WHERE id = ?"  # noqa: S608
)
DELETE_ATTEMPT = "DELETE FROM attempt WHERE id = ?"
DELETE_OBSERVATIONS = "DELETE FROM observation WHERE attempt_id = ?"
_UNSCORED = f"status = 'scoring' AND position IS NOT NULL AND {UNFINISHED}"
_POSITIONS_UNSCORED = f"SELECT position FROM attempt WHERE {_UNSCORED}"  # noqa: S608
KEEP_UNSCORED = (
    f"UPDATE attempt SET final = 0 WHERE final AND position IN ({_POSITIONS_UNSCORED})",  # noqa: S608
    f"UPDATE attempt SET final = 1, status = 'failed' WHERE {_UNSCORED}",  # noqa: S608
)
"""Make results of answers whose session was killed while they were scored: the next scores them."""

DELETE_ENDING = f"DELETE FROM observation WHERE number >= {ANSWER} AND attempt_id = ?"  # noqa: S608


def attempt_row(
    attempt_id: int,
    session_id: int,
    result: RunResult,
    *,
    final: bool,
    made: tuple[int | None, int | None] = (None, None),
) -> tuple[Any, ...]:
    """Write an attempt as a row of ``attempt``: values of `ATTEMPT_COLUMNS`, in their order.

    Args:
        attempt_id: Its id.
        session_id: The session that made it.
        result: The attempt.
        final: Whether it is the result of its run.
        made: The rows of the problem that was answered and of the agent that answered.
    """
    spec, metrics = result.spec, result.metrics
    row = (
        attempt_id,
        spec.position,
        int(final),
        session_id,
        result.attempt,
        result.planned_order,
        result.started_order,
        spec.run_id,
        spec.condition_id,
        spec.problem_id,
        spec.agent_id,
        spec.replicate,
        spec.seed,
        str(result.status),
        timestamp(result.started_at),
        timestamp(result.ended_at),
        result.latency_s,
        metrics["input_tokens"],
        metrics["output_tokens"],
        metrics["cost_usd"],
        cell_of(metrics.get("primary_outcome")),
        result.outputs_json,
        encode(metrics),
        readable_json(encode(result.provenance)),
        readable_json(encode(result.trace_refs)) if result.trace_refs else "[]",
        _answer_id(result),
        *made,
    )
    return row if result.error is None else row + _failure_cells(result)


def score_cells(session_id: int, result: RunResult) -> tuple[Any, ...]:
    """Write what scoring an answer again changes, in the order of `UPDATE_SCORES`."""
    return (
        session_id,
        result.status,
        cell_of(result.metrics.get("primary_outcome")),
        encode(result.metrics),
        *_failure_cells(result),
        _answer_id(result),
    )


def _failure_cells(result: RunResult) -> tuple[Any, ...]:
    error = result.error
    if error is None:
        return (None,) * len(_ERROR_COLUMNS)

    return (
        error.kind,
        error.message,
        error.stage,
        error.retryable,
        error.retry_after_s,
        error.http_status,
        error.stops_study,
        error.traceback,
    )


def _answer_id(result: RunResult) -> str | None:
    """Return the id of the event that is the answer, where SQL can read its text."""
    event_id = _answer_event_id(result)
    return None if event_id is not None and not result.is_plain else event_id


def _answer_event_id(result: RunResult) -> str | None:
    if result.status is not RunStatus.SUCCESS:
        return None

    return None if says_answer(result) else answer_event_id(result.run_id)


def observation_rows(
    attempt_id: int, result: RunResult, answer_id: str | None = None
) -> list[tuple[Any, ...]]:
    """Write what an agent reported, and how a run ended that did not succeed.

    Args:
        attempt_id: The attempt.
        result: It.
        answer_id: The event that is the answer, where the attempt names it. It is not a row then:
            the view makes it, and it is the last.
    """
    rows = [
        _observation_row(attempt_id, number, each) for number, each in enumerate(result.reported)
    ]
    return rows if answer_id is not None else rows + last_rows(attempt_id, result)


def _observation_row(attempt_id: int, number: int, observed: Observation) -> Row:
    links = _observed_links(observed)
    row = (attempt_id, number, *_observed_cells(observed))
    return row if links == _NO_LINKS else row + links


def last_rows(attempt_id: int, result: RunResult) -> list[tuple[Any, ...]]:
    """Write those events of an attempt that depend on how its answer was scored."""
    if _answer_event_id(result) is not None and not result.is_plain:
        answer = answer_of(result.spec, result.outputs_json, result.ended_at)
        return [_observation_row(attempt_id, ANSWER, answer)]

    error = result.error
    if error is None or result.status is RunStatus.SUCCESS:
        return []

    event = {
        "timestamp": timestamp(result.ended_at),
        "record_id": f"evt-{result.run_id.removeprefix('run-')}",
        "text": str(error),
        "actor_id": "penstock",
        # What is being scored is read where its session was killed, and has failed then.
        "event_type": f"run_{'failed' if result.status is RunStatus.SCORING else result.status}",
        "meta_json": f'{{"auto_generated":true,"stage":"{error.stage}"}}',
        "level": "run",
    }
    return [(attempt_id, LAST, *map(event.get, OBSERVED_COLUMNS))]


def cell_of(value: Any) -> Any:
    """Return what SQLite keeps as it is; true and false as text, for it would make them 1 and 0."""
    if value is None or type(value) in (float, str):
        return value

    if type(value) is int and -(2**63) <= value < 2**63:
        return value

    return str(value) if isinstance(value, bool) else encode(value)

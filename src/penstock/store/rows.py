"""Facts as rows of the store; `penstock.store.facts` reads them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock._base.json import encode
from penstock._base.text import readable_json
from penstock.results import (
    RunResult,
    RunStatus,
    timestamp,
)
from penstock.store.schema import EVENT_COLUMNS
from penstock.study.identity import answer_event_id

__all__ = [
    "ATTEMPT_COLUMNS",
    "DELETE_ENDING",
    "INSERT_ATTEMPT",
    "INSERT_EVALUATION",
    "INSERT_OBSERVATION",
    "LAST",
    "OBSERVED_COLUMNS",
    "SPENT",
    "SUPERSEDE",
    "UPDATE_SCORES",
    "answer_event",
    "answer_id_of",
    "attempt_row",
    "ending_rows",
    "evaluation_rows",
    "observation_rows",
    "score_cells",
    "text_of",
]

ATTEMPT_COLUMNS = (
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
    "error_kind",
    "error_message",
    "error_stage",
    "error_retryable",
    "traceback",
    "answer_event_id",
)
OBSERVED_COLUMNS = tuple(
    name for name in EVENT_COLUMNS if name not in ("study_id", "run_id", "condition_id")
)


LAST = 1 << 62
"""The number of the event that ends a run which did not succeed: after all it reported."""


def _insert(table: str, columns: int) -> str:
    return f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})"  # noqa: S608 - our own names


DELETE_ENDING = f"DELETE FROM observation WHERE number = {LAST} AND attempt_id = ?"  # noqa: S608
INSERT_ATTEMPT = _insert("attempt", len(ATTEMPT_COLUMNS))
UPDATE_SCORES = """
UPDATE attempt SET status = ?, primary_outcome = ?, metrics = ?, error_kind = ?,
    error_message = ?, error_stage = ?, error_retryable = ?, traceback = ? WHERE id = ?
"""
# SQLite reads no NaN and no infinity in JSON, which agents may record.
# What judges cost stands in the metrics, and so does the worst case of calls that broke off after
# they were sent: the provider may have billed them, and nobody counted.
SPENT = """
SELECT total(cost_usd) + total(m ->> '$.judge_cost_usd')
       + total(m ->> '$.uncounted_cost_usd') + total(m ->> '$.judge_uncounted_cost_usd'),
       CAST(total(input_tokens) + total(output_tokens)
            + total(m ->> '$.judge_input_tokens') + total(m ->> '$.judge_output_tokens')
            + total(m ->> '$.uncounted_tokens') + total(m ->> '$.judge_uncounted_tokens')
            AS INTEGER)
FROM (SELECT *, iif(json_valid(metrics), metrics, '{}') AS m FROM attempt)
"""
SUPERSEDE = "UPDATE attempt SET final = 0 WHERE final AND position = ?"
INSERT_OBSERVATION = _insert("observation", 2 + len(OBSERVED_COLUMNS))
INSERT_EVALUATION = _insert("evaluation", 8)


def attempt_row(
    attempt_id: int, session_id: int, result: RunResult, answer_id: str | None, *, final: bool
) -> tuple[Any, ...]:
    """Write an attempt as a row of ``attempt``, its values in the order of `ATTEMPT_COLUMNS`."""
    spec, metrics = result.spec, result.metrics
    return (
        attempt_id,
        spec.position,
        final,
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
        result.status,
        timestamp(result.started_at),
        timestamp(result.ended_at),
        result.latency_s,
        metrics["input_tokens"],
        metrics["output_tokens"],
        metrics["cost_usd"],
        _cell(metrics.get("primary_outcome")),
        result.outputs_json,
        encode(metrics),
        readable_json(encode(result.provenance)),
        readable_json(encode(result.trace_refs)) if result.trace_refs else "[]",
        *_failure_cells(result),
        answer_id,
    )


def score_cells(result: RunResult) -> tuple[Any, ...]:
    """Write what scoring an answer again changes, in the order of `UPDATE_SCORES`."""
    return (
        result.status,
        _cell(result.metrics.get("primary_outcome")),
        encode(result.metrics),
        *_failure_cells(result),
    )


def _failure_cells(result: RunResult) -> tuple[Any, ...]:
    error = result.error
    if error is None:
        return _NO_FAILURE

    return (error.kind, error.message, error.stage, error.retryable, error.traceback)


_NO_FAILURE = (None,) * 5


def answer_id_of(result: RunResult) -> str | None:
    """Name the answer where it is the one event of its run, and SQL can read its text."""
    if result.observations or _is_hard_to_read(result.outputs_json):
        return None

    return answer_event_id(result.run_id)


def observation_rows(
    attempt_id: int, result: RunResult, answer_id: str | None
) -> list[tuple[Any, ...]]:
    """Write what an agent reported; where it reported nothing, its answer is the one event.

    That one is no row where the attempt names it (``answer_id``): the view makes it. A run that
    did not succeed ends with an event that says why.
    """
    observed = [
        (attempt_id, number, *(getattr(each, name) for name in OBSERVED_COLUMNS))
        for number, each in enumerate(result.observations)
    ]
    if result.status is not RunStatus.SUCCESS:
        return [*observed, *ending_rows(attempt_id, result)]

    if observed or answer_id is not None:
        return observed

    return [_answer_row(attempt_id, result)]


def ending_rows(attempt_id: int, result: RunResult) -> list[tuple[Any, ...]]:
    """Write how a run ended that did not succeed, as the last of its events."""
    if result.error is None:
        return []

    event = {
        "timestamp": timestamp(result.ended_at),
        "record_id": f"evt-{result.run_id.removeprefix('run-')}",
        "text": str(result.error),
        "actor_id": "penstock",
        "event_type": f"run_{result.status}",
        "meta_json": f'{{"auto_generated":true,"stage":"{result.error.stage}"}}',
        "level": "run",
    }
    return [(attempt_id, LAST, *map(event.get, OBSERVED_COLUMNS))]


def _answer_row(attempt_id: int, result: RunResult) -> tuple[Any, ...]:
    event = answer_event(answer_event_id(result.run_id), timestamp(result.ended_at))
    return (attempt_id, 0, *map((event | {"text": text_of(result.outputs)}).get, OBSERVED_COLUMNS))


def answer_event(record_id: str, ended_at: str) -> dict[str, Any]:
    """Give the columns of the event that is an answer, but for its text."""
    return {
        "timestamp": ended_at,
        "record_id": record_id,
        "actor_id": "agent",
        "event_type": "assistant_output",
        "meta_json": '{"auto_generated":true}',
        "level": "step",
    }


def text_of(outputs: Mapping[str, Any]) -> str:
    """Give the text of an answer, where it is one."""
    text = outputs.get("text")
    return text if isinstance(text, str) else ""


def _is_hard_to_read(outputs_json: str) -> bool:
    """Tell whether SQLite cannot look into outputs.

    It knows no NaN and no infinity, reads no half surrogate pairs, and ends a text at a NUL.
    """
    # A letter is found thirty times as fast as a word, and these three are not in every answer.
    return (
        ("N" in outputs_json and "NaN" in outputs_json)
        or ("I" in outputs_json and "Infinity" in outputs_json)
        or ("\\" in outputs_json and ("\\ud" in outputs_json or "\\u0000" in outputs_json))
    )


def evaluation_rows(attempt_id: int, result: RunResult) -> list[tuple[Any, ...]]:
    """Write the scores of an attempt."""
    return [
        (
            attempt_id,
            number,
            each.evaluator_id,
            each.metric_name,
            _cell(each.metric_value),
            each.metric_unit,
            each.aggregation_level,
            each.notes_json,
        )
        for number, each in enumerate(result.evaluations)
    ]


def _cell(value: Any) -> Any:
    """What SQLite keeps as it is; true and false as text, for it would make them 1 and 0."""
    if value is None or type(value) in (float, str):
        return value

    if type(value) is int and -(2**63) <= value < 2**63:
        return value

    return str(value) if isinstance(value, bool) else encode(value)

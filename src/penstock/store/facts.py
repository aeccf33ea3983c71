"""Rows of the store as facts again: what `penstock.store.rows` has written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from penstock._base.json import decode
from penstock.planning.plan import RunSpec
from penstock.results import Evaluation, Observation, RunError, RunResult, RunStage, RunStatus
from penstock.store.rows import OBSERVED_COLUMNS, answer_event, text_of
from penstock.store.schema import EVALUATION_COLUMNS

__all__ = ["result_from_row"]


def result_from_row(
    row: Mapping[str, Any],
    observed: Iterable[Mapping[str, Any]] = (),
    scored: Iterable[Mapping[str, Any]] = (),
) -> RunResult:
    """Read an attempt back, with what its agent reported and how it was scored."""
    answer_id = row.get("answer_event_id")  # older layouts have none, and a row for it
    if answer_id is not None and row["status"] == RunStatus.SUCCESS:
        observed = [dict.fromkeys(OBSERVED_COLUMNS) | answer_event(answer_id, row["ended_at"])]

    error = None
    if row["error_kind"] is not None:
        error = RunError(
            kind=row["error_kind"],
            message=row["error_message"],
            stage=RunStage(row["error_stage"]),
            retryable=bool(row["error_retryable"]),
            traceback=row["traceback"],
        )

    return RunResult(
        spec=RunSpec(**{name: row[name] for name in RunSpec.model_fields}),
        status=RunStatus(row["status"]),
        attempt=row["number"],
        planned_order=row["planned_order"],
        started_order=row["started_order"],
        started_at=datetime.fromisoformat(row["started_at"]),
        ended_at=datetime.fromisoformat(row["ended_at"]),
        latency_s=row["latency_s"],
        outputs_json=row["outputs"],
        metrics=decode(row["metrics"]),
        evaluations=tuple(_evaluation(each, row) for each in scored),
        observations=tuple(_observation(each, row) for each in observed),
        provenance=decode(row["provenance"]),
        trace_refs=tuple(decode(row["trace_refs"])),
        error=error,
    )


def _evaluation(row: Mapping[str, Any], attempt: Mapping[str, Any]) -> Evaluation:
    cells = {name: row[name] for name in EVALUATION_COLUMNS if name != "run_id"}
    return Evaluation(run_id=attempt["run_id"], **cells)


def _observation(row: Mapping[str, Any], attempt: Mapping[str, Any]) -> Observation:
    cells = {name: row[name] for name in OBSERVED_COLUMNS}
    if cells["text"] is None:
        cells["text"] = text_of(decode(attempt["outputs"]))

    cells["session_id"] = cells["session_id"] or attempt["run_id"]
    return Observation(
        **cells, **{name: attempt[name] for name in ("study_id", "run_id", "condition_id")}
    )

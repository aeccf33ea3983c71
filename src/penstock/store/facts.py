"""Rows of the store as facts again: what `penstock.store.rows` has written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from penstock._base.json import decode
from penstock.planning.run_spec import RunSpec
from penstock.results import (
    Evaluation,
    Observation,
    RunError,
    RunResult,
    RunStage,
    RunStatus,
    Scored,
)
from penstock.store.rows import OBSERVED_COLUMNS
from penstock.store.schema import EVALUATION_COLUMNS
from penstock.study.identity import answer_event_id

__all__ = ["result_from_row", "score_of"]


def result_from_row(
    row: Mapping[str, Any],
    observed: Iterable[Mapping[str, Any]] = (),
    evaluated: Iterable[Mapping[str, Any]] = (),
    scored: Iterable[Mapping[str, Any]] = (),
) -> RunResult:
    """Read an attempt back, with what its agent reported and how it was scored."""
    spec = RunSpec(**{name: row[name] for name in RunSpec.model_fields})
    answer_id = answer_event_id(spec.run_id)  # a row in older layouts
    return RunResult(
        spec=spec,
        status=RunStatus(row["status"]),
        attempt=row["number"],
        planned_order=row["planned_order"],
        started_order=row["started_order"],
        started_at=datetime.fromisoformat(row["started_at"]),
        ended_at=datetime.fromisoformat(row["ended_at"]),
        latency_s=row["latency_s"],
        outputs_json=row["outputs"],
        metrics=decode(row["metrics"]),
        evaluations=tuple(_evaluation(each, row) for each in evaluated),
        scored=tuple(
            Scored(**{name: each[name] for name in Scored.model_fields}) for each in scored
        ),
        reported=tuple(
            _observation(each, row) for each in observed if each["record_id"] != answer_id
        ),
        provenance=decode(row["provenance"]),
        trace_refs=tuple(decode(row["trace_refs"])),
        error=_error(row),
        is_rescored=row["rescored_in"] is not None,
    )


def _error(row: Mapping[str, Any]) -> RunError | None:
    if row["error_kind"] is None:
        return None

    return RunError(
        kind=row["error_kind"],
        message=row["error_message"],
        stage=RunStage(row["error_stage"]),
        retryable=bool(row["error_retryable"]),
        retry_after_s=row["error_retry_after_s"],
        http_status=row["error_http_status"],
        stops_study=bool(row["error_stops_study"]),
        traceback=row["traceback"],
    )


def _evaluation(row: Mapping[str, Any], attempt: Mapping[str, Any]) -> Evaluation:
    cells = {name: row[name] for name in EVALUATION_COLUMNS if name != "run_id"}
    cells["metric_value"] = score_of(row["metric_value"], row["metric_type"])
    return Evaluation(run_id=attempt["run_id"], **cells)


def score_of(value: Any, kind: str | None) -> Any:
    """Read a score back from its cell and the type that SQLite has no word for."""
    match kind:
        case "bool":
            return value == "True"
        case "int":
            return int(value)
        case "nan":
            return float("nan")

    return value


def _observation(row: Mapping[str, Any], attempt: Mapping[str, Any]) -> Observation:
    cells = {name: row[name] for name in OBSERVED_COLUMNS}
    cells["session_id"] = cells["session_id"] or attempt["run_id"]
    return Observation(
        **cells, **{name: attempt[name] for name in ("study_id", "run_id", "condition_id")}
    )

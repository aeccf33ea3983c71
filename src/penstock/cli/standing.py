"""Where a study stands, read from its store."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from penstock.cli.directory_records import Failure, Session, Standing
from penstock.results import RunStatus
from penstock.store.lock import is_held
from penstock.store.reader import StoreReader
from penstock.store.starts import read_starts

__all__ = ["failures", "lost_calls", "standing"]


def standing(store: StoreReader) -> Standing:
    """Gather counts of runs, what they have cost, how the last session ended, and failures."""
    definition, counts = store.definition(), store.status_counts()
    (totals,) = store.rows(
        "SELECT count(*) AS attempts, coalesce(sum(cost_usd), 0) AS cost_usd, "
        "coalesce(sum(input_tokens), 0) AS input_tokens, "
        "coalesce(sum(output_tokens), 0) AS output_tokens FROM attempt"
    )
    sessions = [dict(row) for row in store.rows("SELECT * FROM session ORDER BY id")]
    last = sessions[-1]
    planned, state = last["planned"], _state(last, store.directory)
    over = sessions[:-1] if state == "running" else sessions
    return Standing(
        study_id=definition["study_id"],
        title=definition["title"],
        planned=planned,
        succeeded=counts.get(RunStatus.SUCCESS, 0),
        failed=counts.get(RunStatus.FAILED, 0),
        skipped=counts.get(RunStatus.SKIPPED, 0),
        remaining=planned - sum(counts.values()),
        **dict(totals),
        sessions=len(sessions),
        state=state,
        lost_calls=lost_calls(over, store.directory),
        last_session=Session(**{name: last[name] for name in Session.model_fields if name in last}),
        failures=failures(store),
        output_dir=str(Path(store.directory).absolute()),
    )


def failures(store: StoreReader) -> tuple[Failure, ...]:
    """List why runs failed, the most frequent reason first."""
    rows = store.rows(
        "SELECT count(*) AS runs, error_stage AS stage, "
        "error_kind || ': ' || substr(min(error_message), 1, 200) AS error FROM attempt "
        "WHERE final AND position IS NOT NULL AND status = 'failed' "
        "GROUP BY error_kind, error_stage ORDER BY runs DESC, error"
    )
    return tuple(Failure(**dict(row)) for row in rows)


def _state(session: dict[str, Any], directory: Path) -> str:
    """Say ``running``, how the session ended, or that it was killed."""
    if session["ended_at"] is not None:
        return str(session["ending"])

    if session["host"] != socket.gethostname():
        return "running"  # as far as can be known from here

    try:
        return "running" if is_held(directory) else "killed"  # its pid may be another's by now
    except OSError:
        return "running"


def lost_calls(sessions: list[dict[str, Any]], directory: Path) -> int:
    """Count calls that have no result, in sessions that are over; they may have been paid for."""
    counted_by, started = read_starts(directory)
    return sum(
        max(session["started"], started if session["id"] == counted_by else 0) - session["saved"]
        for session in sessions
        if "started" in session  # an older layout did not count
    )

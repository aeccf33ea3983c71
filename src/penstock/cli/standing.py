"""Where a study stands, read from its store."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from penstock.results import RunStatus
from penstock.store.reader import StoreReader

__all__ = ["failure_rows", "standing"]


def standing(store: StoreReader) -> dict[str, Any]:
    """Gather counts of runs, what they have cost, how the last session ended, and failures."""
    definition, counts = store.definition(), store.status_counts()
    (totals,) = store.rows(
        "SELECT count(*) AS attempts, coalesce(sum(cost_usd), 0) AS cost_usd, "
        "coalesce(sum(input_tokens), 0) AS input_tokens, "
        "coalesce(sum(output_tokens), 0) AS output_tokens FROM attempt"
    )
    sessions = [dict(row) for row in store.rows("SELECT * FROM session ORDER BY id")]
    last = sessions[-1]
    planned = last["planned"]
    return {
        "study_id": definition["study_id"],
        "title": definition["title"],
        "planned": planned,
        "succeeded": counts.get(RunStatus.SUCCESS, 0),
        "failed": counts.get(RunStatus.FAILED, 0),
        "skipped": counts.get(RunStatus.SKIPPED, 0),
        "remaining": planned - sum(counts.values()),
        **dict(totals),
        "sessions": len(sessions),
        "state": _state(last),
        "last_session": {name: value for name, value in last.items() if name != "planned"},
        "failures": [dict(row) for row in _failures(store)],
        "output_dir": str(Path(store.directory).absolute()),
    }


def failure_rows(store: StoreReader) -> list[tuple[str, ...]]:
    """List why runs failed, the most frequent reason first: how often, what, in which stage."""
    return [
        (f"{row['runs']:,} x", f"{' '.join(row['error'].split())} ({row['stage']})")
        for row in _failures(store)
    ]


def _failures(store: StoreReader) -> list[Any]:
    return list(
        store.rows(
            "SELECT count(*) AS runs, error_stage AS stage, "
            "error_kind || ': ' || substr(min(error_message), 1, 200) AS error FROM attempt "
            "WHERE final AND position IS NOT NULL AND status = 'failed' "
            "GROUP BY error_kind, error_stage ORDER BY runs DESC, error"
        )
    )


def _state(session: dict[str, Any]) -> str:
    """Say ``running``, how the session ended, or that it was killed."""
    if session["ended_at"] is not None:
        return str(session["ending"])

    if session["host"] == socket.gethostname():
        try:
            os.kill(session["pid"], 0)
        except ProcessLookupError:
            return "killed"
        except PermissionError:
            pass  # it is another user's, so it is there

    return "running"

"""How many runs of the plan have a result, and how they ended: counted in indexes alone.

A result that is no success stands in an index of its own, of which there are few, so that nobody
reads a million rows to know that all of them succeeded.
"""

from __future__ import annotations

import sqlite3

from penstock.results import RunStatus
from penstock.store.schema import UNFINISHED

__all__ = ["FAILED", "count_by_status", "count_ended"]

_RESULT = "final AND position IS NOT NULL"

# `+final` keeps SQLite from the index of all results.
FAILED = f"+final AND position IS NOT NULL AND status = 'failed' AND {UNFINISHED}"
"""Attempts that are the result of a run of the plan which failed."""


def count_ended(connection: sqlite3.Connection) -> int:
    """Count the runs of the plan that have a result.

    Args:
        connection: The store.
    """
    ((count,),) = connection.execute(f"SELECT count(*) FROM attempt WHERE {_RESULT}")  # noqa: S608
    return int(count)


def count_by_status(connection: sqlite3.Connection) -> dict[str, int]:
    """Count the runs of the plan by how they ended; what none of them came to is left out.

    Args:
        connection: The store.
    """
    others = (
        f"SELECT status, count(*) FROM attempt WHERE {_RESULT} AND {UNFINISHED} GROUP BY status"  # noqa: S608
    )
    counts = {str(status): int(count) for status, count in connection.execute(others)}
    counts[RunStatus.SUCCESS.value] = count_ended(connection) - sum(counts.values())
    return {status: count for status, count in sorted(counts.items()) if count}

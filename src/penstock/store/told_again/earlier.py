"""Attempts of sessions from before the store kept the order in which they were announced.

They are told in the order of their ids. Each has a million numbers for its events, so that its
own are known without counting those before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any

from penstock.events.tree import RunsSaved, StudyStarted
from penstock.results import RunResult, RunStatus
from penstock.store.announced import BEFORE_BITS, Listed
from penstock.store.reader import StoreReader
from penstock.store.told_again.telling import Step, steps_of

__all__ = ["EarlierAttempts"]

_CHUNK = 256
_LAST = (1 << BEFORE_BITS) - 1
_LAST_ID = "SELECT id, session_id FROM attempt WHERE id < ? ORDER BY id DESC LIMIT 1"
_SESSION = "SELECT started_at, planned, restored FROM session WHERE id = ?"
_UNKNOWN = {"lost_calls": 0, "left_out": 0, "notes": (), "warnings": (), "summary": None}
_HOW = {RunStatus.CANCELLED: "cancelled", RunStatus.SCORING: "answered"}


class EarlierAttempts:
    """Tells attempts whose order nobody noted.

    Args:
        store: The store.
    """

    def __init__(self, store: StoreReader) -> None:
        self._store = store
        (first,) = next(store.table("SELECT min(seq) FROM announced"))
        self._end = inf if first is None else first >> BEFORE_BITS
        last = 0 if self._end == 0 else self._before(self._end)[0]
        self._last_seq = last << BEFORE_BITS | _LAST if last else 0

    def holds_after(self, seq: int) -> bool:
        """Return whether anything of them comes after the event of a number."""
        return seq < self._last_seq

    def after(self, seq: int) -> Sequence[tuple[int, Step]]:
        """Return the next events, each with its number; those before it may be among them.

        Args:
            seq: The number.
        """
        next_id = max(1, (seq >> BEFORE_BITS) + (seq & _LAST == _LAST))
        first = (next_id - 1) // _CHUNK * _CHUNK + 1  # a chunk is the same whoever has read of it
        last = first + _CHUNK - 1
        found = self._store.attempts("id BETWEEN ? AND ?", (first, min(last, self._end - 1)))
        told: list[tuple[int, Step]] = []
        _, session_id = self._before(first)
        for attempt_id, (row, result) in found.items():
            start = attempt_id << BEFORE_BITS
            if row["session_id"] != session_id:
                session_id = row["session_id"]
                told += [(start, each) for each in self._beginning(session_id)]

            steps = steps_of(_listed(attempt_id, row, result), result, saved_at=result.ended_at)
            told += enumerate(steps, start=start + 1)

        ended = [result for row, result in found.values() if _is_finished(row, result)]
        run_ids = tuple(result.run_id for result in ended)
        at = max((result.ended_at for _, result in found.values()), default=datetime.now(UTC))
        end = (min(last, self._last_seq >> BEFORE_BITS) << BEFORE_BITS) | _LAST
        return [*told, (end, Step(RunsSaved, at, {"run_ids": run_ids, "summary": None}))]

    def _before(self, attempt_id: float) -> tuple[int, int]:
        """Return the attempt before one, and its session; zeros where there is none."""
        last = 2**62 if attempt_id == inf else int(attempt_id)
        for row in self._store.rows(_LAST_ID, (last,)):
            return row["id"], row["session_id"]

        return 0, 0

    def _beginning(self, session_id: int) -> list[Step]:
        return [
            Step(
                StudyStarted,
                datetime.fromisoformat(row["started_at"]),
                {**_UNKNOWN, "planned": row["planned"], "restored": row["restored"]},
            )
            for row in self._store.rows(_SESSION, (session_id,))
        ]


def _is_finished(row: Any, result: RunResult) -> bool:
    return bool(row["final"]) and result.status not in _HOW


def _listed(attempt_id: int, row: Any, result: RunResult) -> Listed:
    """Describe how an attempt ended, as far as can be known."""
    how = _HOW.get(result.status) or ("finished" if row["final"] else "retried")
    said = 1 << BEFORE_BITS if how == "answered" else None
    return Listed(attempt_id, how, said)

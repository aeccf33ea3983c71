"""Saving what has ended from a process that is about to end, though its event loop stands still.

The writer of a store saves through the event loop. Whoever leaves a loop that code of an agent
blocks has only the file: what the last group has written, which may still be being written by its
own thread, is read there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from penstock._base.json import decode
from penstock.results import RunResult, RunStatus
from penstock.running.tally import COUNTED, Tally
from penstock.store.announced import NO_WAITS, Waits, announced_group, gained_in
from penstock.store.continuing.restored import Restored
from penstock.store.group import Answered, SessionKeys, count_group, counts, made_group
from penstock.store.starts import Starts
from penstock.store.transaction import open_existing, transact
from penstock.store.unsaved import told_by
from penstock.summary import StudySummary

__all__ = ["LastSave"]

_LOCKED_S = 5.0
"""How long the group that is being written may take to end."""


class LastSave(NamedTuple):
    """Saves attempts of one session over a connection of its own.

    Args:
        path: The store.
        session: The session that made the attempts.
        left: What earlier sessions left.
        starts: Counts what the session started and may have spent.
        waits: How long runs wait that were to be tried again.
    """

    path: Path
    session: SessionKeys
    left: Restored
    starts: Starts
    waits: Waits = NO_WAITS

    def save(self, attempts: Sequence[tuple[RunResult, bool]]) -> int:
        """Save what is not saved yet, each attempt alone if need be; return how many were.

        New scores of kept answers are left to the next session.

        Args:
            attempts: Each attempt, and whether it is its run's result.

        Raises:
            sqlite3.Error: the store cannot be written.
        """
        with closing(open_existing(self.path, timeout_s=_LOCKED_S)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # waits for the group that is being written
            connection.execute("ROLLBACK")
            try:
                return self._save_together(connection, attempts)
            except Exception:
                if len(attempts) == 1:
                    raise

                return sum(self._save_alone(connection, each) for each in attempts)

    def _save_alone(self, connection: sqlite3.Connection, attempt: tuple[RunResult, bool]) -> int:
        try:
            return self._save_together(connection, [attempt])
        except Exception:  # noqa: BLE001 - it cannot be stored, and the others can
            return 0

    def _save_together(
        self, connection: sqlite3.Connection, attempts: Sequence[tuple[RunResult, bool]]
    ) -> int:
        scoring: dict[int, Answered] = {}
        missing = [
            (result, final)
            for result, final in attempts
            if not result.is_rescored and not self._has(connection, result, scoring)
        ]
        if not missing:
            return 0

        ((last_id,),) = connection.execute("SELECT coalesce(max(id), 0) FROM attempt")
        group = made_group(missing, self.session, last_id + 1, scoring, self.waits)
        tally = self._tally(connection)
        count_group(tally, missing, scoring, self.left)
        self.starts.add(*told_by((result for result, _ in missing), scoring))
        told = announced_group(self.session.id, group.listed, missing, tally)
        transact(connection, [*group.statements, counts(tally, self.session), told])
        return len(missing)

    def _has(
        self,
        connection: sqlite3.Connection,
        result: RunResult,
        scoring: dict[int, Answered],
    ) -> bool:
        """Return whether an attempt is saved; note its answer where that is saved alone."""
        rows = connection.execute(
            "SELECT id, status, metrics FROM attempt "
            "WHERE run_id = ? AND number = ? AND session_id = ?",
            (result.run_id, result.attempt, self.session.id),
        ).fetchall()
        for attempt_id, status, metrics in rows:
            if status != RunStatus.SCORING or result.status is RunStatus.SCORING:
                return True

            known = Answered(attempt_id, decode(metrics), len(result.reported))
            scoring[result.spec.position] = known

        return False

    def _tally(self, connection: sqlite3.Connection) -> Tally:
        names = ", ".join(COUNTED)
        query = f"SELECT {names} FROM session WHERE id = ?"  # noqa: S608 - our own names
        ((*amounts,),) = connection.execute(query, (self.session.id,))
        tally = Tally(StudySummary(study_id=""), **dict(zip(COUNTED, amounts, strict=True)))
        tally.started, tally.gained = self.starts.count, gained_in(connection, self.session.id)
        return tally

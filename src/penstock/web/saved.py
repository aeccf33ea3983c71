"""What a store says of a study, read again where the file has changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from penstock.errors import StoreError
from penstock.page.live_view import Newest
from penstock.planning.plan import Plan
from penstock.store import STORE_FILE
from penstock.store.actions import Action, pause_of
from penstock.store.ledger import Ledger, read_ledger
from penstock.store.reader import StoreReader
from penstock.store.unblinding import is_blind
from penstock.study.model import Study
from penstock.web.counting import Counts
from penstock.web.plan_matrix import PlanMatrix

__all__ = ["Saved"]

_LOOK_S = 1.0
"""So often a store is looked at whose file has not changed: its process may have been killed."""

_NEWEST_S = 1.0
"""So often the newest answers are read: nobody reads faster."""

_MOST_NEWEST = 8
_MOST_CHARACTERS = 240
_SESSION = "SELECT id, started_at, ended_at, planned FROM session ORDER BY id DESC LIMIT 1"
_NEWEST = f"""
SELECT run_id, position, problem_id, status, primary_outcome,
       substr(coalesce(error_kind || ': ' || error_message,
                       iif(json_valid(outputs), outputs ->> '$.text', NULL), outputs),
              1, {_MOST_CHARACTERS}) AS text
FROM attempt WHERE id > ? AND final AND position IS NOT NULL ORDER BY id DESC LIMIT {_MOST_NEWEST}
"""  # noqa: S608 - our own numbers
_NOT_FAR_BACK = 500


class Saved:
    """What is saved of one study; `read` brings it up to date, in a thread of the caller's.

    Args:
        directory: The study's output directory.

    Attributes:
        study: The study as it was last run; None where nothing was, or only Python knows it.
        matrix: Which cells its runs belong to; None likewise.
        counts: What has become of its runs.
        ledger: What it came to; None where nothing was begun, or where it was not asked for.
        is_blind: Whether what conditions came to is withheld.
        pause: What keeps the study from starting runs; None where nothing does.
        newest: The runs that ended last.
        planned: Runs in the plan.
        mark: What changes whenever the store is written.
        why_not: Why nothing can be read; empty where something can.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.study: Study | None = None
        self.matrix: PlanMatrix | None = None
        self.counts = Counts(0, None)
        self.ledger: Ledger | None = None
        self.is_blind = True
        self.pause: Action | None = None
        self.newest: tuple[Newest, ...] = ()
        self.why_not = ""
        self.planned = 0
        self._session: tuple[Any, ...] = ()
        self.mark: object = None
        self._counts_only = False
        self._read_at = self._newest_at = -_LOOK_S

    def read(self, *, counts_only: bool) -> None:
        """Read what has changed since the last time.

        Args:
            counts_only: Whether the process that runs the study says what it came to so far.
        """
        mark, now = _mark_of(self.directory), monotonic()
        has_changed = mark != self.mark or self.counts.is_behind or counts_only != self._counts_only
        if not has_changed and now - self._read_at < _LOOK_S:
            return

        try:
            with StoreReader(self.directory) as store, store.snapshot():
                self._read(store, counts_only=counts_only)
        except (StoreError, sqlite3.Error) as error:
            self.why_not = str(error)
        except Exception as error:  # noqa: BLE001 - said, and other studies are shown all the same
            self.why_not = f"{self.directory} cannot be read: {type(error).__name__}: {error}"
        else:
            self.why_not = ""
            self.mark, self._read_at, self._counts_only = mark, now, counts_only

    def _read(self, store: StoreReader, *, counts_only: bool) -> None:
        session = next(store.table(_SESSION), None)
        if session is None:
            raise StoreError(f"{self.directory}: the study was created and never begun")

        if (session[0], session[2]) != self._session:
            self._begin(store, started_at=session[1], planned=session[3])
            self._session = (session[0], session[2])

        self.counts.read(store)
        study, done = self.study, self.counts.done
        self.is_blind = done < self.planned if study is None else is_blind(store, study, ended=done)
        self.pause = pause_of(store)
        if not counts_only or self.ledger is None:
            self.ledger = read_ledger(store)

        if monotonic() - self._newest_at >= _NEWEST_S or session[2] is not None:
            self._newest_at = monotonic()
            self.newest = tuple(self._newest(store))

    def _begin(self, store: StoreReader, *, started_at: str, planned: int) -> None:
        """Begin to count a session; another one may have another plan."""
        self.study, self.matrix, self.planned = None, None, planned
        with suppress(ValueError):  # only Python knows it
            self.study = store.study()
            self.matrix = _matrix_of(self.study, store, planned)

        self.counts = Counts(planned, self.matrix, since=started_at)

    def _newest(self, store: StoreReader) -> Sequence[Newest]:
        rows = store.rows(_NEWEST, (self.counts.last_id - _NOT_FAR_BACK,))
        return [
            Newest(
                id=row["run_id"],
                problem=row["problem_id"],
                status=row["status"],
                text=row["text"],
                **self.told_apart(row["position"], row["status"], row["primary_outcome"]),
            )
            for row in rows
        ]

    def told_apart(self, position: int, status: str, value: Any) -> dict[str, str]:
        """Return the condition of a run and what it came to, as far as they may be known.

        Which runs of a condition have failed may be known while the study is blind.

        Args:
            position: The run's position in the plan.
            status: How it ended.
            value: Its primary outcome.
        """
        if self.is_blind and status == "success":
            return {"condition": "", "value": ""}

        named = self.matrix is not None and position < len(self.counts.statuses)
        condition = self.matrix.conditions[self.matrix.place(position)[0]] if named else ""  # type: ignore[union-attr]
        shown = "" if value is None or self.is_blind else _shown(value)
        return {"condition": condition, "value": shown}


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _matrix_of(study: Study, store: StoreReader, planned: int) -> PlanMatrix | None:
    """Return the matrix of the plan that a session began with; None where it cannot be told."""
    conditions = list(store.conditions())
    for standalone in (False, True):
        plan = Plan(study, conditions, standalone=standalone)
        if len(plan) == planned:
            return PlanMatrix(plan)

    return None


def _mark_of(directory: Path) -> tuple[object, ...]:
    """Return what changes whenever a store is written."""
    found: list[object] = []
    for name in (STORE_FILE, f"{STORE_FILE}-wal"):
        with suppress(OSError):
            stat = (directory / name).stat()
            found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))

    return tuple(found)

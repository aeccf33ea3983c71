"""What was announced, told again from the store, in the order in which it was saved.

Attempts are told as they were saved: that one began, what its agent reported, how it ended, and
after each group that it survives a crash. An answer that was scored again is told with the scores
of now. Events have numbers of their own here, which go through all sessions and are the same
whenever they are told; their moments are those that the store keeps.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from penstock._base.fact import unchecked
from penstock._base.json import decode
from penstock.events.tree import (
    ActionTaken,
    Event,
    RunEvent,
    RunsSaved,
    StudyFinished,
    StudyStarted,
)
from penstock.results import RunStatus
from penstock.running.tally import Tally
from penstock.store.announced import ACTION, FINISHED, SAVED, STARTED, Listed
from penstock.store.reader import StoreReader
from penstock.store.told_again.earlier import EarlierAttempts
from penstock.store.told_again.telling import KEPT, Step, steps_of
from penstock.summary import StudySummary

__all__ = ["Retelling", "Told"]

_MOST_ROWS = 64
"""So many rows that hold nothing that is wanted are passed over at once."""

_ROWS = f"""
SELECT seq, session_id, at, what, told FROM announced WHERE seq > ? ORDER BY seq LIMIT {_MOST_ROWS}
"""  # noqa: S608 - our own names
_OPENING = f"""
SELECT told FROM announced WHERE what = '{STARTED}' AND seq < ? ORDER BY seq DESC LIMIT 1
"""  # noqa: S608 - our own names
_ACTION = "SELECT who, what, old, new, reason FROM action WHERE id = ?"
_RUN_IDS = "SELECT id, run_id FROM attempt WHERE id IN ({})"


class Told(NamedTuple):
    """Events that are told in one go."""

    events: Sequence[Event]
    seq: int
    """Everything up to this number is told."""

    is_all: bool
    """Whether the store holds nothing more so far."""


class Retelling:
    """Tells again what the store of a study holds.

    Args:
        store: The store, which may be written meanwhile.
        kinds: Which classes of events, of those that can be told again.
    """

    def __init__(self, store: StoreReader, kinds: Sequence[type[Event]] = KEPT) -> None:
        self._store = store
        self._study_id = store.study_id
        self._kinds = frozenset(kinds)
        self._tells_runs = any(issubclass(kind, RunEvent) for kind in kinds)
        self._earlier = EarlierAttempts(store)
        self._make: dict[type[Event], Callable[..., Event]] = {
            kind: unchecked(kind) for kind in KEPT
        }

    def after(self, seq: int) -> Told:
        """Return the next events that are wanted, after the one of a number.

        Args:
            seq: The number; 0 for the beginning.
        """
        while self._earlier.holds_after(seq):
            numbered = self._earlier.after(seq)
            events = [*self._events(numbered, seq)]
            seq = numbered[-1][0]
            if events:
                return Told(events, seq, is_all=False)

        rows = [*self._store.rows(_ROWS, (seq,))]
        for row in rows:
            steps = self._steps_of_row(row)
            first = row["seq"] - len(steps) + 1
            events = [*self._events(enumerate(steps, start=first), seq)]
            seq = row["seq"]
            if events:
                return Told(events, seq, is_all=False)

        return Told((), seq, is_all=len(rows) < _MOST_ROWS)

    def _events(self, steps: Iterable[tuple[int, Step]], after: int) -> Iterator[Event]:
        """Make those of numbered events that are wanted and not told yet."""
        for seq, step in steps:
            if seq > after and step.kind in self._kinds:
                make = self._make[step.kind]
                yield make(seq=seq, at=step.at, study_id=self._study_id, **step.fields)

    def _steps_of_row(self, row: sqlite3.Row) -> Sequence[Step]:
        at, told = datetime.fromisoformat(row["at"]), decode(row["told"])
        what = row["what"]
        if what == STARTED:
            return [Step(StudyStarted, at, _beginning(told))]

        if what == SAVED:
            return self._steps_of_group(row, at, told)

        if what == FINISHED:
            summary = StudySummary.model_validate(told["summary"])
            return [Step(StudyFinished, at, {"summary": summary})]

        if what == ACTION:
            rows = self._store.rows(_ACTION, (told["action"],))
            return [Step(ActionTaken, at, _action(each)) for each in rows]

        return []  # a newer version wrote it

    def _steps_of_group(self, row: sqlite3.Row, at: datetime, told: Any) -> Sequence[Step]:
        attempts = [
            Listed(*each) if isinstance(each, list) else Listed(each) for each in told["attempts"]
        ]
        ids = tuple(each.attempt_id for each in attempts)
        marks = ", ".join("?" * len(ids))
        steps: list[Step] = []
        if self._tells_runs:
            found = self._store.attempts(f"id IN ({marks})", ids)
            run_ids = {attempt_id: result.run_id for attempt_id, (_, result) in found.items()}
            for each in attempts:
                if each.attempt_id in found:
                    _, result = found[each.attempt_id]
                    steps += steps_of(each, result, saved_at=at)
        else:
            run_ids = {row[0]: row[1] for row in self._store.rows(_RUN_IDS.format(marks), ids)}

        ended = [each.attempt_id for each in attempts if each.how == "finished"]
        saved = {
            "run_ids": tuple(run_ids[each] for each in ended if each in run_ids),
            "summary": self._summary(row["seq"], told),
        }
        return [*steps, Step(RunsSaved, at, saved)]

    def _summary(self, seq: int, told: Mapping[str, Any]) -> StudySummary | None:
        """Return where the study stood with a group."""
        for row in self._store.rows(_OPENING, (seq,)):
            opening = _beginning(decode(row["told"]))["summary"]
            gained = {RunStatus(name): count for name, count in told["gained"].items()}
            unstopped = {"stopped_because": None, "is_out_of_budget": False}
            tally = Tally(
                opening.model_copy(update=unstopped), **told["counts"], gained=Counter(gained)
            )
            return tally.summary()

        return None


def _beginning(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **told,
        "notes": tuple(told["notes"]),
        "warnings": tuple(told["warnings"]),
        "summary": StudySummary.model_validate(told["summary"]),
    }


def _action(row: sqlite3.Row) -> dict[str, Any]:
    old, new = (None if row[name] is None else decode(row[name]) for name in ("old", "new"))
    return {"who": row["who"], "what": row["what"], "old": old, "new": new, "reason": row["reason"]}

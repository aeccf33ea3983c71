"""What was announced and is saved, as rows of the store in the order in which it was saved.

A row stands for a group of attempts that were saved together, for the beginning or the end of a
session, or for an action. It holds what no other table does: that the facts of it are to be told
again, in which order, and under which numbers. `penstock.store.told_again.retelling` reads it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from penstock._base.fact import EMPTY
from penstock._base.json import decode, encode
from penstock.results import RunResult, RunStatus, timestamp
from penstock.running.tally import COUNTED, Tally
from penstock.store.transaction import Statement

__all__ = [
    "ACTION",
    "ANNOUNCED_TABLES",
    "ANNOUNCE_ACTION",
    "BEFORE_BITS",
    "FINISHED",
    "NO_WAITS",
    "SAVED",
    "STARTED",
    "Listed",
    "Waits",
    "announced_group",
    "announced_session",
    "gained_in",
    "in_turn",
    "listed",
]

ANNOUNCED_TABLES = """
CREATE TABLE announced (
    seq INTEGER PRIMARY KEY,        -- of the last event that it stands for, over all sessions
    session_id INTEGER NOT NULL,
    at TEXT NOT NULL,
    what TEXT NOT NULL,             -- the class of that event
    told TEXT NOT NULL              -- JSON: what of it is in no other table
);

CREATE TABLE delivered (
    name TEXT PRIMARY KEY,          -- of a durable subscriber
    seq INTEGER NOT NULL,           -- of the last event that it has acknowledged
    at TEXT NOT NULL
) WITHOUT ROWID;
"""

STARTED, SAVED, FINISHED, ACTION = "StudyStarted", "RunsSaved", "StudyFinished", "ActionTaken"
"""What rows stand for."""

BEFORE_BITS = 20
"""Attempts of sessions from before there were such rows have so many bits of numbers each."""

Waits = Mapping[tuple[str, int], float]
"""Run and attempt -> how long the run waits until it is tried again, in seconds."""

NO_WAITS: Waits = MappingProxyType({})

_LAST_SEQ = f"""
coalesce((SELECT max(seq) FROM announced), (SELECT max(id) + 1 FROM attempt) << {BEFORE_BITS}, 0)
"""  # noqa: S608 - our own names
_ANNOUNCE = f"""
INSERT INTO announced (seq, session_id, at, what, told) SELECT {_LAST_SEQ} + ?, ?, ?, ?, ?
"""
ANNOUNCE_ACTION = f"""
INSERT INTO announced (seq, session_id, at, what, told)
SELECT {_LAST_SEQ} + 1, coalesce(session_id, 0), at, '{ACTION}', json_object('action', id)
FROM action WHERE id = last_insert_rowid()
"""  # noqa: S608 - our own names
"""Follows the row of the action in its transaction."""

_NOT_SCORED_BEFORE, _SCORED_AGAIN = None, -1


class Listed(NamedTuple):
    """An attempt in a group."""

    attempt_id: int
    how: str = "finished"
    """What was announced of its end: ``finished``, ``retried``, ``cancelled``, or ``answered``."""

    said: int | None = _NOT_SCORED_BEFORE
    """How many of its observations an earlier group tells, which tells its start too; None where
    there is no earlier one. Of an answer, how many are told with it; -1 where an earlier session
    has told all of them, for its answer was scored again."""

    wait_s: float | None = None
    """How long its run waits for the next attempt."""

    @property
    def tells_start(self) -> bool:
        """Whether that the attempt began is told with it."""
        return self.said is None or self.how == "answered" or self.is_scored_again

    @property
    def is_scored_again(self) -> bool:
        """Whether it is an earlier session's answer."""
        return self.said == _SCORED_AGAIN

    def observed(self, count: int) -> range:
        """Return which of so many observations are told with it."""
        if self.is_scored_again:
            return range(0)

        said = self.said or 0
        return range(min(said, count)) if self.how == "answered" else range(said, count)

    def events(self, count: int) -> int:
        """Return how many events it stands for, where it has so many observations."""
        if self[1:] == _PLAIN:
            return count + 2

        return self.tells_start + len(self.observed(count)) + (self.how != "answered")


def listed(
    attempt_id: int, result: RunResult, *, final: bool, said: int | None, waits: Waits
) -> Listed:
    """List an attempt that is saved.

    Args:
        attempt_id: Its id.
        result: The attempt.
        final: Whether it is the result of its run.
        said: How many of its observations were told with its answer; None where that was not
            saved before.
        waits: How long runs wait that are tried again.
    """
    before = _SCORED_AGAIN if result.is_rescored else said
    if result.status is RunStatus.SCORING:
        return Listed(attempt_id, "answered", len(result.reported))

    if result.status is RunStatus.CANCELLED:
        return Listed(attempt_id, "cancelled", before)

    if final:
        return Listed(attempt_id, "finished", before)

    wait_s = waits.get((result.run_id, result.attempt), 0.0)
    return Listed(attempt_id, "retried", before, wait_s)


def in_turn(
    attempts: Iterable[tuple[RunResult, bool]],
    made: Iterable[Listed],
    scored: Iterable[int],
    waits: Waits,
) -> list[Listed]:
    """List attempts in the order in which they ended.

    Args:
        attempts: Each attempt, and whether it is its run's result.
        made: Those of them that this session made, in that order.
        scored: The ids of the others, which are kept answers that were scored again.
        waits: How long runs wait that are tried again.
    """
    mine, others = iter(made), iter(scored)
    return [
        listed(next(others), result, final=final, said=None, waits=waits)
        if result.is_rescored
        else next(mine)
        for result, final in attempts
    ]


def announced_group(
    session_id: int,
    attempts: Sequence[Listed],
    results: Iterable[tuple[RunResult, bool]],
    tally: Tally,
) -> Statement:
    """Write that attempts are saved together.

    Args:
        session_id: The session that saves them.
        attempts: The attempts in the order in which they ended.
        results: The same, each with whether it is its run's result.
        tally: What the session has counted with them.
    """
    pairs = zip(attempts, results, strict=True)
    events = 1 + sum(each.events(len(result.reported)) for each, (result, _) in pairs)
    told = {
        "attempts": [each.attempt_id if each[1:] == _PLAIN else each for each in attempts],
        "counts": {name: getattr(tally, name) for name in COUNTED if getattr(tally, name)},
        "gained": {str(status): count for status, count in tally.gained.items() if count},
    }
    return _row(events, session_id, SAVED, told)


_PLAIN = Listed(0)[1:]


def gained_in(connection: sqlite3.Connection, session_id: int) -> Counter[RunStatus]:
    """Return by how much a session has changed the study's counts of runs with all it has saved.

    Args:
        connection: The store.
        session_id: The session.
    """
    for (gained,) in connection.execute(_GAINED, (session_id,)):
        return Counter({RunStatus(name): count for name, count in decode(gained).items()})

    return Counter()


_GAINED = f"""
SELECT told -> '$.gained' FROM announced WHERE session_id = ? AND what = '{SAVED}'
ORDER BY seq DESC LIMIT 1
"""  # noqa: S608 - our own names


def announced_session(session_id: int, what: str, told: Mapping[str, Any] = EMPTY) -> Statement:
    """Write that a session began or has ended.

    Args:
        session_id: The session.
        what: `STARTED` or `FINISHED`.
        told: The fields of the event.
    """
    return _row(1, session_id, what, told)


def _row(events: int, session_id: int, what: str, told: Mapping[str, Any]) -> Statement:
    return (_ANNOUNCE, [(events, session_id, timestamp(), what, encode(told))])

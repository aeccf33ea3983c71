"""What was done to a study while runs were left: by whom, when and why.

An action takes effect at once. The process that runs the study keeps it through the connection
that keeps results, in its turn; any other one through a connection of its own.
"""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from getpass import getuser
from pathlib import Path
from typing import Any, NamedTuple

from penstock._base.json import decode, encode
from penstock.results import timestamp
from penstock.store import STORE_FILE
from penstock.store.announced import ANNOUNCE_ACTION
from penstock.store.layout import refuse_older
from penstock.store.reader import StoreReader
from penstock.store.transaction import Statement, open_existing, store_failure, transact
from penstock.study.settings import SETTABLE, Settings

__all__ = [
    "DECLARE",
    "KEEP_ACTION",
    "SET",
    "STOP_FOR_GOOD",
    "UNBLIND",
    "Action",
    "actions",
    "keep_action",
    "made_action",
    "notes_of_actions",
    "pause_of",
    "statements_of",
    "this_person",
    "this_user",
]

UNBLIND = "unblind"
"""What conditions came to was looked at."""

STOP_FOR_GOOD = "stop for good"
"""Nobody means to make the runs that are left."""

DECLARE = "declare"
"""What begins the name of a change of what the study declares: ``declare hypotheses.h2``."""

SET = "set"
"""What begins the name of an action that sets a value: ``set execution.concurrency``."""

_MOST_SHOWN = 80


class Action(NamedTuple):
    """Something that a person or a program did to a study."""

    at: str
    """When, in UTC as ISO 8601."""

    who: str
    what: str
    """``pause``, ``pause now``, ``resume``, ``stop``, ``stop now``, ``stop for good``,
    ``unblind``, or ``set`` and the name of a value, or ``declare`` and that of what the study
    declares otherwise."""

    old: str | None
    """What a value was, as JSON; None where no value was set."""

    new: str | None
    reason: str
    ended: int
    """How many runs of the plan had a result then."""

    planned: int

    @property
    def is_declaration(self) -> bool:
        """Whether it is a change of what the study declares."""
        return self.what.startswith(f"{DECLARE} ")

    @property
    def shows_outcomes(self) -> bool:
        """Whether what conditions came to is shown from then on."""
        return self.what in (UNBLIND, STOP_FOR_GOOD)

    def __str__(self) -> str:
        runs = f"with {self.ended:,} of {self.planned:,} runs ended"
        if self.what == UNBLIND:
            return f"Unblinded {self.at[:10]} {runs}: {self.reason}"

        by = f" by {self.who}" if self.who else ""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.said} {self.at[:16].replace('T', ' ')} UTC{by} {runs}{why}"

    @property
    def said(self) -> str:
        """What was done, in words, without when and by whom."""
        if self.is_declaration:
            return self._declared(self.what.removeprefix(f"{DECLARE} "))

        if self.what.startswith(f"{SET} "):
            name = self.what.removeprefix(f"{SET} ")
            return f"{name} set from {self.old} to {self.new}"

        said = {
            "pause": "Paused",
            "pause now": "Paused at once",
            "resume": "Resumed",
            STOP_FOR_GOOD: "Ended for good",
        }
        return said.get(self.what) or self.what.replace("stop", "Stopped").replace(
            "purge", "Purged of"
        )

    def _declared(self, name: str) -> str:
        old, new = (None if each is None else _cut(each) for each in (self.old, self.new))
        if name.startswith("problems "):
            return f"{name}: {decode(self.new or 'null')}"

        if old is None or new is None:
            is_value = not (old or new or "").startswith(("{", '"…'))
            was = f"set to {new}" if old is None else f"no longer {old}"
            return f"{name} {was if is_value else 'added' if old is None else 'dropped'}"

        if old == new:  # too long, or not to be kept
            return f"{name} changed"

        return f"{name} changed from {old} to {new}"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def actions(store: StoreReader) -> list[Action]:
    """Return what was done to a study, the first action first."""
    query = "SELECT at, who, what, old, new, reason, ended, planned FROM action ORDER BY id"
    return [Action(*row) for row in store.table(query)]


def pause_of(store: StoreReader) -> Action | None:
    """Return what keeps the last session from starting runs until somebody resumes, if it is."""
    query = (
        "SELECT at, who, what, old, new, reason, ended, planned FROM action "
        "WHERE session_id = (SELECT max(id) FROM session) "
        "AND what IN ('pause', 'pause now', 'resume') ORDER BY id DESC LIMIT 1"
    )
    last = next(map(Action._make, store.table(query)), None)
    return None if last is None or last.what == "resume" else last


def made_action(
    *,
    who: str,
    what: str,
    reason: str,
    ended: int,
    planned: int,
    old: Any = None,
    new: Any = None,
) -> Action:
    """Make the action that somebody takes now.

    Args:
        who: Who does it.
        what: What is done.
        reason: Why, in their words.
        ended: How many runs of the plan have a result.
        planned: Runs in the plan.
        old: What the value was that is set.
        new: What it is from now on.
    """
    kept = (encode(old), encode(new)) if what.startswith(f"{SET} ") else (None, None)
    return Action(timestamp(), who, what, kept[0], kept[1], reason.strip(), ended, planned)


def statements_of(action: Action) -> list[Statement]:
    """Return what keeps an action, with its place in what is told again, in one transaction."""
    return [(KEEP_ACTION, [tuple(action)]), (ANNOUNCE_ACTION, [()])]


def keep_action(
    directory: Path, *, who: str, what: str, reason: str, old: Any = None, new: Any = None
) -> Action:
    """Save an action on a study; when this returns it survives a crash.

    Args:
        directory: The study's output directory; the study may be running.
        who: Who does it.
        what: What is done.
        reason: Why, in their words.
        old: What the value was that is set.
        new: What it is from now on.

    Raises:
        StoreError: the store cannot be written, or an older version of penstock wrote it.
    """
    path = directory / STORE_FILE
    with StoreReader(directory) as store:
        refuse_older(directory, store.layout)
        ran = {"ended": store.count(), "planned": store.planned()}

    done = made_action(who=who, what=what, reason=reason, old=old, new=new, **ran)
    try:
        with closing(open_existing(path)) as connection:
            transact(connection, statements_of(done))
    except sqlite3.Error as error:
        raise store_failure(path, error) from error

    return done


def this_user() -> str:
    """Return the name of the user of this process; empty where nobody knows it."""
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""


def this_person() -> str:
    """Return who uses this process: the user and the machine, as an action keeps it."""
    return f"{this_user()}@{socket.gethostname()}"


KEEP_ACTION = """
INSERT INTO action (at, who, what, old, new, reason, ended, planned, session_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT max(id) FROM session))
"""

_OF_THE_SESSION_BEFORE = """
SELECT at, who, what, old, new, reason, ended, planned FROM action
WHERE session_id = (SELECT max(id) FROM session WHERE id < ?) ORDER BY id
"""


def notes_of_actions(
    connection: sqlite3.Connection, session_id: int, declared: Settings
) -> Iterator[str]:
    """Describe what the session before was told that this one does not go by.

    Args:
        connection: The store, which a session has begun.
        session_id: That session.
        declared: What the study declares.
    """
    last = {}
    for row in connection.execute(_OF_THE_SESSION_BEFORE, (session_id,)):
        action = Action(*row)
        last[action.what] = action

    for what, action in last.items():
        name = what.removeprefix(f"{SET} ")
        if what == STOP_FOR_GOOD:
            yield (
                f"{action}. What conditions came to may have been seen since; this session makes "
                "the runs that are left all the same"
            )
        elif name in SETTABLE and decode(action.new or "null") != declared.value(name):
            yield (
                f"{name} was set to {action.new} for the session before, by {action.who}; the "
                f"study says {encode(declared.value(name))}, and what is set holds for its session "
                "alone"
            )

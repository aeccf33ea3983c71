"""Whether a store is of the study that is to be run: its id, its agents, its problems.

What was answered one way must not be mixed with another. These are plain functions over a
connection: a session asks them before it writes, and whoever only wants to know asks the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock._base.json import encode
from penstock.errors import ForeignDirectoryError
from penstock.planning.plan import Plan
from penstock.running.binding import Bindings
from penstock.store.continuing.origins import (
    Origins,
    Other,
    other_agents,
    other_problems,
    other_sources,
)
from penstock.store.files.purged import refuse_purged
from penstock.store.starts import FILE, read_starts
from penstock.study.chat import ChatOptions
from penstock.study.model_options import OF_THE_CALL

__all__ = ["accept_payloads", "edited_agents", "refuse_changes", "refuse_older_copy"]

_MOST_PROBLEMS = 10
_MOST_SHOWN = 60
"""So many changed problems are named, and so many characters of what each was."""


def refuse_changes(
    connection: sqlite3.Connection,
    directory: Path,
    plan: Plan,
    bindings: Bindings,
    *,
    rescore: bool,
) -> None:
    """Refuse a store of another study, or one whose kept results were declared otherwise.

    What is expected of an answer may change: answers are scored again. A function that was edited
    is told by `edited_agents`.

    Args:
        connection: The store.
        directory: Where it is.
        plan: The plan of today.
        bindings: What takes part in it.
        rescore: Whether kept answers are scored again whatever it costs: then all of a problem's
            payload may have changed.

    Raises:
        ForeignDirectoryError: it is another study's, or agents or problems have changed; it
            names them.
    """
    ((study_id,),) = connection.execute("SELECT study_id FROM study")
    if study_id != plan.study.study_id:
        raise ForeignDirectoryError(
            f"{directory} holds study {study_id!r}, not {plan.study.study_id!r}; "
            "run in another directory (output_dir), or move the old one aside with fresh"
        )

    refuse_purged(connection, directory, plan.problems())
    problems = [*_changed_problems(connection, bindings, rescore=rescore)]
    more = len(problems) - _MOST_PROBLEMS
    changed = [
        *_changed_agents(connection, plan),
        *problems[:_MOST_PROBLEMS],
        *([f"and {more:,} more problems"] if more > 0 else []),
    ]
    if changed:
        raise ForeignDirectoryError(
            f"{directory} holds results of this study from before a change: {'; '.join(changed)}. "
            "Restore it, give what changed another name, run in another directory (output_dir), "
            "or move the old one aside with fresh; where only what answers are scored by changed "
            "in a payload, use rescore"
        )


def accept_payloads(connection: sqlite3.Connection, origins: Origins) -> None:
    """Take kept answers for answers to the problems of now, which differ in their payload alone.

    Args:
        connection: The store, inside a transaction; nothing else has changed, or it was refused.
        origins: The rows of what takes part now.
    """
    connection.executemany(
        "UPDATE attempt SET problem_made = ?2 WHERE problem_id = ?1 AND problem_made <> ?2",
        origins.problems.items(),
    )


def edited_agents(connection: sqlite3.Connection, bindings: Bindings) -> Iterator[str]:
    """Yield which agents made kept results by code or a model that has been edited since.

    Args:
        connection: The store.
        bindings: What takes part, with the fingerprints of its code.
    """
    others = [*other_sources(connection, bindings)]
    if others:
        told = ", ".join(_of_agent(each) for each in others)
        of_code = all(each.now == _CODE for each in others)
        what = "code" if of_code else "code or models"
        yield (
            f"kept results were made by other {what} than that of now: {told}. They stay as they "
            f"are, and what is missing is made by the {what} of now. To make all of them by it, "
            "run with fresh (--fresh); to keep both, give the agent of now another name, or run in "
            "another directory (output_dir, --output-dir)"
        )


_CODE = "its code"


def _of_agent(other: Other) -> str:
    changed = "" if other.now == _CODE else f" ({other.now} changed)"
    return f"{other.results:,} of agent {other.name!r}{changed}"


def refuse_older_copy(connection: sqlite3.Connection, path: Path) -> tuple[int, int]:
    """Refuse a store that does not know the last session that made calls from its directory.

    Args:
        connection: The store.
        path: Its file.

    Returns:
        The session that last counted its calls, and how many it made.

    Raises:
        ForeignDirectoryError: the store is older than what was counted beside it.
    """
    session_id, started = read_starts(path.parent)
    ((last,),) = connection.execute("SELECT coalesce(max(id), 0) FROM session")
    if session_id > last:
        raise ForeignDirectoryError(
            f"{path} knows nothing of the last session, which made {started:,} calls: it "
            f"is an older copy, or {path.name}-wal was deleted. Put it back; to go on "
            f"without what that session saved, delete {path.with_name(FILE)}"
        )

    return session_id, started


def _changed_agents(connection: sqlite3.Connection, plan: Plan) -> Iterator[str]:
    for other in other_agents(connection, plan):
        if told := _agent_change(other.before, other.now):
            yield f"agent {other.name!r} {told} ({other.results} results)"


_UNSAID = ChatOptions.model_construct(base_url="", model="").model_dump(mode="json")
"""What a chat agent means that was declared before it could say so."""


def _agent_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return how an agent's declaration changed, where its answers may have; else nothing."""
    if "chat" not in before or "chat" not in now:
        return "" if before == now else f"was {_said(before)} and is {_said(now)}"

    if ("models" in before["chat"]) != ("models" in now["chat"]):
        return "names its model in another way"

    earlier, later = _by_model(before["chat"]), _by_model(now["chat"])
    told = {}
    for name in (each for each in later if each in earlier):  # one that is added changes no other
        fields = _different({**_UNSAID, **earlier[name]}, later[name])
        told[name] = ", ".join(field for field in fields if field not in OF_THE_CALL)

    changes = (f"{said} of model {name!r}" if name else said for name, said in told.items() if said)
    return f"has another {listed}" if (listed := "; ".join(changes)) else ""


def _by_model(chat: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return what is asked of each model that runs choose from; under no name, what is for all."""
    return {"": {"model": chat["model"]}, **chat["models"]} if "models" in chat else {"": chat}


def _changed_problems(
    connection: sqlite3.Connection, bindings: Bindings, *, rescore: bool
) -> Iterator[str]:
    for other in other_problems(connection, bindings):
        before, now = _asked(other.before, rescore), _asked(other.now, rescore)
        if fields := [*_different(before, now)]:
            was = "; ".join(_was_and_is("", {f: before.get(f) for f in fields}, now))
            yield (
                f"problem {other.name!r} has another {', '.join(fields)} ({other.results} results)"
                f": {was}"
            )


def _was_and_is(path: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield each field that differs by its place, with what it was and what it is."""
    for name in before if not path else dict.fromkeys((*before, *now)):
        own, old, new = f"{path}{name}", before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _was_and_is(f"{own}.", old, new)
        elif old != new:
            yield f"{own} was {_shortly(old)} and is {_shortly(new)}"


def _shortly(value: Any) -> str:
    written = "nothing" if value is None else encode(value)
    return written if len(written) <= _MOST_SHOWN else f"{written[: _MOST_SHOWN - 1]}…"


def _asked(problem: Mapping[str, Any], rescore: bool) -> Mapping[str, Any]:  # noqa: FBT001
    """Leave out of a problem what its answers are only scored by."""
    payload = problem.get("payload", {})
    asked = {} if rescore else {name: payload[name] for name in payload if name != "expected"}
    return {**problem, "evaluator": None, "payload": asked}


def _different(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    return (field for field in now if before.get(field) != now[field])


def _said(declaration: Mapping[str, Any]) -> str:
    return declaration.get("call") or "a chat model"

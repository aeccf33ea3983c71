"""Whether a store is of the study that is to be run: its id, its agents, its problems.

What was answered one way must not be mixed with another. These are plain functions over a
connection: a session asks them before it writes, and whoever only wants to know asks the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock._base.json import decode
from penstock.errors import ForeignDirectoryError
from penstock.store.declarations import problem_row
from penstock.store.starts import FILE, read_starts
from penstock.study.chat import ChatOptions
from penstock.study.model import Study

__all__ = ["refuse_changes", "refuse_older_copy"]

_KEPT = "SELECT count(*) FROM attempt WHERE final AND status <> 'failed' AND "


def refuse_changes(
    connection: sqlite3.Connection, directory: Path, study: Study, *, rescore: bool
) -> None:
    """Refuse a store of another study, or one whose kept results were declared otherwise.

    A function that was edited, or bound in Python under a name that it had not, cannot be told
    from the one before.

    Args:
        connection: The store, with the declarations of the session before.
        directory: Where it is.
        study: The study as it is declared now.
        rescore: Whether kept answers are scored again: then payloads may have changed, for what
            is expected is in them.

    Raises:
        ForeignDirectoryError: it is another study's, or agents or problems have changed; it
            names them.
    """
    ((study_id,),) = connection.execute("SELECT study_id FROM study")
    if study_id != study.study_id:
        raise ForeignDirectoryError(
            f"{directory} holds study {study_id!r}, not {study.study_id!r}; "
            "run in another directory (output_dir), or move the old one aside with fresh"
        )

    changed = [
        f"{what} ({kept} results)"
        for column, name, what in [
            *_changed_agents(connection, study),
            *_changed_problems(connection, study, but={"payload"} if rescore else set()),
        ]
        if (kept := _count(connection, f"{_KEPT} {column} = ?", name))
    ]
    if changed:
        raise ForeignDirectoryError(
            f"{directory} holds results of this study from before a change: {'; '.join(changed)}. "
            "Restore it, give what changed another name, run in another directory (output_dir), "
            "or move the old one aside with fresh; where only the expected answers changed, use "
            "rescore"
        )


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


_Changes = list[tuple[str, str, str]]


def _changed_agents(connection: sqlite3.Connection, study: Study) -> _Changes:
    ((definition,),) = connection.execute("SELECT definition FROM study")
    before = decode(definition)["agents"]
    now = study.model_dump(mode="json", include={"agents"})["agents"]
    return [
        ("agent_id", name, f"agent {name!r} {told}")
        for name in before.keys() & now.keys()
        if (told := _agent_change(before[name], now[name]))
    ]


_OF_THE_CALL = frozenset(
    {
        "api_key_env",
        "api_key_file",
        "api_key_command",
        "api_key_header",
        "proxy",
        "ca_file",
        "verify_tls",
        "timeout_s",
        "connect_timeout_s",
    }
)
"""What a chat agent's answers do not depend on."""


_UNSAID = ChatOptions.model_construct(base_url="", model="").model_dump(mode="json")
"""What a chat agent means that was declared before it could say so."""


def _agent_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say how an agent's declaration changed, where its answers may have; else nothing."""
    if "chat" in before and "chat" in now:
        fields = _different(_UNSAID | before["chat"], now["chat"])
        told = ", ".join(field for field in fields if field not in _OF_THE_CALL)
        return f"has another {told}" if told else ""

    return "" if before == now else f"was {_said(before)} and is {_said(now)}"


def _changed_problems(connection: sqlite3.Connection, study: Study, *, but: set[str]) -> _Changes:
    before = dict(connection.execute("SELECT problem_id, definition FROM problem").fetchall())
    changes = []
    for _, name, definition in (problem_row(0, problem) for problem in study.problems):
        if definition != before.get(name, definition):
            fields = _different(decode(before[name]), decode(definition))
            told = ", ".join(field for field in fields if field not in {"evaluator", *but})
            if told:
                changes.append(("problem_id", name, f"problem {name!r} has another {told}"))

    return changes


def _different(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    return (field for field in now if before.get(field) != now[field])


def _said(declaration: Mapping[str, Any]) -> str:
    return declaration.get("call") or "a chat model"


def _count(connection: sqlite3.Connection, sql: str, name: str) -> int:
    ((count,),) = connection.execute(sql, (name,))
    return int(count)

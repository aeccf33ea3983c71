"""Changes between sessions: what was answered one way must not be mixed with another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiosqlite

from penstock._base.json import decode
from penstock.errors import ForeignDirectoryError
from penstock.store.declarations import problem_row
from penstock.study.model import Study

__all__ = ["refuse_changes"]

_KEPT = "SELECT count(*) FROM attempt WHERE final AND status <> 'failed' AND "


async def refuse_changes(
    connection: aiosqlite.Connection, directory: Path, study: Study, *, rescore: bool
) -> None:
    """See that agents and problems whose results are kept are declared as they were.

    A function that was edited, or bound in Python under a name that it had not, cannot be told
    from the one before.

    Args:
        connection: The store, still with the declarations of the session before.
        directory: Where it is.
        study: The study as it is declared now.
        rescore: Whether kept answers are scored again: then payloads may have changed, for what
            is expected is in them.

    Raises:
        ForeignDirectoryError: some have changed; it names them.
    """
    changed = [
        f"{what} ({kept} results)"
        for column, name, what in [
            *await _changed_agents(connection, study),
            *await _changed_problems(connection, study, but={"payload"} if rescore else set()),
        ]
        if (kept := await _count(connection, f"{_KEPT} {column} = ?", name))
    ]
    if changed:
        raise ForeignDirectoryError(
            f"{directory} holds results of this study from before a change: {'; '.join(changed)}. "
            "Restore it, give what changed another name, run in another directory (output_dir), "
            "or move the old one aside with fresh; where only the expected answers changed, use "
            "rescore"
        )


_Changes = list[tuple[str, str, str]]


async def _changed_agents(connection: aiosqlite.Connection, study: Study) -> _Changes:
    ((definition,),) = await connection.execute_fetchall("SELECT definition FROM study")
    before = decode(definition)["agents"]
    now = study.model_dump(mode="json", include={"agents"})["agents"]
    return [
        ("agent_id", name, f"agent {name!r} {told}")
        for name in before.keys() & now.keys()
        if (told := _agent_change(before[name], now[name]))
    ]


_OF_THE_CALL = frozenset({"api_key_env", "timeout_s", "connect_timeout_s"})
"""What a chat agent's answers do not depend on."""


def _agent_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say how an agent's declaration changed, where its answers may have; else nothing."""
    if "chat" in before and "chat" in now:
        fields = _different(before["chat"], now["chat"])
        told = ", ".join(field for field in fields if field not in _OF_THE_CALL)
        return f"has another {told}" if told else ""

    return "" if before == now else f"was {_said(before)} and is {_said(now)}"


async def _changed_problems(
    connection: aiosqlite.Connection, study: Study, *, but: set[str]
) -> _Changes:
    stored = await connection.execute_fetchall("SELECT problem_id, definition FROM problem")
    before = {row[0]: row[1] for row in stored}
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


async def _count(connection: aiosqlite.Connection, sql: str, name: str) -> int:
    ((count,),) = await connection.execute_fetchall(sql, (name,))
    return int(count)

"""What answers were made by: the problems and agents as they were declared then.

Each is a row while a result refers to it, so that leaving the plan and coming back otherwise
pairs no old answer with a new question.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from penstock._base.json import decode
from penstock.planning.plan import Plan
from penstock.running.binding import Bindings
from penstock.store.continuing.declaration_rows import agent_definition, problem_definition
from penstock.study.fingerprints import edited_parts

__all__ = [
    "Origins",
    "declare_origins",
    "other_agents",
    "other_problems",
    "other_sources",
    "redeclared_problems",
]

_KEPT = "final AND (status <> 'failed' OR error_stage = 'evaluator')"


class Origins(NamedTuple):
    """The rows of what takes part now, by name."""

    problems: Mapping[str, int]
    agents: Mapping[str, int]

    def of(self, problem_id: str | None, agent_id: str | None) -> tuple[int | None, int | None]:
        """Return the rows of the problem and the agent of a run."""
        return self.problems.get(problem_id or ""), self.agents.get(agent_id or "")


class Other(NamedTuple):
    """A declaration that kept results were made by and that is not the one of now."""

    name: str
    before: Any
    now: Any
    results: int


class Redeclared(NamedTuple):
    """A problem as it was declared before, and as it is declared now."""

    row: int
    name: str
    before: str
    now: str


def redeclared_problems(connection: sqlite3.Connection, bindings: Bindings) -> Iterator[Redeclared]:
    """Yield the problems that take part and were declared otherwise before, one by one."""
    rows = connection.execute("SELECT id, problem_id, definition FROM problem")
    for row_id, name, definition in rows:
        if name in bindings.problems:
            now = problem_definition(bindings.problems[name])
            if now != definition:
                yield Redeclared(row_id, name, definition, now)


def other_problems(connection: sqlite3.Connection, bindings: Bindings) -> Iterator[Other]:
    """Yield the problems that kept results answer and that are declared otherwise now."""
    changed = redeclared_problems(connection, bindings)
    first = next(changed, None)
    if first is None:
        return

    results = _results(connection, "problem_made")
    for each in chain([first], changed):
        if each.row in results:
            yield Other(each.name, decode(each.before), decode(each.now), results[each.row])


def other_agents(connection: sqlite3.Connection, plan: Plan) -> Iterator[Other]:
    """Yield the agents that kept results come from and that are declared otherwise now."""
    changed = {}
    for row_id, name, definition, _ in _agents(connection):
        now = agent_definition(plan.study, name)
        if "null" not in (now, definition) and now != definition:
            changed[row_id] = name, definition, now

    results = _results(connection, "agent_made") if changed else {}
    for row_id, (name, definition, now) in changed.items():
        if row_id in results:
            yield Other(name, decode(definition), decode(now), results[row_id])


def other_sources(connection: sqlite3.Connection, bindings: Bindings) -> Iterator[Other]:
    """Yield the agents that kept results come from and whose code, or model, is another now.

    What of it is another stands in ``now``.
    """
    changed = {}
    for row_id, name, _, source in _agents(connection):
        now = bindings.sources.get(name, source)
        if source and (what := edited_parts(source, now)):
            changed[row_id] = name, ", ".join(what)

    results = _results(connection, "agent_made") if changed else {}
    found: dict[tuple[str, str], int] = {}
    for row_id, key in changed.items():
        found[key] = found.get(key, 0) + results.get(row_id, 0)

    return (Other(name, None, what, count) for (name, what), count in found.items() if count)


def declare_origins(connection: sqlite3.Connection, plan: Plan, bindings: Bindings) -> Origins:
    """Write what takes part now; what was declared before stays while a result refers to it."""
    connection.execute("UPDATE problem SET position = NULL")
    connection.execute("UPDATE agent SET is_current = 0")
    declared = {each.problem_id: each for each in plan.study.problems}
    problems = {}
    for position, (name, problem) in enumerate({**declared, **bindings.problems}.items()):
        place = position if name in declared else None  # others are only known in Python
        told = (name, problem_definition(problem))
        connection.execute(
            "INSERT INTO problem (position, problem_id, definition) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET position = excluded.position",
            (place, *told),
        )
        problems[name] = _id(connection, "problem", "problem_id = ? AND definition = ?", told)

    agents = {}
    for name in {**plan.study.agents, **bindings.agents}:
        told = (name, agent_definition(plan.study, name))
        source = bindings.sources.get(name, "")
        # What is known only from now on, of results that a store of before has kept.
        connection.execute(
            "UPDATE OR IGNORE agent SET source = ? WHERE agent_id = ? AND definition = ? "
            "AND source = ''",
            (source, *told),
        )
        connection.execute(
            "INSERT INTO agent (is_current, agent_id, definition, source) VALUES (1, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET is_current = 1",
            (*told, source),
        )
        where = "agent_id = ? AND definition = ? AND source = ?"
        agents[name] = _id(connection, "agent", where, (*told, source))

    _forget(connection, "problem", "position IS NULL", "problem_made", problems.values())
    _forget(connection, "agent", "NOT is_current", "agent_made", agents.values())
    return Origins(problems, agents)


def _agents(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    query = "SELECT id, agent_id, definition, source FROM agent"
    return [tuple(row) for row in connection.execute(query)]


def _results(connection: sqlite3.Connection, column: str) -> dict[int, int]:
    """Count the kept results by the row that they were made by, in one pass front to back.

    Through the index of results it takes four times as long.
    """
    query = f"SELECT {column}, count(*) FROM attempt NOT INDEXED WHERE {_KEPT} GROUP BY 1"  # noqa: S608
    return dict(connection.execute(query).fetchall())


def _id(connection: sqlite3.Connection, table: str, where: str, told: tuple[Any, ...]) -> int:
    ((row_id,),) = connection.execute(f"SELECT id FROM {table} WHERE {where}", told)  # noqa: S608
    return int(row_id)


def _forget(
    connection: sqlite3.Connection, table: str, where: str, column: str, current: Any
) -> None:
    """Forget what was declared before and no attempt was made by."""
    old = [row_id for (row_id,) in connection.execute(f"SELECT id FROM {table} WHERE {where}")]  # noqa: S608
    kept = {*current}
    for row_id in (each for each in old if each not in kept):
        used = f"SELECT 1 FROM attempt WHERE {column} = ? LIMIT 1"  # noqa: S608
        if connection.execute(used, (row_id,)).fetchone() is None:
            connection.execute(f"DELETE FROM {table} WHERE id = ?", (row_id,))  # noqa: S608

"""Attempts of another plan: where they stand in the plan of today."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from penstock.errors import ForeignDirectoryError
from penstock.planning.plan import Plan
from penstock.store.schema import RESULT_INDEX
from penstock.study import identity

__all__ = ["adopt", "moved_in"]

Who: TypeAlias = tuple[str, ...]
"""The condition, the agent and the problem of a run."""


def adopt(connection: sqlite3.Connection, moved: Mapping[int, int | None]) -> None:
    """Move stored attempts to their positions in another plan; those outside it have none.

    Args:
        connection: The store, inside a transaction.
        moved: What `moved_in` gave.
    """
    _move(connection, sorted(moved.items(), key=itemgetter(0)))


def moved_in(
    connection: sqlite3.Connection, directory: Path, plan: Plan
) -> Mapping[int, int | None]:
    """Find the attempts that stand elsewhere in a plan: their ids -> their positions there.

    Args:
        connection: The store.
        directory: Where it is.
        plan: The plan of today.

    Raises:
        ForeignDirectoryError: runs of it have other seeds, in the plan or outside it.
    """
    places = _Places(plan)
    moved: dict[int, int | None] = {}
    for attempt_id, final, run_id, seed, position, replicate, *names in connection.execute(_WHO):
        who: Who = tuple(names)
        to = places.find(run_id, replicate, who)
        if not places.has_seed(seed, replicate, who, is_result=bool(final)):
            if final:  # they and those of now could never be in one plan
                raise _other_seeds(directory)

            to = None

        if position != to:
            moved[attempt_id] = to

    return moved


_WHO = (
    "SELECT id, final, run_id, seed, position, replicate, condition_id, agent_id, problem_id "
    "FROM attempt NOT INDEXED"
)


class _Places:
    """Finds runs in a plan: a position is counted from that of the first replicate.

    Ids and seeds are hashes of what a run is. So those of one run tell whether all runs of the same
    condition, agent and problem have the ids and seeds of the plan, and the others are not hashed.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._cells = {cell.condition.condition_id: n for n, cell in enumerate(plan.cells)}
        self._known: dict[Who, tuple[int, int, int] | None] = {}
        self._checked: set[Who] = set()

    def find(self, run_id: str, replicate: int, who: Who) -> int | None:
        """Return the position of a run; None where the plan holds no such."""
        if who not in self._known:
            condition_id, agent_id, problem_id = who
            names = (condition_id, replicate, agent_id or None, problem_id or None)
            is_ours = run_id == identity.run_id(self._plan.study.study_id, *names)
            self._known[who] = self._first(who) if is_ours else None

        known = self._known[who]
        if known is None or replicate > known[2]:
            return None

        return known[0] + (replicate - 1) * known[1]

    def has_seed(self, seed: int, replicate: int, who: Who, *, is_result: bool) -> bool:
        """Return whether a run has the seed of the plan; of results that are alike one is asked."""
        if is_result and who in self._checked:
            return True

        condition_id, agent_id, problem_id = who
        if is_result:
            self._checked.add(who)

        return self._plan.seed_of(condition_id, replicate, agent_id, problem_id) in (None, seed)

    def _first(self, who: Who) -> tuple[int, int, int] | None:
        """Return where the first replicate stands, how far the next is, and how many there are."""
        condition_id, agent_id, problem_id = who
        index = self._cells.get(condition_id)
        if index is None:
            return None

        _, agents, problems, replicates = self._plan.cells[index]
        if agent_id not in agents or problem_id not in problems:
            return None

        digit = agents.index(agent_id) * len(problems) + problems.index(problem_id)
        return self._plan.starts[index] + digit, len(agents) * len(problems), replicates


def _other_seeds(directory: Path) -> ForeignDirectoryError:
    return ForeignDirectoryError(
        f"{directory} holds runs of this study made with another seed policy; "
        "restore base_seed, run in another directory (output_dir), or move the old "
        "one aside with fresh"
    )


def _move(connection: sqlite3.Connection, moved: Sequence[tuple[int, int | None]]) -> None:
    """Move attempts to new positions in one pass over the file, front to back."""
    if not moved:
        return

    connection.execute("DROP INDEX result_by_position")  # two may swap their places
    connection.executemany("UPDATE attempt SET position = ?2 WHERE id = ?1", moved)
    connection.execute(RESULT_INDEX)

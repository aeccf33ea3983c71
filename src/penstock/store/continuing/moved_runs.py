"""Attempts of another plan: where they stand in the plan of today."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from penstock.errors import ForeignDirectoryError
from penstock.planning.plan import Plan
from penstock.store.schema import RESULT_INDEX
from penstock.study import identity

__all__ = ["adopt", "moved_in"]

Who: TypeAlias = tuple[str, ...]
"""The condition, the agent and the problem of a run."""

_PLACE = (
    "place_in_plan(final, run_id, seed, position, replicate, condition_id, agent_id, problem_id)"
)
_MOVED = f"position IS NOT {_PLACE}"
_ANY_MOVED = f"SELECT 1 FROM attempt NOT INDEXED WHERE {_MOVED} LIMIT 1"  # noqa: S608 - our own words
_FIND_MOVED = f"SELECT id, {_PLACE} FROM attempt NOT INDEXED WHERE {_MOVED}"  # noqa: S608
_MOVE = f"UPDATE attempt NOT INDEXED SET position = {_PLACE} WHERE {_MOVED}"  # noqa: S608


def adopt(connection: sqlite3.Connection, directory: Path, plan: Plan) -> frozenset[str]:
    """Move stored attempts to their positions in another plan; those outside it have none.

    Args:
        connection: The store, inside a transaction.
        directory: Where it is.
        plan: The plan of today.

    Returns:
        The problems of attempts that had none, and have one now.

    Raises:
        ForeignDirectoryError: runs of it have other seeds, in the plan or outside it.
    """
    with _placing(connection, directory, plan) as places:
        if connection.execute(_ANY_MOVED).fetchone() is not None:
            connection.execute("DROP INDEX result_by_position")  # two may swap their places
            connection.execute(_MOVE)
            connection.execute(RESULT_INDEX)

        return frozenset(places.returned)


def moved_in(
    connection: sqlite3.Connection, directory: Path, plan: Plan
) -> Mapping[int, int | None]:
    """Find the attempts that stand elsewhere in a plan: their ids -> their positions there.

    The arguments and errors are those of `adopt`; nothing is written.
    """
    with _placing(connection, directory, plan):
        return dict(connection.execute(_FIND_MOVED).fetchall())


@contextmanager
def _placing(connection: sqlite3.Connection, directory: Path, plan: Plan) -> Iterator[_Places]:
    """Let SQL ask where attempts stand in a plan, so that none is kept in memory meanwhile."""
    places = _Places(plan)
    connection.create_function("place_in_plan", 8, places.place, deterministic=True)
    try:
        yield places
    except sqlite3.OperationalError:
        if places.has_other_seeds:
            raise _other_seeds(directory) from None

        raise
    finally:
        connection.create_function("place_in_plan", 8, None)


class _OtherSeedsError(Exception):
    """A result and the run of the plan could never be in one plan."""


class _Places:
    """Finds runs in a plan: a position is counted from that of the first replicate.

    Ids and seeds are hashes of what a run is. So those of one run tell whether all runs of the same
    condition, agent and problem have the ids and seeds of the plan, and the others are not hashed.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: Plan) -> None:
        self.has_other_seeds = False
        self.returned: set[str] = set()
        self._plan = plan
        self._cells = {cell.condition.condition_id: n for n, cell in enumerate(plan.cells)}
        self._known: dict[Who, tuple[int, int, int] | None] = {}
        self._checked: set[Who] = set()
        self._digits_of: dict[int, Mapping[str, int]] = {}

    def place(
        self,
        final: int,
        run_id: str,
        seed: int,
        position: int | None,
        replicate: int,
        *who: str,
    ) -> int | None:
        """Return where an attempt stands in the plan, and note where it had no place before."""
        to = self._find(run_id, replicate, who)
        if not self._has_seed(seed, replicate, who, is_result=bool(final)):
            if final:
                self.has_other_seeds = True
                raise _OtherSeedsError

            return None

        if position is None and to is not None:
            self.returned.add(who[-1])

        return to

    def _find(self, run_id: str, replicate: int, who: Who) -> int | None:
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

    def _has_seed(self, seed: int, replicate: int, who: Who, *, is_result: bool) -> bool:
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

        cell = self._plan.cells[index]
        agents, problems = self._digits(cell.agents), self._digits(cell.problems)
        if agent_id not in agents or problem_id not in problems:
            return None

        digit = agents[agent_id] * len(problems) + problems[problem_id]
        return self._plan.starts[index] + digit, len(agents) * len(problems), cell.replicates

    def _digits(self, names: tuple[str, ...]) -> Mapping[str, int]:
        """Return where each name stands in a list, which thousands of conditions may share."""
        if id(names) not in self._digits_of:
            self._digits_of[id(names)] = {name: digit for digit, name in enumerate(names)}

        return self._digits_of[id(names)]


def _other_seeds(directory: Path) -> ForeignDirectoryError:
    return ForeignDirectoryError(
        f"{directory} holds runs of this study made with another seed policy; "
        "restore base_seed, run in another directory (output_dir), or move the old "
        "one aside with fresh"
    )

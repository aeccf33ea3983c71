"""What earlier sessions left, and where it stands in the plan of today."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite

from penstock.errors import ForeignDirectoryError
from penstock.planning.plan import Plan
from penstock.results import RunStage, RunStatus
from penstock.store.schema import RESULT_INDEX, UNFINISHED

__all__ = ["Restored", "adopt", "restored"]

_CHUNK = 10_000
_FINISHED = "SELECT position FROM attempt WHERE final AND position IS NOT NULL"
_ATTEMPTED = "SELECT position, final, status, number, error_stage FROM attempt"
_UNFINISHED = f"position IS NOT NULL AND {UNFINISHED}"


class Restored(NamedTuple):
    """What an earlier session left: which runs need no more doing."""

    done: bytearray
    """One byte for each position of the plan: 1 where the run has a result that is kept."""

    attempts: dict[int, int]
    """Position -> attempts made, for runs that failed and run again."""

    answered: set[int]
    """Positions of runs whose answer is kept and only wants scoring."""

    lost_calls: int = 0
    """Calls that may have been paid for and have no result: their sessions were killed."""

    @property
    def kept(self) -> int:
        """How many runs are kept."""
        return self.done.count(1)


async def restored(connection: aiosqlite.Connection, planned: int, *, rescore: bool) -> Restored:
    """Find what earlier sessions left, in indexes alone: no result is read.

    Args:
        connection: The store; its positions are those of the plan.
        planned: How many runs the plan holds.
        rescore: Whether answers that were scored are to be scored again; then all are read.
    """
    left = Restored(bytearray(planned), {}, set())
    async for chunk in _chunks(connection, _FINISHED):
        for (position,) in chunk:
            left.done[position] = 1

    looked_at = "position IS NOT NULL" if rescore else _UNFINISHED
    async for chunk in _chunks(connection, f"{_ATTEMPTED} WHERE {looked_at}"):
        for position, final, status, number, stage in chunk:
            if final and status == RunStatus.SKIPPED:
                continue

            if final:
                left.done[position] = 0
                if status == RunStatus.SUCCESS or stage == RunStage.EVALUATOR:
                    left.answered.add(position)

            left.attempts[position] = max(number, left.attempts.get(position, 0))

    return left


async def adopt(connection: aiosqlite.Connection, directory: Path, plan: Plan) -> None:
    """Move stored runs to their positions in another plan; those outside it have none.

    Args:
        connection: The store, inside a transaction.
        directory: Where it is.
        plan: The plan of today.

    Raises:
        ForeignDirectoryError: runs of it have other seeds.
    """
    query = "SELECT run_id, id, seed, position FROM attempt NOT INDEXED WHERE final"
    stored = {row[0]: row[1:] for row in await connection.execute_fetchall(query)}
    moved: list[tuple[int, int | None]] = []
    for spec in plan if stored else ():
        attempt_id, seed, position = stored.pop(spec.run_id, (None, spec.seed, None))
        if seed != spec.seed:
            raise ForeignDirectoryError(
                f"{directory} holds runs of this study made with another seed policy; "
                "restore base_seed, run in another directory (output_dir), or move the old "
                "one aside with fresh"
            )

        if attempt_id is not None and position != spec.position:
            moved.append((attempt_id, spec.position))

    moved += [(attempt_id, None) for attempt_id, _, at in stored.values() if at is not None]
    await _move(connection, sorted(moved, key=itemgetter(0)))


async def _move(connection: aiosqlite.Connection, moved: Sequence[tuple[int, int | None]]) -> None:
    """Give attempts new positions in one pass over the file, front to back."""
    await connection.execute(
        "UPDATE attempt SET position = NULL WHERE NOT final AND position IS NOT NULL"
    )
    if not moved:
        return

    await connection.execute("DROP INDEX result_by_position")  # two may swap their places
    await connection.executemany("UPDATE attempt SET position = ?2 WHERE id = ?1", moved)
    await connection.execute(RESULT_INDEX)


async def _chunks(connection: aiosqlite.Connection, query: str) -> AsyncIterator[Iterable[Any]]:
    async with connection.execute(query) as cursor:
        while chunk := await cursor.fetchmany(_CHUNK):
            yield chunk

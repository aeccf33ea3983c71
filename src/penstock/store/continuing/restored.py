"""What earlier sessions left, and where it stands in the plan of today."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from penstock.planning.fingerprint import fingerprint_of
from penstock.planning.plan import Plan
from penstock.results import RunResult, RunStage, RunStatus
from penstock.running.binding import Bindings
from penstock.running.job import Job
from penstock.store.continuing.moved_runs import moved_in
from penstock.store.continuing.refused import Refused, find_refused
from penstock.store.schema import UNFINISHED
from penstock.store.scores.legacy_scores import has_scores_of_before
from penstock.store.scores.scorings import Scorings, find_scorings
from penstock.summary import StudySummary

__all__ = ["Restored", "restored", "would_restore"]

_FINISHED = "SELECT id, position FROM attempt WHERE final"
_ATTEMPTED = "SELECT id, position, final, status, number, error_stage FROM attempt"
_OUTSIDE = "SELECT id, problem_id FROM attempt NOT INDEXED WHERE position IS NULL"


class Restored(NamedTuple):
    """What an earlier session left: which runs need no more doing."""

    done: bytearray
    """One byte for each position of the plan: 1 where the run has a result that is kept."""

    attempts: dict[int, int]
    """Position -> attempts made, for runs that failed and run again."""

    answered: set[int]
    """Positions of runs whose answer is kept and only wants scoring."""

    failed: set[int]
    """Positions of runs whose result is a failure, which is made again."""

    held_back: frozenset[str] = frozenset()
    """Evaluators that do not score kept answers in this session, for it may cost."""

    notes: tuple[str, ...] = ()
    """What a session does with results that are kept, a sentence each."""

    warnings: tuple[str, ...] = ()
    """What a person should know of them, and may have to do, a sentence each."""

    @classmethod
    def nothing(cls, planned: int) -> Restored:
        """State that no earlier session has left anything.

        Args:
            planned: How many runs the plan holds.
        """
        return cls(bytearray(planned), {}, set(), set())

    @property
    def kept(self) -> int:
        """How many runs are kept."""
        return self.done.count(1)

    def jobs(
        self,
        order: Iterable[int],
        chosen: bytearray,
        recall: Callable[[int], Awaitable[RunResult]],
        note_call: Callable[[int], None],
    ) -> Iterator[Job]:
        """Return what a session does of a plan.

        Args:
            order: The positions of the plan in the order in which they are started.
            chosen: Which of them the session does.
            recall: Reads a kept answer, by its position.
            note_call: Counts calls of agents (see `Job`).
        """
        wanted = (each for each in enumerate(order) if chosen[each[1]])
        for planned_order, position in islice(wanted, chosen.count(1)):  # and no further
            yield Job(
                position,
                planned_order,
                self.attempts.get(position, 0),
                recall if position in self.answered else None,
                self.replaced(position),
                note_call,
            )

    def told(self, summary: StudySummary, left_out: int) -> dict[str, Any]:
        """Return what `StudyStarted` says of a session that begins.

        Args:
            summary: Where the study stands.
            left_out: How many runs the session leaves to a later one.
        """
        return {
            "planned": summary.planned,
            "restored": summary.session.restored,
            "lost_calls": summary.lost_calls,
            "left_out": left_out,
            "notes": self.notes,
            "warnings": self.warnings,
            "summary": summary,
        }

    def replaced(self, position: int) -> RunStatus | None:
        """Return how the result at a position ended that another will take the place of."""
        if position in self.failed:
            return RunStatus.FAILED

        return RunStatus.SUCCESS if position in self.answered else None


def restored(
    connection: sqlite3.Connection,
    planned: int,
    *,
    scorings: Scorings,
    refused: Refused,
    moved: Mapping[int, int | None] = MappingProxyType({}),
) -> Restored:
    """Find what earlier sessions left, in indexes alone: no result is read.

    Args:
        connection: The store.
        planned: How many runs the plan holds.
        scorings: Which answers are scored again; where that is all of them, all are read.
        refused: Which runs were refused for good.
        moved: Attempt -> its position in the plan, where it does not stand there yet.
    """
    left = Restored.nothing(planned)
    for attempt_id, stored in connection.execute(_FINISHED):
        if (position := moved.get(attempt_id, stored)) is not None:
            left.done[position] = 1

    where = "1" if scorings.is_redone else UNFINISHED
    for attempt_id, stored, *attempt in connection.execute(f"{_ATTEMPTED} WHERE {where}"):
        if (position := moved.get(attempt_id, stored)) is not None:
            _leave(left, position, _Attempt(*attempt))

    return _with_scorings(left, scorings, refused)


class _Attempt(NamedTuple):
    """What is looked at of an attempt."""

    final: int
    status: str
    number: int
    error_stage: str | None


def _leave(left: Restored, position: int, attempt: _Attempt) -> None:
    """Note what an attempt leaves to do at its position."""
    final, status, number, stage = attempt
    # An attempt that was given up is made again, under the same number.
    if status == RunStatus.CANCELLED or (final and status == RunStatus.SKIPPED):
        return

    if final or status == RunStatus.SCORING:
        left.done[position] = 0
        if status == RunStatus.SUCCESS or stage == RunStage.EVALUATOR:
            left.answered.add(position)

        if status == RunStatus.FAILED:
            left.failed.add(position)

    left.attempts[position] = max(number, left.attempts.get(position, 0))


def would_restore(
    connection: sqlite3.Connection,
    directory: Path,
    plan: Plan,
    bindings: Bindings,
    *,
    rescore: bool,
    retry_failed: bool = False,
) -> Restored:
    """Find what a session of a plan would find, whatever plan the store was last run with.

    Nothing is written; the arguments are those of a session.
    """
    ((fingerprint,),) = connection.execute("SELECT fingerprint FROM study")
    is_moved = fingerprint != fingerprint_of(plan)
    moved = moved_in(connection, directory, plan) if is_moved else {}
    if has_scores_of_before(connection):
        scorings = Scorings(is_redone=rescore)  # a session says first what made them
    else:
        scorings = find_scorings(
            connection,
            plan,
            bindings,
            rescore=rescore,
            returned=_returned(connection, moved) if is_moved else None,
            moved=moved,
        )

    refused = find_refused(connection, plan, bindings, retry_failed=retry_failed, moved=moved)
    return restored(connection, len(plan), scorings=scorings, refused=refused, moved=moved)


def _returned(connection: sqlite3.Connection, moved: Mapping[int, int | None]) -> set[str]:
    """Return the problems of attempts that come back to the plan (see `find_scorings`)."""
    return {
        problem_id
        for attempt_id, problem_id in connection.execute(_OUTSIDE)
        if moved.get(attempt_id) is not None
    }


def _with_scorings(left: Restored, scorings: Scorings, refused: Refused) -> Restored:
    """Mark the kept answers that are scored again, and the runs that are not asked again."""
    for position, number in scorings.touched.items():
        left.done[position] = 0
        left.answered.add(position)
        left.attempts[position] = max(number, left.attempts.get(position, 0))

    for position in () if refused.is_asked_again else refused.same:
        left.done[position] = 1
        left.failed.discard(position)

    return left._replace(
        held_back=frozenset(each.evaluator for each in scorings.held),
        notes=(*scorings.told(), *refused.told()),
        warnings=tuple(scorings.warnings()),
    )

"""An attempt that is leased, a worker as the driver knows it, and what of it is saved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

import anyio

from penstock._base.loop import Once
from penstock.engines.messages import Lease, ToWorker, result_of
from penstock.errors import StopStudy, WorkerLostError
from penstock.results import RunResult, RunStage, RunStatus
from penstock.running.attempt import Attempt
from penstock.running.attempts import Task
from penstock.running.failures import error_of
from penstock.summary import WorkerNow

__all__ = ["Acknowledging", "Leased", "Worker"]


@dataclass(slots=True, eq=False)
class Leased:
    """An attempt that a worker makes, or that waits for one.

    Args:
        number: The number of the lease.
        attempt: What the driver knows of it.
        task: What is to be done in it.
        worker: Who makes it; None while it waits.
        answered: What is kept of its answer, where that is being scored.
        result: What it came to.
        lost: Why there is none, where its worker is gone, or none will come.
        is_revoked: Whether the study has cancelled it.
        is_over: Set when one of the two is there, or nobody is to make it.
    """

    number: int
    attempt: Attempt
    task: Task
    worker: Worker | None = None
    answered: RunResult | None = None
    result: RunResult | None = None
    lost: WorkerLostError | StopStudy | None = None
    is_revoked: bool = False
    is_over: Once = field(default_factory=Once)

    @property
    def position(self) -> int:
        """Which run, by its place in the plan."""
        return self.attempt.ctx.spec.position

    def outcome(self, said: Mapping[str, Any]) -> RunResult:
        """Return what its worker has told that it came to."""
        by = self.worker if self.task.earlier is None else None
        return result_of(said, self.attempt.ctx.spec, None if by is None else by.name)

    def end(self) -> RunResult:
        """Return what it came to in the end: whose worker is lost comes to what it had answered."""
        attempt, lost, earlier = self.attempt, self.lost, self.answered or self.task.earlier
        if self.result is not None:
            attempt.ctx.end()
            return self.result

        if not isinstance(lost, WorkerLostError) or not lost.is_culprit:
            return self.answered or attempt.cut_off(lost)

        if earlier is None:
            return attempt.cut_off(lost)

        attempt.ctx.end()
        error = error_of(lost, RunStage.EVALUATOR)
        failed = {"status": RunStatus.FAILED, "error": error, "is_rescored": True}
        return earlier.model_copy(update=failed)

    def terms(self) -> Lease:
        """Return what the worker is told."""
        ctx, task = self.attempt.ctx, self.task
        return Lease(
            lease=self.number,
            position=self.position,
            attempt=ctx.attempt,
            planned_order=ctx.planned_order,
            started_order=ctx.started_order,
            timeout_s=task.timeout_s,
            evaluator_timeout_s=self.attempt.evaluator_timeout_s,
            earlier=task.earlier,
            has_scored=tuple(sorted(task.has_scored)),
        )


@dataclass(slots=True, eq=False)
class Worker:
    """A worker that is there, what it makes, and what it is to be told."""

    name: str
    capacity: int
    leases: dict[int, Leased] = field(default_factory=dict)
    outbox: list[ToWorker] = field(default_factory=list)
    has_mail: anyio.Event = field(default_factory=anyio.Event)
    ended: int = 0
    is_lost: bool = False
    most: float = inf
    """How many it may make at once beside those of its runs that are suspected."""

    @property
    def room(self) -> float:
        """How many more attempts it may make now."""
        return min(self.capacity, self.most) - len(self.leases)

    def now(self) -> WorkerNow:
        """Return what it does, or, where it is lost, what was lost with it."""
        held = len(self.leases)
        count = {"lost": held, "in_flight": 0} if self.is_lost else {"in_flight": held}
        return WorkerNow(worker=self.name, ended=self.ended, is_there=not self.is_lost, **count)

    def say(self, message: ToWorker) -> None:
        """Send a message soon, with whatever else is sent until then."""
        self.outbox.append(message)
        self.has_mail.set()


class Acknowledging:
    """Acknowledges each batch of a worker when all that it holds is saved.

    Args:
        acknowledge: Called with a worker and the number of its batch that is saved.
    """

    def __init__(self, acknowledge: Callable[[str, int], None]) -> None:
        self._acknowledge = acknowledge
        self._left: dict[tuple[str, int], int] = {}
        self._batches: dict[tuple[str, int], tuple[str, int]] = {}

    def expect(self, worker: str, seq: int, ended: Collection[tuple[str, int]]) -> None:
        """Note a batch, and the attempts (run, number) that ended in it; none is saved already."""
        if not ended:
            self._acknowledge(worker, seq)
            return

        self._left[worker, seq] = len(ended)
        for attempt in ended:
            self._batches[attempt] = worker, seq

    def note_saved(self, run_id: str, attempt: int) -> None:
        """Note that an attempt is saved."""
        batch = self._batches.pop((run_id, attempt), None)
        if batch is None or batch not in self._left:
            return

        self._left[batch] -= 1
        if not self._left[batch]:
            del self._left[batch]
            self._acknowledge(*batch)

    def forget(self, worker: str) -> None:
        """Acknowledge nothing more to a worker: it is gone."""
        for batch in [batch for batch in self._left if batch[0] == worker]:
            del self._left[batch]

"""The scheduler: so many jobs at once, each in a task of its own, none held before its turn.

It knows neither stores nor events. A job is started when there is a slot for it and the gate is
open, so what it holds grows with what is in flight and never with what is to come. Every job has
its own asyncio task: its own cancellation and its own context variables. Raw tasks are used
because they cost a fifth of an anyio spawn; `Scheduler.run` outlives all of them but those it
abandons.

Anybody may cancel a task, and nothing in it tells who did. So the scheduler writes down what it
orders (`Orders`), and whoever does a job reads there whether its cancellation was meant.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - tasks of its own; see above
import heapq
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar

import anyio

__all__ = ["Orders", "Scheduler"]

Job = TypeVar("Job")

_BURST = 64
"""Jobs started in a row before the rest of the event loop has its turn."""


@dataclass(slots=True)
class Orders:
    """What a scheduler has ordered.

    Attributes:
        stopped: Nothing is started any more, and nothing is tried again.
        cancelled: What is in flight is cancelled. A cancellation that arrives before this is set
            is somebody else's.
    """

    stopped: bool = False
    cancelled: bool = False


class Scheduler(Generic[Job]):
    """Runs jobs from an iterator, at most ``limit`` at once.

    Args:
        work: Does one job; returns None when the job is over, or the seconds to wait before it
            is tried again. While it waits it holds no slot. It must not raise, and must not end
            with a cancellation pending.
        limit: How many jobs may be in flight; may be set while running.
        gate: Asked before each start: None where it is open, else what to wait for.
        orders: Where it writes down what it orders, for those who do the jobs.
        grace_s: After how many seconds jobs that ignore their cancellation are abandoned: `run`
            returns without them.
        on_abandoned: Called with each job that is abandoned.
        on_recalled: Called with each job that is recalled, before it is cancelled.
    """

    def __init__(
        self,
        work: Callable[[Job], Coroutine[Any, Any, float | None]],
        limit: int,
        gate: Callable[[], Awaitable[None] | None] = lambda: None,
        *,
        orders: Orders | None = None,
        grace_s: float = math.inf,
        on_abandoned: Callable[[Job], None] = lambda _: None,
        on_recalled: Callable[[Job], None] = lambda _: None,
    ) -> None:
        self.orders = orders or Orders()
        self.abandoned: list[Job] = []
        self._work = work
        self._limit = limit
        self._gate = gate
        self.grace_s = grace_s
        self._on_abandoned = on_abandoned
        self._on_recalled = on_recalled
        self._tasks: dict[asyncio.Task[float | None], Job] = {}
        self._starting: Job | None = None
        self._waiting: list[tuple[float, int, Job]] = []
        self._order = count()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop
        self._held_back: anyio.CancelScope | None = None
        self._grace_over: asyncio.TimerHandle | None = None
        self._failure: BaseException | None = None
        # Made once, not for every job.
        self._on_end = self._ended
        self._context = copy_context()

    @property
    def in_flight(self) -> int:
        """Jobs that have a slot."""
        return len(self._tasks)

    @property
    def waiting(self) -> int:
        """Jobs that wait to be tried again."""
        return len(self._waiting)

    def job_of(self, task: Any) -> Job | None:
        """Return the job that a task does, if it does one; any thread may ask."""
        return self._tasks.get(task, self._starting)

    @property
    def limit(self) -> int:
        """How many jobs may be in flight."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._wake.set()

    def stop(self) -> None:
        """Start nothing new, and drop what waits to be tried again; what is in flight ends."""
        self.orders.stopped = True
        if self._held_back is not None:
            self._held_back.cancel()

        self._wake.set()

    def cancel(self) -> None:
        """Stop, and cancel what is in flight; what ignores it for the grace is abandoned."""
        self.stop()
        self.orders.cancelled = True
        for task in list(self._tasks):
            task.cancel()

        if self._tasks:
            self._limit_grace()

    def recall(self) -> None:
        """Cancel what is in flight; whoever does it tells whether it is tried again."""
        for task, job in list(self._tasks.items()):
            self._on_recalled(job)
            task.cancel()

    def _limit_grace(self) -> None:
        if self._grace_over is None and self.grace_s < math.inf:
            self._grace_over = self._loop.call_later(self.grace_s, self._abandon)

    def _abandon(self) -> None:
        for task, job in list(self._tasks.items()):
            if not task.done():  # else it has ended, and `_ended` is called soon
                del self._tasks[task]
                self.abandoned.append(job)
                self._on_abandoned(job)

        self._wake.set()

    async def run(self, jobs: Iterator[Job]) -> None:
        """Do every job; returns when all are over, or those in flight after a stop."""
        self._loop = asyncio.get_running_loop()
        interruption: BaseException | None = None
        try:
            await self._feed(jobs)
        except BaseException as error:  # noqa: BLE001 - raised below, when nothing is in flight
            interruption = error

        self.orders.stopped = True
        interruption = await self._drain() or interruption
        if self._grace_over is not None:
            self._grace_over.cancel()

        if self._failure is not None:
            raise self._failure from interruption

        if interruption is not None:
            raise interruption

    async def _drain(self) -> asyncio.CancelledError | None:
        """Wait for what is in flight, and return the cancellation that came meanwhile, if one did.

        Whoever cancels the wait: no job outlives its run.
        """
        cancelled: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while self._tasks:
                try:
                    await self._woken()
                except asyncio.CancelledError as error:  # asyncio's own; it passes every shield
                    cancelled = error
                    self.cancel()

        return cancelled

    async def _feed(self, jobs: Iterator[Job]) -> None:
        burst = 0
        exhausted = False
        job: Job | None = None
        while not self.orders.stopped:
            if len(self._tasks) >= self._limit:
                await self._woken()
                continue

            if job is None:
                job = self._due()

            # What waits to be tried again counts: else it would grow with the plan.
            if job is None and not exhausted and len(self._waiting) < max(self._limit, _BURST):
                job = next(jobs, None)
                exhausted = job is None

            if job is None:
                if not self._tasks and not self._waiting:
                    return

                await self._woken(at=self._waiting[0][0] if self._waiting else None)
            elif (held_back := self._gate()) is not None:  # asked only where there is a job for it
                with anyio.CancelScope() as self._held_back:
                    await held_back

                self._held_back = None
            else:
                self._start(job)
                job = None
                burst += 1
                if burst % _BURST == 0:
                    await asyncio.sleep(0)

    def _start(self, job: Job) -> None:
        self._starting = job  # an eager task makes its first step before it is known here
        task = self._loop.create_task(self._work(job))
        self._tasks[task] = job
        self._starting = None
        task.add_done_callback(self._on_end, context=self._context)
        if self.orders.cancelled:  # by that first step
            task.cancel()
            self._limit_grace()

    def _ended(self, task: asyncio.Task[float | None]) -> None:
        job = self._tasks.pop(task, None)
        self._wake.set()
        if job is None:  # it was abandoned, and ended after all
            if not task.cancelled():
                task.exception()  # nobody is left to hear of it

            return

        if task.cancelled():
            if not self.orders.cancelled:  # by a stranger, and before its first step
                self._try_again(job, 0.0)
        elif (failure := task.exception()) is not None:
            self._failure = self._failure or failure
            self.cancel()
        elif (wait_s := task.result()) is not None:
            self._try_again(job, wait_s)

    def _try_again(self, job: Job, wait_s: float) -> None:
        heapq.heappush(self._waiting, (self._loop.time() + wait_s, next(self._order), job))

    def _due(self) -> Job | None:
        if self._waiting and self._waiting[0][0] <= self._loop.time():
            return heapq.heappop(self._waiting)[2]

        return None

    async def _woken(self, at: float | None = None) -> None:
        """Wait until something changes, or until a moment of the loop's clock."""
        self._wake.clear()
        alarm = at and self._loop.call_at(at, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if alarm:
                alarm.cancel()

"""The scheduler: so many jobs at once, each in a task of its own, none held before its turn.

It knows neither stores nor events. A job is started when there is a slot for it and the gate is
open, so what it holds grows with what is in flight and never with what is to come. Every job has
its own asyncio task: its own cancellation and its own context variables. Raw tasks are used
because they cost a fifth of an anyio spawn; `Scheduler.run` outlives all of them but those it is
told to abandon.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - tasks of its own; see above
import heapq
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextvars import copy_context
from itertools import count
from typing import Any, Generic, TypeVar

import anyio

__all__ = ["Scheduler"]

Job = TypeVar("Job")

_BURST = 64
"""Jobs started in a row before the rest of the event loop has its turn."""


class Scheduler(Generic[Job]):
    """Runs jobs from an iterator, at most ``limit`` at once.

    Args:
        work: Does one job; returns None when the job is over, or the seconds to wait before it
            is tried again. While it waits it holds no slot. It must not raise.
        limit: How many jobs may be in flight; may be set while running.
        gate: Asked before each start: None where it is open, else what to wait for.
    """

    def __init__(
        self,
        work: Callable[[Job], Coroutine[Any, Any, float | None]],
        limit: int,
        gate: Callable[[], Awaitable[None] | None] = lambda: None,
    ) -> None:
        self._work = work
        self._limit = limit
        self._gate = gate
        self._tasks: dict[asyncio.Task[float | None], Job] = {}
        self._waiting: list[tuple[float, int, Job]] = []
        self._order = count()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop
        self._held_back: anyio.CancelScope | None = None
        self._stopping = False
        self.abandoned: list[Job] = []
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
        """Give the job that a task does, if it does one; any thread may ask."""
        return self._tasks.get(task)

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
        self._stopping = True
        if self._held_back is not None:
            self._held_back.cancel()

        self._wake.set()

    def cancel(self, grace_s: float = math.inf) -> None:
        """Stop, and cancel what is in flight.

        Args:
            grace_s: After how many seconds jobs that ignore their cancellation are abandoned:
                `run` returns without them, and `abandoned` names them.
        """
        self.stop()
        for task in self._tasks:
            task.cancel()

        if self._tasks and grace_s < math.inf:
            self._loop.call_later(grace_s, self._abandon)

    def _abandon(self) -> None:
        self.abandoned.extend(self._tasks.values())
        self._tasks.clear()
        self._wake.set()

    async def run(self, jobs: Iterator[Job]) -> None:
        """Do every job; returns when all are over, or those in flight after a stop."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._feed(jobs)
        finally:
            self._stopping = True
            await self._drain()

        if self._failure is not None:
            raise self._failure

    async def _drain(self) -> None:
        """Wait for what is in flight, whoever cancels the wait: no job outlives its run."""
        cancelled: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while self._tasks:
                try:
                    await self._woken()
                except asyncio.CancelledError as error:  # asyncio's own; it passes every shield
                    cancelled = error
                    self.cancel()

        if cancelled is not None:
            raise cancelled

    async def _feed(self, jobs: Iterator[Job]) -> None:
        burst = 0
        exhausted = False
        while not self._stopping:
            if len(self._tasks) >= self._limit:
                await self._woken()
                continue

            if (held_back := self._gate()) is not None:
                with anyio.CancelScope() as self._held_back:
                    await held_back

                self._held_back = None
                continue

            job = self._due()
            # What waits to be tried again counts: else it would grow with the plan.
            if job is None and not exhausted and len(self._waiting) < max(self._limit, _BURST):
                job = next(jobs, None)
                exhausted = job is None

            if job is not None:
                self._start(job)
                burst += 1
                if burst % _BURST == 0:
                    await asyncio.sleep(0)
            elif self._tasks or self._waiting:
                await self._woken(at=self._waiting[0][0] if self._waiting else None)
            else:
                return

    def _start(self, job: Job) -> None:
        task = self._loop.create_task(self._work(job))
        self._tasks[task] = job
        task.add_done_callback(self._on_end, context=self._context)

    def _ended(self, task: asyncio.Task[float | None]) -> None:
        job = self._tasks.pop(task, None)
        self._wake.set()
        if task.cancelled() or job is None:  # None: it was abandoned, and ended after all
            return

        if (failure := task.exception()) is not None:
            self._failure = self._failure or failure
            self.cancel()
        elif (wait_s := task.result()) is not None:
            due = self._loop.time() + wait_s
            heapq.heappush(self._waiting, (due, next(self._order), job))

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

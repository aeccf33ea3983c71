from __future__ import annotations

import asyncio  # noqa: TID251 - the tasks under test, and what cancels them
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from penstock._base.loop import call_soon_from_threads, task_from_threads, was_asked_to_cancel
from penstock.running.scheduler import Scheduler

pytestmark = pytest.mark.anyio


async def settled() -> None:
    """Wait until nothing more happens; what a task leaves behind is a callback, not a task."""
    for _ in range(3):
        await anyio.lowlevel.checkpoint()

    await anyio.wait_all_tasks_blocked()


class Work:
    """Jobs that wait until they are let go; it counts who is in flight."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.ended: list[int] = []
        self.cancelled: list[int] = []
        self.in_flight = 0
        self.most = 0
        self.pulled = 0
        self._let_go: dict[int, asyncio.Event] = {}

    async def __call__(self, job: int) -> None:
        self.started.append(job)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        self._let_go[job] = asyncio.Event()
        try:
            await self._let_go[job].wait()
            self.ended.append(job)
        except asyncio.CancelledError:
            self.cancelled.append(job)
            raise
        finally:
            self.in_flight -= 1

    def jobs(self, count: int) -> Iterator[int]:
        for job in range(count):
            self.pulled += 1
            yield job

    def let_go(self, *jobs: int) -> None:
        for job in jobs or self.started:
            self._let_go[job].set()


async def let_go_until_done(work: Work, running: asyncio.Task[None]) -> None:
    while not running.done():
        work.let_go()
        await anyio.lowlevel.checkpoint()

    await running


def start(scheduler: Scheduler[int], jobs: Iterable[int]) -> asyncio.Task[None]:
    return asyncio.create_task(scheduler.run(iter(jobs)))


async def test_every_job_is_done_once_and_in_order() -> None:
    done: list[int] = []

    async def work(job: int) -> None:
        done.append(job)

    await Scheduler(work, 3).run(iter(range(500)))

    assert done == list(range(500))


async def test_no_jobs_are_no_work() -> None:
    await Scheduler(Work(), 3).run(iter(()))


async def test_never_more_than_the_limit_are_in_flight_and_jobs_are_pulled_when_they_start() -> (
    None
):
    work = Work()
    scheduler = Scheduler(work, 3)
    running = start(scheduler, work.jobs(20))
    await settled()

    assert (scheduler.in_flight, work.pulled) == (3, 3)
    work.let_go(0)
    await settled()
    assert (work.started, work.pulled) == ([0, 1, 2, 3], 4)

    await let_go_until_done(work, running)
    assert (work.most, len(work.ended), scheduler.in_flight) == (3, 20, 0)


async def test_the_limit_can_be_raised_while_running() -> None:
    work = Work()
    scheduler = Scheduler(work, 2)
    running = start(scheduler, range(20))
    await settled()
    scheduler.limit = 5
    await settled()

    assert (scheduler.limit, work.in_flight) == (5, 5)
    await let_go_until_done(work, running)
    assert work.most == 5


async def test_a_lowered_limit_cancels_nothing_and_holds_from_then_on() -> None:
    work = Work()
    scheduler = Scheduler(work, 5)
    running = start(scheduler, range(20))
    await settled()
    scheduler.limit = 2
    work.let_go(0, 1, 2)
    await settled()
    assert (work.in_flight, len(work.started)) == (2, 5)

    work.let_go(3)
    await settled()
    assert (work.in_flight, len(work.started)) == (2, 6)

    work.most = 0
    await let_go_until_done(work, running)
    assert (work.most, len(work.ended), work.cancelled) == (2, 20, [])


async def test_a_job_that_is_tried_again_gives_its_slot_back_while_it_waits() -> None:
    tries: list[int] = []

    async def work(job: int) -> float | None:
        tries.append(job)
        return 0.01 if tries.count(job) < 3 else None

    scheduler = Scheduler(work, 1)
    await scheduler.run(iter(range(3)))

    assert tries[:3] == [0, 1, 2]  # while 0 waited, the others had their turn
    assert sorted(tries) == [0] * 3 + [1] * 3 + [2] * 3
    assert scheduler.waiting == 0


async def test_jobs_that_wait_to_be_tried_again_do_not_grow_with_the_plan() -> None:
    work = Work()
    limit, waiting = 10, 0

    async def fail(job: int) -> float:
        nonlocal waiting
        waiting += 1
        return 3600.0

    scheduler = Scheduler(fail, limit)
    running = start(scheduler, work.jobs(100_000))
    await settled()

    assert waiting == work.pulled == scheduler.waiting
    assert work.pulled <= 64 + limit
    scheduler.stop()
    await running


async def test_what_is_due_again_comes_before_what_is_new() -> None:
    order: list[int] = []

    async def work(job: int) -> float | None:
        order.append(job)
        return 0.0 if order.count(job) == 1 else None

    await Scheduler(work, 1).run(iter(range(3)))

    assert order == [0, 0, 1, 1, 2, 2]


async def test_a_stop_starts_nothing_new_and_lets_what_is_in_flight_end() -> None:
    work = Work()
    scheduler = Scheduler(work, 3)
    running = start(scheduler, work.jobs(20))
    await settled()
    scheduler.stop()
    work.let_go(0)
    await settled()
    assert not running.done()

    await let_go_until_done(work, running)
    assert (work.started, work.ended, work.cancelled) == ([0, 1, 2], [0, 1, 2], [])


async def test_a_stop_drops_what_waits_to_be_tried_again() -> None:
    async def work(job: int) -> float:
        return 3600.0

    scheduler = Scheduler(work, 3)
    running = start(scheduler, range(5))
    await settled()
    assert scheduler.waiting == 5
    scheduler.stop()
    await running


async def test_a_stop_before_the_start_does_nothing_at_all() -> None:
    work = Work()
    scheduler = Scheduler(work, 3)
    scheduler.stop()
    await scheduler.run(work.jobs(5))

    assert work.pulled == 0


async def test_cancelling_ends_what_is_in_flight() -> None:
    work = Work()
    scheduler = Scheduler(work, 3)
    running = start(scheduler, range(20))
    await settled()
    scheduler.cancel()
    await running

    assert (work.started, sorted(work.cancelled), work.ended) == ([0, 1, 2], [0, 1, 2], [])


@pytest.mark.virtual_time
async def test_jobs_that_ignore_their_cancellation_are_abandoned_after_a_grace() -> None:
    let_go = asyncio.Event()

    async def deaf(job: int) -> float:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

        return 1.0

    told: list[int] = []
    scheduler = Scheduler(deaf, 2, grace_s=0.01, on_abandoned=told.append)
    running = start(scheduler, range(5))
    await settled()
    scheduler.cancel()
    await running

    assert (sorted(scheduler.abandoned), scheduler.in_flight) == ([0, 1], 0)
    assert told == scheduler.abandoned
    let_go.set()
    await settled()
    assert scheduler.waiting == 0


async def test_nobody_is_abandoned_who_ends_within_the_grace() -> None:
    work = Work()
    scheduler = Scheduler(work, 2, grace_s=60)
    running = start(scheduler, range(5))
    await settled()
    scheduler.cancel()
    await running

    assert scheduler.abandoned == []


async def test_every_job_has_context_variables_of_its_own() -> None:
    name: ContextVar[str] = ContextVar("name", default="nobody's")
    seen: list[str] = []

    async def work(job: int) -> None:
        seen.append(name.get())
        name.set(f"job {job}")
        await anyio.lowlevel.checkpoint()
        assert name.get() == f"job {job}"

    await Scheduler(work, 2).run(iter(range(6)))

    assert seen == ["nobody's"] * 6
    assert name.get() == "nobody's"


async def test_an_error_inside_cancels_the_others_and_is_raised() -> None:
    work = Work()

    async def fail_at_2(job: int) -> None:
        if job == 2:
            raise ZeroDivisionError("a bug of ours")

        await work(job)

    with pytest.raises(ZeroDivisionError, match="a bug of ours"):
        await Scheduler(fail_at_2, 3).run(iter(range(20)))

    assert (work.started, sorted(work.cancelled)) == ([0, 1], [0, 1])


async def test_an_error_of_the_plan_lets_what_is_in_flight_end_and_is_raised() -> None:
    work = Work()

    def jobs() -> Iterator[int]:
        yield 0
        raise ZeroDivisionError("no next job")

    running = start(Scheduler(work, 3), jobs())
    await settled()
    work.let_go()
    with pytest.raises(ZeroDivisionError, match="no next job"):
        await running

    assert work.ended == [0]


@pytest.mark.field("engine-K11")
async def test_a_job_that_a_stranger_cancels_before_it_has_begun_is_begun_again() -> None:
    done: list[int] = []

    async def work(job: int) -> None:
        if job == 0:  # of the others none has made its first step
            for task in asyncio.all_tasks() - others - {asyncio.current_task(), running}:
                task.cancel()

        done.append(job)

    others = asyncio.all_tasks()
    running = start(Scheduler(work, 3), range(5))
    await running

    assert sorted(done) == list(range(5))


@pytest.mark.field("engine-K12")
async def test_after_an_error_inside_a_job_that_ignores_its_cancellation_is_abandoned() -> None:
    let_go = asyncio.Event()

    async def work(job: int) -> None:
        if job == 1:
            raise ZeroDivisionError("a bug of ours")

        while not let_go.is_set():
            with suppress(asyncio.CancelledError):
                await let_go.wait()

    scheduler = Scheduler(work, 2, grace_s=0.01)
    with pytest.raises(ZeroDivisionError, match="a bug of ours"):
        await scheduler.run(iter(range(5)))

    assert scheduler.abandoned == [0]
    let_go.set()
    await settled()


async def test_an_error_inside_is_raised_although_the_task_is_cancelled() -> None:
    async def fail(job: int) -> None:
        await anyio.lowlevel.checkpoint()
        running.cancel()
        raise ZeroDivisionError("a bug of ours")

    running = start(Scheduler(fail, 3), range(20))
    with pytest.raises(ZeroDivisionError, match="a bug of ours"):
        await running


@pytest.mark.field("engine-K19")
async def test_a_job_that_cancels_all_in_its_first_step_is_cancelled_itself() -> None:
    work = Work()

    async def cancel_first(job: int) -> None:
        scheduler.cancel()
        await work(job)

    scheduler = Scheduler(cancel_first, 2, grace_s=0.01)
    await start_eagerly(scheduler, range(5))

    assert (work.cancelled, scheduler.abandoned) == ([0], [])


@pytest.mark.field("engine-K19")
async def test_an_eager_job_is_known_in_its_first_step() -> None:
    known: list[int | None] = []

    async def work(job: int) -> None:
        known.append(scheduler.job_of(asyncio.current_task()))

    scheduler = Scheduler(work, 2)
    await start_eagerly(scheduler, range(3))

    assert known == [0, 1, 2]


def start_eagerly(scheduler: Scheduler[int], jobs: Iterable[int]) -> asyncio.Task[None]:
    """Start a scheduler whose tasks make their first step when they are made, from 3.12 on."""
    factory = getattr(asyncio, "eager_task_factory", None)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(factory)
        try:
            await scheduler.run(iter(jobs))
        finally:
            loop.set_task_factory(None)

    return asyncio.create_task(run())


class Gate:
    """A gate that is closed while it has something to wait for."""

    def __init__(self) -> None:
        self.closed: deque[asyncio.Event] = deque()
        self.asked = 0

    def __call__(self) -> Awaitable[None] | None:
        self.asked += 1
        return self._wait() if self.closed else None

    async def _wait(self) -> None:
        await self.closed[0].wait()

    def close(self) -> None:
        self.closed.append(asyncio.Event())

    def open(self) -> None:
        self.closed.popleft().set()


async def test_nothing_is_started_while_the_gate_is_closed() -> None:
    work, gate = Work(), Gate()
    gate.close()
    running = start(Scheduler(work, 3, gate), work.jobs(6))
    await settled()
    assert (work.started, work.pulled) == ([], 1)  # the one that waits

    gate.open()
    await settled()
    assert work.started == [0, 1, 2]
    assert gate.asked > work.pulled

    await let_go_until_done(work, running)


async def test_a_stop_does_not_wait_for_the_gate() -> None:
    work, gate = Work(), Gate()
    gate.close()
    scheduler = Scheduler(work, 3, gate)
    running = start(scheduler, work.jobs(6))
    await settled()
    scheduler.stop()
    await running

    assert (work.started, work.pulled) == ([], 1)


async def test_a_gate_that_stays_closed_keeps_nobody_where_nothing_is_left() -> None:
    work, gate = Work(), Gate()
    running = start(Scheduler(work, 3, gate), work.jobs(2))
    await settled()
    gate.close()
    await let_go_until_done(work, running)
    assert work.started == [0, 1]

    await Scheduler(work, 3, gate).run(work.jobs(0))


async def test_a_long_row_of_starts_lets_others_have_their_turn() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async def work(job: int) -> None: ...

    other = asyncio.create_task(others())
    await Scheduler(work, 10_000).run(iter(range(1000)))
    other.cancel()

    assert turns >= 10


async def test_cancelling_the_scope_of_a_run_starts_nothing_new_and_waits_for_the_rest() -> None:
    work = Work()
    scheduler = Scheduler(work, 3)
    returned = False

    async def run() -> None:
        nonlocal returned
        try:
            await scheduler.run(work.jobs(20))
        finally:
            returned = True

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await settled()
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await settled()
            assert not returned
            work.let_go()

    assert returned
    assert (work.started, work.ended, work.cancelled) == ([0, 1, 2], [0, 1, 2], [])


async def test_cancelling_the_task_of_a_run_once_waits_and_twice_cancels_the_rest() -> None:
    work = Work()
    running = start(Scheduler(work, 3), work.jobs(20))
    await settled()
    running.cancel()
    await settled()
    assert (running.done(), work.in_flight, work.cancelled) == (False, 3, [])

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (work.started, sorted(work.cancelled), work.in_flight) == ([0, 1, 2], [0, 1, 2], 0)


async def test_cancelling_a_run_that_is_stopping_is_not_forgotten() -> None:
    work = Work()
    scheduler = Scheduler(work, 2)
    running = start(scheduler, work.jobs(20))
    await settled()
    scheduler.stop()
    await settled()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert sorted(work.cancelled) == [0, 1]


async def test_a_task_knows_a_cancellation_from_a_raised_one() -> None:
    async def task(wait: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        try:
            await wait()
        except asyncio.CancelledError:
            return was_asked_to_cancel()

        return False

    async def raises() -> None:
        raise asyncio.CancelledError

    cancelled = asyncio.create_task(task(anyio.sleep_forever))
    await settled()
    cancelled.cancel()

    assert await cancelled
    assert not await asyncio.create_task(task(raises))


async def test_a_thread_may_ask_which_job_the_loop_is_doing() -> None:
    asked: list[tuple[int, int | None]] = []

    async def work(job: int) -> None:
        # The loop is in this step of the task for as long as the other thread takes.
        with ThreadPoolExecutor(1) as thread:
            asked.append((job, thread.submit(lambda: scheduler.job_of(current_task())).result()))

    current_task = task_from_threads()
    scheduler = Scheduler(work, limit=2)
    await scheduler.run(iter([7, 8]))

    assert asked == [(7, 7), (8, 8)]
    assert scheduler.job_of(current_task()) is None


async def test_a_thread_has_the_loop_call_something_without_waiting_for_it() -> None:
    call_soon = call_soon_from_threads()
    seen: list[int] = []

    def thread() -> list[int]:
        for value in range(3):
            call_soon(seen.append, value)

        return list(seen)

    await anyio.to_thread.run_sync(thread)
    assert seen == [0, 1, 2]


def test_a_thread_that_outlives_the_loop_calls_nothing() -> None:
    async def main() -> Callable[..., None]:
        return call_soon_from_threads()

    called: list[int] = []
    anyio.run(main)(called.append, 1)

    assert called == []

from __future__ import annotations

import asyncio  # noqa: TID251 - the cancellations that pass every shield
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from math import inf
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from penstock._base import crew
from penstock._base.threads import WorkerThreads, call_in_thread

pytestmark = pytest.mark.anyio

NAME: ContextVar[str] = ContextVar("NAME", default="nobody's")


async def test_a_call_returns_what_the_function_returns_and_sees_the_context_of_the_caller() -> (
    None
):
    NAME.set("the caller's")

    assert await call_in_thread(lambda: (NAME.get(), threading.current_thread().daemon)) == (
        "the caller's",
        True,
    )


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), GeneratorExit()])
async def test_a_call_raises_what_the_function_raises(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        await call_in_thread(fail)

    assert raised.value is error


async def test_threads_are_used_again() -> None:
    first = await call_in_thread(threading.get_ident)

    assert await call_in_thread(threading.get_ident) == first


async def test_as_many_calls_are_made_at_once_as_there_are_callers() -> None:
    all_there = threading.Barrier(50)
    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(call_in_thread, all_there.wait)


async def test_a_call_that_blocks_holds_up_neither_those_before_it_nor_those_behind_it() -> None:
    release = threading.Event()
    made: list[int] = []

    async def call(number: int) -> None:
        made.append(await call_in_thread(lambda: number))

    async with anyio.create_task_group() as blocked:
        for each in range(20):
            async with anyio.create_task_group() as group:
                group.start_soon(call, each)
                blocked.start_soon(call_in_thread, release.wait)
                group.start_soon(call, 100 + each)

        release.set()

    assert sorted(made) == [*range(20), *range(100, 120)]


async def test_calls_that_do_not_block_share_threads_and_one_wake_up_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    woken: list[Any] = []
    loop: Any = asyncio.get_running_loop()
    wake = loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *a: woken.append(wake(*a)))
    used: set[int] = set()

    async def call() -> None:
        used.add(await call_in_thread(threading.get_ident))

    async with anyio.create_task_group() as group:
        for _ in range(500):
            group.start_soon(call)

    assert len(used) < 100
    assert len(woken) < 100


@pytest.mark.field("studies-SEC13")
@pytest.mark.parametrize("why", ["memory is short", "there may be no more"])
async def test_where_there_can_be_no_other_thread_calls_wait_for_those_there_are(
    why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "has_room_for_thread", lambda: why != "memory is short")
    workers = WorkerThreads(1 if why == "there may be no more" else inf)
    release = threading.Event()
    waits: list[str] = []
    made: list[int] = []

    @contextmanager
    def waiting(name: str) -> Iterator[None]:
        waits.append(f"{name} waits")
        yield
        waits.append(f"{name} has one")

    async def call(name: str) -> None:
        made.append(await workers.call(release.wait, partial(waiting, name)))

    async with anyio.create_task_group() as group:
        group.start_soon(call, "first")
        group.start_soon(call, "second")
        group.start_soon(call, "third")
        while len(waits) < 2:
            await anyio.lowlevel.checkpoint()

        release.set()

    assert made == [True] * 3
    assert waits == ["second waits", "third waits", "second has one", "third has one"]


async def test_a_call_that_is_cancelled_before_a_thread_has_it_is_not_made() -> None:
    workers = WorkerThreads(1)
    release = threading.Event()
    made: list[str] = []
    first = asyncio.create_task(workers.call(release.wait))
    second = asyncio.create_task(workers.call(lambda: made.append("second")))
    await anyio.wait_all_tasks_blocked()
    second.cancel()
    await asyncio.wait([second])
    release.set()
    await workers.call(lambda: made.append("third"))

    assert (first.done(), second.cancelled(), made) == (True, True, ["third"])


async def test_where_not_one_thread_can_be_started_the_call_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="the system starts no thread"):
            await WorkerThreads().call(lambda: "made")

    assert await WorkerThreads().call(lambda: "made") == "made"


@pytest.mark.field("engine-K9")
async def test_a_call_waits_for_no_thread_of_others() -> None:
    release = threading.Event()
    limiter = anyio.to_thread.current_default_thread_limiter()
    async with anyio.create_task_group() as group:
        for _ in range(int(limiter.total_tokens)):
            group.start_soon(partial(anyio.to_thread.run_sync, release.wait))

        while limiter.available_tokens:
            await anyio.wait_all_tasks_blocked()

        assert await call_in_thread(lambda: "made") == "made"
        release.set()


async def test_a_call_that_is_cancelled_leaves_its_thread_behind_where_that_is_asked_for() -> None:
    begun, release, seen = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        release.wait()
        try:
            anyio.from_thread.check_cancelled()
        except asyncio.CancelledError:
            seen.set()

    task = asyncio.create_task(call_in_thread(call, abandon_on_cancel=True))
    await call_in_thread(begun.wait)
    task.cancel()
    await asyncio.wait([task])
    release.set()

    assert task.cancelled()
    assert await call_in_thread(partial(seen.wait, 60))


@pytest.mark.parametrize("scoped", [True, False])
async def test_a_call_that_is_cancelled_ends_first_where_nothing_else_is_asked_for(
    scoped: bool,
) -> None:
    release = threading.Event()
    returned: list[Any] = []
    scope = anyio.CancelScope()

    async def call() -> None:
        with scope:
            returned.append(await call_in_thread(lambda: release.wait() and "whole"))

    task = asyncio.create_task(call())
    await anyio.wait_all_tasks_blocked()
    (scope if scoped else task).cancel()
    await anyio.wait_all_tasks_blocked()
    assert not task.done()

    release.set()
    await task
    assert returned == ["whole"]


async def test_a_function_may_call_the_event_loop_and_start_one_of_its_own() -> None:
    called: list[str] = []

    def call() -> None:
        anyio.from_thread.run_sync(called.append, "the caller's loop")
        anyio.run(own_loop)

    async def own_loop() -> None:
        called.append("a loop of its own")

    await call_in_thread(call)

    assert called == ["the caller's loop", "a loop of its own"]


@pytest.mark.field("engine-K26")
def test_a_call_that_hangs_keeps_no_process_from_ending() -> None:
    hangs = """
import anyio, threading
from penstock._base import crew
from penstock._base.threads import WorkerThreads, call_in_thread

async def main():
    with anyio.move_on_after(0.05):
        await call_in_thread(threading.Event().wait, abandon_on_cancel=True)

anyio.run(main)
print("ended")
"""
    ended = subprocess.run(
        [sys.executable, "-c", hangs], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended\n", "")

from __future__ import annotations

import asyncio  # noqa: TID251 - the cancellations that pass every shield
import subprocess
import sys
import threading
from contextvars import ContextVar
from functools import partial
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from penstock._base.threads import call_in_thread

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
    release, seen = threading.Event(), threading.Event()

    def call() -> None:
        release.wait()
        try:
            anyio.from_thread.check_cancelled()
        except asyncio.CancelledError:
            seen.set()

    task = asyncio.create_task(call_in_thread(call, abandon_on_cancel=True))
    await anyio.wait_all_tasks_blocked()
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
from penstock._base.threads import call_in_thread

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

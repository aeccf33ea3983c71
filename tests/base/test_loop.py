"""Time limits, which excuse a pause of the whole process, waits, and how threads reach the loop."""

from __future__ import annotations

import asyncio  # noqa: TID251 - its clock is what is put forward
from collections.abc import Callable
from math import inf

import anyio
import anyio.lowlevel
import pytest

from penstock._base import loop
from penstock._base.loop import Once, TimeLimit, call_soon_from_threads, fail_after, undisturbed

pytestmark = [pytest.mark.anyio, pytest.mark.field("studies-M6")]

Stop = Callable[[float], None]


@pytest.fixture
async def stop(monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Put the loop's clock forward, as if the process had been stopped for so many seconds."""
    loop, stopped = asyncio.get_running_loop(), [0.0]
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + sum(stopped))
    return stopped.append


async def test_what_takes_longer_is_ended() -> None:
    with pytest.raises(TimeoutError), fail_after(0.001):
        await anyio.sleep_forever()

    with fail_after(60):
        await anyio.lowlevel.checkpoint()


async def test_what_came_during_a_pause_is_read_before_the_time_is_over(stop: Stop) -> None:
    came = anyio.Event()
    with fail_after(30):
        stop(3600)
        asyncio.get_running_loop().call_soon(came.set)
        await came.wait()
        await anyio.sleep(0.01)


async def test_after_a_pause_the_time_is_over_soon(stop: Stop) -> None:
    with TimeLimit(600) as limit:
        stop(3600)
        await anyio.sleep(0.01)
        assert 0 < limit.deadline - anyio.current_time() <= 5
        stop(5.1)
        await anyio.sleep_forever()

    assert limit.scope.cancelled_caught


async def test_a_loop_that_always_stands_still_knows_a_limit_all_the_same(stop: Stop) -> None:
    with TimeLimit(600) as limit:
        for _ in range(10):
            stop(3600)
            await anyio.sleep(0.001)

    assert limit.scope.cancelled_caught


async def test_the_end_may_be_set_anew() -> None:
    with TimeLimit(60) as limit:
        limit.deadline = inf
        assert limit.deadline == inf
        limit.deadline = -inf
        await anyio.sleep_forever()

    assert limit.scope.cancelled_caught


@pytest.mark.field("studies-SEC13")
async def test_a_thread_that_finds_no_memory_to_reach_the_loop_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = asyncio.get_running_loop()
    real, tries = running.call_soon_threadsafe, []

    def short_of_memory(*arguments: object) -> object:
        tries.append(arguments)
        if len(tries) < 3:
            raise MemoryError

        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "_PAUSE_S", 0.0)
    monkeypatch.setattr(running, "call_soon_threadsafe", short_of_memory)
    called = anyio.Event()
    call_soon_from_threads()(called.set)
    await called.wait()

    assert len(tries) == 3


@pytest.mark.parametrize("happens_first", [True, False], ids=["has happened", "is still to come"])
async def test_whoever_is_cancelled_waits_again_for_what_happens_once(happens_first: bool) -> None:
    once = Once()
    task = asyncio.ensure_future(undisturbed(once.wait))
    await anyio.lowlevel.checkpoint()
    if happens_first:
        once.set()

    task.cancel()
    await anyio.lowlevel.checkpoint()
    once.set()
    await task
    await once.wait()

"""Time limits, which excuse a pause of the whole process."""

from __future__ import annotations

import asyncio  # noqa: TID251 - its clock is what is put forward
from collections.abc import Callable
from contextlib import suppress
from math import inf

import anyio
import anyio.lowlevel
import pytest

from penstock._base import deadlines
from penstock._base.deadlines import TimeLimit, fail_after

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


def _cancellations() -> int:
    task = asyncio.current_task()
    return -1 if task is None else task.cancelling()


async def test_of_a_time_that_is_over_nothing_is_left() -> None:
    with pytest.raises(TimeoutError), fail_after(0.001):
        await anyio.sleep_forever()

    assert _cancellations() == 0
    await anyio.sleep(0.001)


async def test_whoever_is_cancelled_from_outside_is_not_late() -> None:
    with anyio.move_on_after(0.001) as outside, fail_after(60):
        await anyio.sleep_forever()

    assert outside.cancelled_caught
    assert _cancellations() == 0


async def test_of_a_time_and_a_cancellation_from_outside_the_first_counts() -> None:
    soon, ended = asyncio.get_running_loop().call_soon, list[str]()
    for first in ("outside", "inside"):
        with anyio.CancelScope() as outside:
            try:
                with fail_after(60) as limit:
                    ends = [outside.cancel, limit.end]
                    for end in ends if first == "outside" else reversed(ends):
                        soon(end)

                    await anyio.sleep_forever()
            except TimeoutError:
                ended.append("late")
                await anyio.sleep_forever()  # the cancellation has its turn all the same

        ended.append("cancelled" if outside.cancelled_caught else "not cancelled")

    assert ended == ["cancelled", "late", "cancelled"]
    assert _cancellations() == 0


async def test_what_takes_its_end_for_something_else_is_ended_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def stubborn() -> None:
        with suppress(asyncio.CancelledError):
            await anyio.sleep_forever()

        await anyio.sleep_forever()

    monkeypatch.setattr(deadlines, "_AGAIN_S", 0.001)
    with pytest.raises(TimeoutError), fail_after(0.001):
        await stubborn()

    assert _cancellations() == 0


async def test_within_a_longer_time_the_shorter_one_is_over() -> None:
    with pytest.raises(TimeoutError), fail_after(60), fail_after(0.001):
        await anyio.sleep_forever()

    with fail_after(60), pytest.raises(TimeoutError), fail_after(0.001):
        await anyio.sleep_forever()

    assert _cancellations() == 0

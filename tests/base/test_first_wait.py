"""Awaiting a coroutine and hearing of its first wait: in all else it is as if it were awaited."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from penstock._base.first_wait import told_first_wait

pytestmark = pytest.mark.anyio


async def _returns() -> str:
    return "answer"


async def _raises() -> str:
    raise KeyError("no")


async def _waits_twice() -> str:
    await anyio.lowlevel.checkpoint()
    with anyio.move_on_after(0.001):
        await anyio.sleep_forever()

    return "answer"


async def _waits_and_raises() -> str:
    await anyio.lowlevel.checkpoint()
    raise KeyError("no")


@pytest.mark.parametrize(
    ("work", "times"),
    [(_returns, 0), (_raises, 0), (_waits_twice, 1), (_waits_and_raises, 1)],
)
async def test_it_is_told_once_and_only_where_it_waits(
    work: Callable[[], Coroutine[Any, Any, str]], times: int
) -> None:
    told: list[str] = []
    try:
        assert await told_first_wait(work(), lambda: told.append("waits")) == "answer"
    except KeyError:
        assert work in {_raises, _waits_and_raises}

    assert len(told) == times


async def test_a_cancellation_arrives_where_it_waits() -> None:
    said: list[str] = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            said.append("ended")

    with anyio.CancelScope() as scope:
        await told_first_wait(work(), scope.cancel)

    assert scope.cancelled_caught
    assert said == ["ended"]

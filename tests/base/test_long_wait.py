"""Awaiting a coroutine and hearing of a long wait: in all else it is as if it were awaited."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from penstock._base.long_wait import told_first_wait, told_long_wait

pytestmark = pytest.mark.anyio


async def _returns() -> str:
    return "answer"


async def _raises() -> str:
    raise KeyError("no")


async def _waits_a_little() -> str:
    await anyio.sleep(0.019)
    return "answer"


async def _waits_twice() -> str:
    await anyio.sleep(60)
    await anyio.sleep(60)
    return "answer"


async def _waits_and_raises() -> str:
    await anyio.sleep(60)
    raise KeyError("no")


@pytest.mark.parametrize(
    ("work", "times"),
    [
        (_returns, 0),
        (_raises, 0),
        (_waits_a_little, 0),
        (_waits_twice, 1),
        (_waits_and_raises, 1),
    ],
)
@pytest.mark.virtual_time
async def test_it_is_told_once_and_only_where_it_waits_for_a_while(
    work: Callable[[], Coroutine[Any, Any, str]], times: int
) -> None:
    told: list[str] = []
    try:
        assert await told_long_wait(work(), lambda: told.append("waits")) == "answer"
    except KeyError:
        assert work in {_raises, _waits_and_raises}

    await anyio.sleep(60)
    assert len(told) == times


@pytest.mark.parametrize(
    ("work", "times"),
    [(_returns, 0), (_raises, 0), (_waits_a_little, 1), (_waits_twice, 1), (_waits_and_raises, 1)],
)
@pytest.mark.virtual_time
async def test_of_a_first_wait_it_is_told_at_once(
    work: Callable[[], Coroutine[Any, Any, str]], times: int
) -> None:
    told: list[str] = []
    with suppress(KeyError):
        await told_first_wait(work(), lambda: told.append("waits"))

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

"""What subscribers do: read, lag, fail, watch others, hang, and ignore their cancellation."""

from __future__ import annotations

import asyncio  # noqa: TID251 - what subscribers are cancelled by
from collections.abc import Awaitable, Callable
from random import Random

import anyio
import anyio.lowlevel

import penstock as ps
from penstock.events.bus import Subscriber
from tests.random_host.agents import Stage

__all__ = ["ENDING", "HANGING", "subscriber_of"]

Reading = Callable[[ps.EventStream, Stage, Random], Awaitable[None]]


async def reads(stream: ps.EventStream, stage: Stage, random: Random) -> None:
    async for _ in stream:
        pass


async def lags(stream: ps.EventStream, stage: Stage, random: Random) -> None:
    while events := await stream.batch(random.choice([1, 5, 5000]), linger_s=0.01):
        if len(events) < 50:
            await anyio.lowlevel.checkpoint()


async def fails(stream: ps.EventStream, stage: Stage, random: Random) -> None:
    left = random.randrange(5)
    async for _ in stream:
        left -= 1
        if left < 0:
            raise random.choice([ValueError("no"), asyncio.CancelledError(), RuntimeError("odd")])


async def cancels_itself(stream: ps.EventStream, stage: Stage, random: Random) -> None:
    async for _ in stream:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anyio.sleep(0.01)


async def gives_up(stream: ps.EventStream, stage: Stage, random: Random) -> None:
    async for _ in stream:
        return


async def watches(stream: ps.EventStream, stage: Stage, random: Random) -> None:
    with stage.runner.watch(size=random.choice([1, 10])) as watched:
        async for _ in watched:
            pass


async def steers(stream: ps.EventStream, stage: Stage, random: Random) -> None:
    async for _ in stream:
        stage.runner.concurrency = random.randint(1, 10)


async def hangs(stream: ps.EventStream, stage: Stage, random: Random) -> None:
    await stage.released.wait()


async def ignores_cancellation(stream: ps.EventStream, stage: Stage, random: Random) -> None:
    while not stage.released.is_set():
        try:
            await stage.released.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)


ENDING: tuple[Reading, ...] = (reads, lags, fails, cancels_itself, gives_up, watches, steers)
HANGING: tuple[Reading, ...] = (hangs, ignores_cancellation)
"""Those that keep a study from ending, unless it is stopped."""


def subscriber_of(reading: Reading, stage: Stage, number: int) -> Subscriber:
    """Make a subscriber of what it does."""

    async def subscriber(stream: ps.EventStream) -> None:
        await reading(stream, stage, stage.random_of("subscriber", number))

    return subscriber

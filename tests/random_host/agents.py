"""What agents do, and what they return: good, bad, hostile, and merely odd."""

from __future__ import annotations

import asyncio  # noqa: TID251 - what agents use as well, and are cancelled by
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

import penstock as ps
from penstock.errors import SkipRun, StopStudy

__all__ = ["DEEDS", "ENDLESS", "Stage", "answer"]


class Stage:
    """What agents and subscribers of one host share: what to draw from, and when all is let go."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.released = anyio.Event()
        self.thread_released = threading.Event()
        self.runner: ps.StudyRunner

    def random_of(self, *what: Any) -> Random:
        return Random(f"{self.seed} {what}")

    def release(self) -> None:
        self.released.set()
        self.thread_released.set()


Deed = Callable[[ps.RunContext, Stage, Random], Awaitable[Any]]


def answer(random: Random) -> Any:
    """Draw what an agent returns: much can be stored, some cannot."""
    held: dict[str, Any] = {"text": "x"}
    held["itself"] = held
    answers: list[Any] = [
        "text",
        "",
        {"text": "a", "n": 1},
        {"score": float("nan")},
        10**400,
        True,
        None,
        object(),
        held,
        "\ud800",
        {"text": "kept", "odd": {1, 2}},
        {1: "a", (2,): "b"},
        ps.AgentResult(outputs={"text": "x"}, metrics={"cost_usd": "much"}),
        ps.AgentResult(outputs={"text": "x"}, success=False, error="so it says"),
        ps.AgentResult(outputs={"text": "x"}, events=({"event_type": "tool_call"},)),
        lambda: "an agent, perhaps",
    ]
    return random.choice(answers) if random.random() < 0.4 else "text"


async def answers(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    return answer(random)


async def sleeps(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    await anyio.sleep(random.random() / 100)
    return answer(random)


async def reports(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    for _ in range(random.randrange(4)):
        ctx.record(cost_usd=0.5, odd=random.choice([1, "a", object(), float("inf")]))
        ctx.observe("step", "said", meta=random.choice([1, {2}, None]))
        await anyio.lowlevel.checkpoint()

    return answer(random)


async def spoils_its_context(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    name = random.choice(["metrics", "provenance", "observations", "spec", "waited_s"])
    setattr(ctx, name, random.choice([None, {"x": object()}, {1: 2}, "odd"]))
    return answer(random)


async def fails(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    await anyio.sleep(random.random() / 200)
    errors: list[BaseException] = [
        ValueError("no"),
        SyntaxError("m", ("f", 1, "3", "x=", 1, 2)),  # type: ignore[arg-type]
        SkipRun("not this one"),
        asyncio.CancelledError("mine"),
        GeneratorExit("mine"),
        SystemExit(2),
        BaseExceptionGroup("several", [ValueError("a"), asyncio.CancelledError()]),
        StopAsyncIteration("odd"),
        TimeoutError(),
        RecursionError("deep"),
    ]
    raise random.choice(errors)


async def stops_the_study(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    if random.random() < 0.5:
        raise StopStudy("the agent says so")

    random.choice([stage.runner.stop, stage.runner.cancel])()
    await anyio.sleep(random.random() / 100)
    return answer(random)


async def changes_the_concurrency(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    stage.runner.concurrency = random.randint(1, 20)
    return answer(random)


async def cancels_itself(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    task = asyncio.current_task()
    assert task is not None
    for _ in range(random.randint(1, 3)):
        task.cancel()

    if random.random() < 0.5:
        await anyio.sleep(0.01)

    return answer(random)


async def _left_open() -> AsyncIterator[int]:
    with anyio.move_on_after(0.01 * 100):
        yield 1
        yield 2


async def leaks_a_scope(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    async for _ in _left_open():
        break

    await anyio.sleep(0.02 * random.random())
    return answer(random)


async def has_children(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    async def child() -> None:
        await anyio.sleep(random.random() / 200)
        if random.random() < 0.3:
            raise ValueError("of a child")

    if random.random() < 0.5:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(child)
    else:
        await asyncio.gather(*(child() for _ in range(3)), return_exceptions=True)

    return answer(random)


async def blocks_a_thread(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    def block() -> None:
        ctx.observe("step", "in a thread")
        threading.Event().wait(random.random() / 200)

    await anyio.to_thread.run_sync(block, abandon_on_cancel=random.random() < 0.5)
    return answer(random)


async def catches_one_cancellation(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    try:
        await anyio.sleep(0.02)
    except asyncio.CancelledError:
        await asyncio.sleep(0)

    return answer(random)


async def hangs(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    await stage.released.wait()


async def ignores_cancellation(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    while not stage.released.is_set():
        try:
            await stage.released.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)

    ctx.record(cost_usd=100.0)
    ctx.observe("step", "too late")
    return answer(random)


async def hangs_in_a_thread(ctx: ps.RunContext, stage: Stage, random: Random) -> Any:
    await anyio.to_thread.run_sync(stage.thread_released.wait, abandon_on_cancel=True)


DEEDS: Mapping[Deed, int] = {
    answers: 12,
    sleeps: 12,
    reports: 4,
    spoils_its_context: 2,
    fails: 8,
    stops_the_study: 1,
    changes_the_concurrency: 1,
    cancels_itself: 3,
    leaks_a_scope: 2,
    has_children: 3,
    blocks_a_thread: 3,
    catches_one_cancellation: 3,
}
"""What agents do that end by themselves, each with its weight."""

ENDLESS: Mapping[Deed, int] = {hangs: 2, ignores_cancellation: 2, hangs_in_a_thread: 1}
"""What agents do that end only when they are cancelled, left behind, or let go."""

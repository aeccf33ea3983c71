"""A study that is steered by what it runs: agents, listeners and subscribers never wait for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest

import penstock as ps
from penstock.events import ActionTaken, RunFinished, StudyFinished, StudyStarted
from penstock.store.actions import actions
from penstock.store.reader import StoreReader
from tests.builders import make_study

pytestmark = pytest.mark.anyio

Act = Callable[[ps.StudyRunner], Coroutine[Any, Any, None]]
Place = Callable[[ps.StudyRunner, Act, list[Act]], None]


async def pauses(runner: ps.StudyRunner) -> None:
    await runner.pause(now=True)


async def sets(runner: ps.StudyRunner) -> None:
    async with anyio.create_task_group() as at_once:
        for limit in (3, 4, 5):
            values = {"execution.concurrency": limit}
            at_once.start_soon(partial(runner.steering.set, values, who="a"))


async def stops(runner: ps.StudyRunner) -> None:
    await runner.steering.stop(who="a")


async def stops_now(runner: ps.StudyRunner) -> None:
    await runner.steering.stop(who="a", now=True)


ACTS: dict[Act, set[str]] = {
    pauses: {"pause now", "resume"},
    sets: {"set execution.concurrency"},
    stops: {"stop"},
    stops_now: {"stop now"},
}


def in_an_agent(runner: ps.StudyRunner, act: Act, left: list[Act]) -> None:
    left.append(act)


def in_a_listener(event: type) -> Place:
    def place(runner: ps.StudyRunner, act: Act, _: list[Act]) -> None:
        todo = [act]

        @runner.on(event)
        async def hear(_: object) -> None:
            if todo:
                await todo.pop()(runner)

    return place


def in_a_critical_subscriber(runner: ps.StudyRunner, act: Act, _: list[Act]) -> None:
    async def subscriber(stream: AsyncIterator[object]) -> None:
        todo = [act]
        async for _ in stream:
            if todo:
                await todo.pop()(runner)

    runner.subscribe(subscriber, RunFinished, critical=True)


PLACES = {
    "an agent": in_an_agent,
    "an agent in a thread": in_an_agent,
    "a listener": in_a_listener(RunFinished),
    "a listener of the beginning": in_a_listener(StudyStarted),
    "a listener of the end": in_a_listener(StudyFinished),
    "a critical subscriber": in_a_critical_subscriber,
}


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
@pytest.mark.parametrize("place", PLACES)
async def test_nothing_that_steers_its_own_study_waits_for_itself(
    place: str, act: Act, tmp_path: Path
) -> None:
    left: list[Act] = []

    async def agent(ctx: ps.RunContext) -> str:
        if left:
            await left.pop()(runner)

        return "42"

    def plain(ctx: ps.RunContext) -> str:
        if left:
            anyio.from_thread.run(left.pop(), runner)

        return "42"

    runner = ps.StudyRunner(
        make_study(replicates=4),
        agent_bindings={"agent-a": plain if place == "an agent in a thread" else agent},
        output_dir=tmp_path,
        show_progress=False,
        concurrency=2,
    )

    @runner.on(ActionTaken)
    async def go_on(event: ActionTaken) -> None:
        if event.what == "pause now":
            await runner.resume()

    PLACES[place](runner, act, left)
    with anyio.fail_after(60):
        summary = await runner.run()

    with StoreReader(tmp_path) as store:
        assert {each.what for each in actions(store)} == ACTS[act]

    assert summary.failed == 0
    stopped_early = summary.stopped_because and place != "a listener of the end"
    assert (summary.succeeded < 8) == bool(stopped_early)

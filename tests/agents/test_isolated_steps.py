"""Isolated agents are stepped by hand, and nobody notices: neither they nor who awaits them."""

from __future__ import annotations

import asyncio  # noqa: TID251 - what agents may do as well
import contextvars
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import gauss
from random import random as captured
from types import coroutine as types_coroutine
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from penstock.agents.global_random import global_random
from penstock.agents.isolation import isolated
from tests.builders import make_context
from tests.draws import (
    Agent,
    alone,
    at_once,
    call,
    context,
    drawing,
    drawn_alone,
    host_state_is_untouched,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("host_state_is_untouched")]
__all__ = ["host_state_is_untouched"]


async def test_an_exception_leaves_the_agent_as_it_was_raised() -> None:
    error = LookupError("gone")

    async def raising(ctx: Any) -> None:
        captured()
        await anyio.lowlevel.checkpoint()
        captured()
        raise error

    with pytest.raises(LookupError) as caught:
        await call(raising)

    assert caught.value is error
    assert error.__context__ is None


async def test_a_stop_iteration_of_the_agent_does_not_pass_for_its_answer() -> None:
    async def stopping(ctx: Any) -> None:
        await anyio.lowlevel.checkpoint()
        raise StopIteration(3)

    with pytest.raises(RuntimeError, match="StopIteration"):
        await call(stopping)


async def test_a_run_draws_on_after_it_caught_what_was_thrown_into_it() -> None:
    async def catching(ctx: Any) -> list[float]:
        drawn = [captured()]
        with anyio.move_on_after(0.001):
            await anyio.sleep_forever()

        drawn.append(captured())
        try:
            with anyio.fail_after(0):
                await anyio.sleep_forever()
        except TimeoutError:
            drawn.append(captured())

        return drawn

    assert await at_once(catching, 5) == [
        alone(lambda: [captured() for _ in range(3)], seed) for seed in range(5)
    ]


async def test_a_cancelled_run_cleans_up_with_its_own_generators() -> None:
    drawn: list[float] = []
    started = anyio.Event()

    async def cleaning(ctx: Any) -> None:
        try:
            drawn.append(captured())
            started.set()
            await anyio.sleep_forever()
        finally:
            drawn.append(captured())

    async with anyio.create_task_group() as group:
        group.start_soon(call, cleaning)
        await started.wait()
        group.cancel_scope.cancel()

    assert drawn == alone(lambda: [captured(), captured()])


async def test_a_run_that_is_closed_cleans_up_with_its_own_generators() -> None:
    drawn: list[float] = []

    async def closed(ctx: Any) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            drawn.append(captured())

    run = call(closed)
    run.send(None)
    run.close()
    assert drawn == alone(lambda: [captured()])


def test_a_run_that_is_left_behind_is_closed_without_an_event_loop() -> None:
    drawn: list[float] = []

    @types_coroutine
    def forever() -> Iterator[None]:
        yield

    async def left(ctx: Any) -> None:
        try:
            await forever()
        finally:
            drawn.append(captured())

    run = call(left)
    run.send(None)
    del run
    gc.collect()
    assert drawn == alone(lambda: [captured()])


async def test_an_agent_sees_its_task_its_context_and_its_cancel_scopes_as_ever() -> None:
    variable = contextvars.ContextVar("variable", default=0)

    async def looking(ctx: Any) -> Any:
        variable.set(ctx.seed)
        await anyio.lowlevel.checkpoint()
        return asyncio.current_task(), variable.get(), anyio.current_effective_deadline()

    with anyio.fail_after(60):
        task, value, deadline = await call(looking)
        assert task is asyncio.current_task()
        assert value == variable.get() == 5
        assert deadline == anyio.current_effective_deadline()


async def test_an_async_generator_of_an_agent_draws_and_closes_within_its_run() -> None:
    async def numbers(drawn: list[float]) -> AsyncIterator[float]:
        try:
            while True:
                await anyio.lowlevel.checkpoint()
                yield captured()
        finally:
            await anyio.lowlevel.checkpoint()
            drawn.append(captured())

    async def generating(ctx: Any) -> list[float]:
        drawn: list[float] = []
        generator: Any = numbers(drawn)
        async for number in generator:
            drawn.append(number)
            if len(drawn) == 2:
                break

        await generator.aclose()
        return drawn

    assert await at_once(generating, 4) == [
        alone(lambda: [captured() for _ in range(3)], seed) for seed in range(4)
    ]


@pytest.mark.parametrize(
    "draws",
    [
        0,
        1,
        pytest.param(312, id="a whole round of the key: 624 words of 32 bits, two a number"),
        pytest.param(624, id="two rounds"),
    ],
)
@pytest.mark.parametrize("draw", [captured, np.random.random], ids=["stdlib", "numpy"])
async def test_a_run_goes_on_where_its_draws_have_left_off_however_many(
    draws: int, draw: Callable[[], float]
) -> None:
    async def drawing_on(ctx: Any) -> list[float]:
        for _ in range(3):
            for _ in range(draws):
                draw()

            await anyio.lowlevel.checkpoint()

        return [float(draw())]

    expected = [
        alone(lambda: [[draw() for _ in range(3 * draws + 1)][-1]], seed) for seed in (0, 1)
    ]
    assert await at_once(drawing_on, 2) == expected


async def test_a_kept_second_deviate_is_a_draw_though_no_number_moved() -> None:
    async def keeping(ctx: Any) -> list[float]:
        gauss(0, 1)
        await anyio.lowlevel.checkpoint()
        return [gauss(0, 1)]

    assert await at_once(keeping, 2) == [
        alone(lambda: [gauss(0, 1), gauss(0, 1)], seed)[1:] for seed in (0, 1)
    ]


async def gathering(ctx: Any) -> list[float]:
    async def one() -> float:
        await anyio.lowlevel.checkpoint()
        return captured()

    return list(await asyncio.gather(one(), one(), one()))


async def grouping(ctx: Any) -> list[float]:
    drawn = []

    async def one() -> None:
        await anyio.lowlevel.checkpoint()
        drawn.append(captured())

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(one)

    return drawn


@pytest.mark.parametrize("agent", [gathering, grouping])
async def test_tasks_that_an_agent_starts_draw_from_its_run(agent: Agent) -> None:
    expected = [alone(lambda: [captured() for _ in range(3)], seed) for seed in range(10)]
    assert await at_once(agent, 10) == expected


async def test_tasks_of_an_agent_can_be_cancelled_before_they_begin() -> None:
    async def cancelling(ctx: Any) -> float:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            group.cancel_scope.cancel()

        task = asyncio.get_running_loop().create_task(asyncio.sleep(60), name="named")
        task.cancel()
        assert task.get_name() == "named"
        assert "sleep" in repr(task)
        await asyncio.wait([task])
        return captured()

    assert await call(cancelling) == alone(lambda: [captured()])[0]


async def test_the_host_keeps_its_task_factory_and_starts_its_tasks_with_it() -> None:
    started = []

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        started.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **options)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        assert await call(gathering) == alone(lambda: [captured() for _ in range(3)])
        assert loop.get_task_factory() is factory
        assert len(started) == 3
        assert all(name.endswith("one") for name in started)
    finally:
        loop.set_task_factory(None)


async def test_a_task_that_begins_at_once_draws_from_the_run_that_starts_it() -> None:
    class Begun(asyncio.Future[float]):
        def set_name(self, name: str | None) -> None:
            """Take a name, as a loop of Python 3.13 gives one to each task."""

    def eager(loop: Any, coroutine: Any, **options: Any) -> Any:
        future = Begun(loop=loop)
        with pytest.raises(StopIteration) as stopped:
            coroutine.send(None)

        future.set_result(stopped.value.value)
        return future

    async def one() -> float:
        return captured()

    async def starting(ctx: Any) -> list[float]:
        loop = asyncio.get_running_loop()
        return [captured(), await loop.create_task(one()), captured()]

    loop = asyncio.get_running_loop()
    loop.set_task_factory(eager)
    try:
        assert await call(starting) == alone(lambda: [captured() for _ in range(3)])
    finally:
        loop.set_task_factory(None)


async def test_an_agent_may_set_a_task_factory_that_stays() -> None:
    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        raise AssertionError

    async def setting(ctx: Any) -> None:
        asyncio.get_running_loop().set_task_factory(factory)

    loop = asyncio.get_running_loop()
    await call(setting)
    assert loop.get_task_factory() is factory
    loop.set_task_factory(None)


async def test_an_isolated_agent_within_another_has_generators_of_its_own() -> None:
    async def outer(ctx: Any) -> list[Any]:
        first = captured()
        within = await isolated(drawing)(context(8))
        return [first, within, captured()]

    first, second = alone(lambda: [captured(), captured()])
    assert await call(outer) == [first, drawn_alone(8), second]


def test_event_loops_in_several_threads_do_not_disturb_each_other() -> None:
    answers: list[Any] = []

    def loop() -> None:
        answers.append(anyio.run(at_once, drawing, 20))

    threads = [threading.Thread(target=loop) for _ in range(4)]
    for thread in threads:
        thread.start()

    for thread in threads:
        thread.join()

    assert answers == [[drawn_alone(seed) for seed in range(20)]] * 4


eager_task_factory: Any = getattr(asyncio, "eager_task_factory", None)  # from 3.12 on


def reporting(seed: int) -> Any:
    ctx = make_context()
    ctx.spec = ctx.spec.model_copy(update={"seed": seed})
    return ctx


@pytest.mark.field("engine-K21")
async def test_an_agent_may_block_on_a_run_of_another_thread_which_then_says_what_it_shares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(global_random().turn, "patience_s", 0.0)
    blocked, others = reporting(5), [reporting(6), reporting(7)]

    async def inner(ctx: Any) -> list[float]:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(anyio.lowlevel.checkpoint)

        return [captured()]

    async def in_a_loop(ctx: Any) -> list[float]:
        if eager_task_factory is not None:
            asyncio.get_running_loop().set_task_factory(eager_task_factory)

        return await isolated(inner)(ctx)

    async def outer(ctx: Any) -> list[float]:
        first = captured()
        with ThreadPoolExecutor(1) as thread:
            for each in others:
                assert len(thread.submit(anyio.run, in_a_loop, each).result()) == 1

        await anyio.lowlevel.checkpoint()
        return [first]

    assert await isolated(outer)(blocked) == alone(lambda: [captured()])
    assert blocked.observations == []
    for ctx in others:
        (said,) = ctx.observations
        assert (said.event_type, said.actor_id) == ("random_not_isolated", "penstock")
        assert "is not repeatable" in said.text

    # What is over is over: whoever comes next has the generators to itself.
    assert await at_once(drawing, 3) == [drawn_alone(seed) for seed in range(3)]

"""Runs have global random generators of their own, and the host keeps its own."""

from __future__ import annotations

import random
from random import random as captured
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from numpy.random import randn

from penstock.agents import global_random, isolation
from tests.draws import (
    at_once,
    drawing,
    drawn_alone,
    host_state_is_untouched,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("host_state_is_untouched")]
__all__ = ["host_state_is_untouched"]


@pytest.fixture(params=["blocks of memory", "functions of their own"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Swap states in either way."""
    if request.param == "functions of their own":
        monkeypatch.setattr(global_random, "_stdlib_is_proved", lambda: False)
        plain = global_random.global_random.__wrapped__()
        assert plain.save is global_random._plain_save
        monkeypatch.setattr(isolation, "global_random", lambda: plain)


@pytest.mark.usefixtures("way")
async def test_a_run_draws_what_it_would_alone_after_seeding_whatever_runs_beside_it() -> None:
    assert await at_once(drawing, 20) == [drawn_alone(seed) for seed in range(20)]


async def test_waits_of_any_length_between_draws_change_nothing() -> None:
    async def waiting(ctx: Any) -> Any:
        return await drawing(ctx, lambda: anyio.sleep(ctx.seed % 3 / 1000))

    assert await at_once(waiting, 10) == [drawn_alone(seed) for seed in range(10)]


@pytest.mark.usefixtures("way")
async def test_what_the_host_draws_between_steps_is_the_hosts_own() -> None:
    before = random.getstate(), np.random.get_state()
    expected = [(captured(), float(randn())) for _ in range(50)]
    random.setstate(before[0])
    np.random.set_state(before[1])
    drawn = []

    async def host() -> None:
        for _ in range(50):
            drawn.append((captured(), float(randn())))
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(host)
        assert await at_once(drawing, 3) == [drawn_alone(seed) for seed in range(3)]

    assert drawn == expected
    random.setstate(before[0])
    np.random.set_state(before[1])


@pytest.mark.usefixtures("way")
async def test_an_agent_may_seed_the_generators_itself_and_set_their_states() -> None:
    async def seeding(ctx: Any) -> list[float]:
        random.seed(1)
        np.random.seed(2)
        await anyio.lowlevel.checkpoint()
        kept = random.getstate(), np.random.get_state()
        first = [captured(), float(np.random.random())]
        await anyio.lowlevel.checkpoint()
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        assert first == [captured(), float(np.random.random())]
        return first

    expected = [random.Random(1).random(), float(np.random.RandomState(2).random())]
    assert await at_once(seeding, 3) == [expected] * 3


@pytest.mark.usefixtures("way")
async def test_an_agent_may_use_another_bit_generator() -> None:
    async def replacing(ctx: Any) -> list[float]:
        np.random.set_bit_generator(np.random.PCG64(ctx.seed))  # type: ignore[attr-defined]
        drawn = []
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
            drawn.append(float(randn()))

        return drawn

    def expected(seed: int) -> list[float]:
        alike = np.random.RandomState(np.random.PCG64(seed))
        return [float(alike.randn()) for _ in range(3)]

    assert await at_once(replacing, 5) == [expected(seed) for seed in range(5)]


@pytest.mark.usefixtures("way")
async def test_the_host_may_use_another_bit_generator() -> None:
    usual = np.random.get_bit_generator()  # type: ignore[attr-defined]
    kept = np.random.get_state()
    np.random.set_bit_generator(np.random.PCG64(1))  # type: ignore[attr-defined]
    try:
        randn()
        before = repr(np.random.mtrand._rand.get_state(legacy=False))
        answers = await at_once(drawing, 3)
        assert repr(np.random.mtrand._rand.get_state(legacy=False)) == before
    finally:
        np.random.set_bit_generator(usual)  # type: ignore[attr-defined]
        np.random.set_state(kept)

    assert answers == [drawn_alone(seed) for seed in range(3)]


def test_where_the_states_are_not_found_in_memory_the_generators_own_functions_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(global_random, "_view", lambda _, size: memoryview(bytearray(size)))
    assert not global_random._stdlib_is_proved()
    assert global_random._numpy_is_proved() is None
    assert global_random.global_random.__wrapped__().lend is global_random._plain_lend

"""Agents that draw from the global random generators, and what they draw when alone."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from random import gauss
from random import random as captured
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from numpy.random import randn

from penstock.agents.isolation import isolated

Draw = Callable[[], Any]
Agent = Callable[[Any], Coroutine[Any, Any, Any]]


def host_state() -> tuple[Any, ...]:
    told: Any = np.random.mtrand._rand.get_state(legacy=False)
    return random.getstate(), told.pop("state")["key"].tolist(), told, np.random.mtrand._rand


@pytest.fixture(autouse=True)
def host_state_is_untouched() -> Iterator[None]:
    random.seed("the host's")
    gauss(0, 1)  # a second deviate is kept for the next call
    np.random.seed(77)
    randn()
    before = host_state()
    yield
    assert host_state() == before


def context(seed: int = 5) -> Any:
    return SimpleNamespace(seed=seed)


async def call(agent: Agent, seed: int = 5) -> Any:
    return await isolated(agent)(context(seed))


async def at_once(agent: Agent, count: int) -> list[Any]:
    """Call an agent for the seeds 0 to count, all at once."""
    answers: dict[int, Any] = {}
    bound = isolated(agent)

    async def one(seed: int) -> None:
        answers[seed] = await bound(context(seed))

    async with anyio.create_task_group() as group:
        for seed in range(count):
            group.start_soon(one, seed)

    return [answers[seed] for seed in range(count)]


def alone(draws: Callable[[], list[Any]], seed: int = 5) -> list[Any]:
    """Draw as a process does that was seeded and does nothing else."""
    before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        return draws()
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


DRAWS: list[Draw] = [
    random.random,
    captured,
    lambda: random.getrandbits(200),
    lambda: random.randbytes(3),
    lambda: gauss(0, 1),
    lambda: random.choice("penstock"),
    lambda: random.sample(range(1000), 5),
    lambda: float(np.random.random()),
    lambda: np.random.randint(0, 100, 7).tolist(),
    lambda: float(randn()),
    lambda: np.random.permutation(9).tolist(),
    lambda: np.random.normal(size=5).tolist(),
    lambda: float(np.random.default_rng(np.random.randint(99)).random()),
]


async def drawing(_: Any, wait: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint) -> Any:
    drawn = []
    for draw in DRAWS * 3:
        drawn.append(draw())
        await wait()

    return drawn


def drawn_alone(seed: int) -> list[Any]:
    return alone(lambda: [draw() for draw in DRAWS * 3], seed)

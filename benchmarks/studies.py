"""The study that most benchmarks run: an agent that waits and answers with 2,000 characters."""

from __future__ import annotations

import asyncio  # noqa: TID251 - so that both sides wait in the cheapest way there is
import gc
from collections.abc import Awaitable, Callable, Mapping
from io import StringIO
from pathlib import Path
from time import process_time
from types import MappingProxyType
from typing import Any

import anyio

import penstock as ps
from penstock.events import StudyFinished
from penstock.running.garbage import relaxed_gc
from penstock.study.policies import RunBudget

__all__ = ["ANSWER", "Agent", "Terminal", "make_runner", "run_alone", "until_durable_us"]

ANSWER = "x" * 2000


class Agent:
    """Waits, answers, and counts how many of its calls are under way.

    Args:
        wait_s: How long it waits; without it, it lets the event loop turn once.
        answer: What it says.
    """

    def __init__(self, wait_s: float = 0.0, answer: str = ANSWER) -> None:
        self.peak = 0
        self._in_flight = 0
        self._wait_s = wait_s
        self._answer = answer

    async def __call__(self, _: object) -> str:
        self._in_flight += 1
        self.peak = max(self.peak, self._in_flight)
        if self._wait_s:
            await asyncio.sleep(self._wait_s)
        else:
            await asyncio.sleep(0)

        self._in_flight -= 1
        return self._answer


class Terminal(StringIO):
    """Somewhere to show progress as on a terminal."""

    def isatty(self) -> bool:
        return True


def make_runner(
    agent: Callable[..., Any],
    runs: int,
    concurrency: int,
    folder: Path,
    *,
    declared: Mapping[str, Any] = MappingProxyType({}),
    **options: Any,
) -> ps.StudyRunner:
    """Make a runner of so many runs of an agent; its store is ``folder / "out"``."""
    study = ps.Study(
        study_id="benchmark",
        title="Benchmark",
        factors=[ps.Factor(name="tone", levels=["terse", "polite"])],
        agent_specs=("agent",),
        run_budget=RunBudget(replicates=runs // 2, parallelism=concurrency),
        **(declared or {"problem_ids": ("problem",)}),
    )
    return ps.StudyRunner(
        study,
        agent_bindings={"agent": agent},
        output_dir=folder / "out",
        **{"show_progress": False, **options},
    )


def run_alone(run: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Run a study in an event loop and a process of its own, as `run_study` does."""
    with relaxed_gc():
        return anyio.run(run, *arguments)


def until_durable_us(
    runs: int, make: Callable[[], ps.StudyRunner], *, run: Callable[..., Any] = run_alone
) -> float:
    """Give the CPU time of a run from the declared study until every result is durable."""
    durable_at_s = 0.0
    gc.collect()
    begun_at_s = process_time()
    runner = make()

    @runner.on(StudyFinished)
    def look_at_the_clock(_: StudyFinished) -> None:
        nonlocal durable_at_s
        durable_at_s = process_time()

    summary = run(runner.run)
    assert summary.succeeded == runs
    return (durable_at_s - begun_at_s) / runs * 1e6

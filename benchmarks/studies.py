"""The study that most benchmarks run: an agent that waits and answers with 2,000 characters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from io import StringIO
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

import penstock as ps
from penstock.running.garbage import relaxed_gc
from penstock.study.policies import RunBudget

__all__ = ["ANSWER", "Agent", "Terminal", "make_runner", "run_alone"]

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
            await anyio.sleep(self._wait_s)
        else:
            await anyio.lowlevel.checkpoint()

        self._in_flight -= 1
        return self._answer


Answers = Callable[[object], Awaitable[str]]


class Terminal(StringIO):
    """Somewhere to show progress as on a terminal."""

    def isatty(self) -> bool:
        return True


def make_runner(
    agent: Answers, runs: int, concurrency: int, folder: Path, **options: Any
) -> ps.StudyRunner:
    """Make a runner of so many runs of an agent; its store is ``folder / "out"``."""
    study = ps.Study(
        study_id="benchmark",
        title="Benchmark",
        factors=[ps.Factor(name="tone", levels=["terse", "polite"])],
        agent_specs=("agent",),
        problem_ids=("problem",),
        run_budget=RunBudget(replicates=runs // 2, parallelism=concurrency),
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

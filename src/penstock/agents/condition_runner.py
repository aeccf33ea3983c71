"""Studies without agents or problems: one function does each run, from its condition alone."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from penstock._base.fact import EMPTY, Fact
from penstock._base.threads import WorkerThreads
from penstock.agents.answers import AgentResult
from penstock.agents.context import RunContext
from penstock.agents.shapes import BoundAgent, agent, bind_agent, is_async
from penstock.agents.thread_draws import ThreadDraws
from penstock.agents.workers import WorkerFunction
from penstock.errors import BindingError
from penstock.planning.plan import RunSpec
from penstock.study.conditions import Condition
from penstock.study.problem import Problem

__all__ = ["NO_PROBLEM", "ConditionRunner", "RunOutput", "bind_condition_runner"]

NO_PROBLEM = Problem(problem_id="none")
"""What stands in a run's context where a study has no problems."""


class RunOutput(Fact):
    """What a condition runner returns.

    Args:
        outputs: What came of the run.
        metrics: What was measured; ``primary_outcome`` and ``cost_usd`` have columns of their own.
    """

    outputs: dict[Any, Any]
    metrics: dict[str, Any] = EMPTY


ConditionRunner = Callable[[RunSpec, Condition], RunOutput | Awaitable[RunOutput]]
"""A plain or async function that does a run: ``condition_runner(run_spec, condition)``."""


def bind_condition_runner(runner: Any, *, isolate_random: bool = True) -> BoundAgent:
    """Decide how a condition runner is called; a plain function runs in a worker thread.

    Args:
        runner: The function; it takes a `RunSpec` and a `Condition`, by position.
        isolate_random: Whether runs have global random generators of their own.

    Raises:
        BindingError: it cannot be called.
    """
    if not callable(runner):
        raise BindingError(
            f"condition_runner is {runner!r}, which cannot be called; pass a function of "
            "(run_spec, condition)"
        )

    bound = bind_agent(
        "condition_runner",
        _as_agent(runner),
        WorkerThreads(),  # the scheduler bounds runs, and so threads
        anyio.CapacityLimiter(os.cpu_count() or 1),
        isolate_random=isolate_random,
        draws=ThreadDraws() if isolate_random else None,
    )

    async def call(ctx: RunContext) -> AgentResult:
        output = await bound(ctx)
        if isinstance(output, RunOutput):
            return AgentResult(outputs=output.outputs, metrics=output.metrics)

        error = TypeError("condition_runner must return RunOutput.")
        vars(error)["retryable"] = False  # it would return the same again
        raise error

    return call


def _as_agent(runner: Callable[..., Any]) -> Callable[..., Any]:
    if isinstance(runner, WorkerFunction):  # it asks for ``run_spec`` and ``condition`` by name
        return runner

    if is_async(runner):

        async def run(ctx: RunContext) -> Any:
            return await runner(ctx.spec, ctx.condition)

        return agent(run)

    return agent(lambda ctx: runner(ctx.spec, ctx.condition))

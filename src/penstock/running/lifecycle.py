"""A run's way from its plan through its attempts to its result, said on the bus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from threading import get_ident

import anyio

from penstock._base.loop import call_soon_from_threads
from penstock.agents.context import RunContext
from penstock.errors import StopStudy
from penstock.events.announcer import Announcer
from penstock.events.tree import (
    RunFailed,
    RunObserved,
    RunRetried,
    RunSkipped,
    RunStarted,
    RunSucceeded,
)
from penstock.planning.plan import Plan
from penstock.results import Observation, RunResult, RunStatus
from penstock.running.attempt import execute, rescore
from penstock.running.binding import Bindings
from penstock.running.retry import next_wait_s
from penstock.running.tally import Tally
from penstock.study.execution import Retry

__all__ = ["Job", "Lifecycle"]

_FINISHED = {
    RunStatus.SUCCESS: RunSucceeded,
    RunStatus.FAILED: RunFailed,
    RunStatus.SKIPPED: RunSkipped,
}


@dataclass(slots=True)
class Job:
    """A run in hand: its position in the plan, its place in the order, how often it was tried.

    ``is_answered`` says that an earlier session kept its answer, which only wants scoring.
    """

    position: int
    planned_order: int
    earlier_attempts: int = 0
    is_answered: bool = False
    tries: int = 0


class Lifecycle:
    """Does jobs for the scheduler: makes the run, tries it, says what happened.

    Args:
        plan: Where runs come from.
        bindings: What its names stand for.
        announce: Says events.
        timeout_s: How long an agent may take in one attempt.
        retry: Which failures are worth another attempt.
        max_failures: Stop the study when more runs than this have failed.
        limits: How many runs at once may hold each named limit.
        recall: Gives the stored attempt of a run that only wants scoring.
        stop: Called with the reason when the study is to stop.
        on_call: Called before each attempt that calls its agent.
    """

    def __init__(
        self,
        plan: Plan,
        bindings: Bindings,
        announce: Announcer,
        *,
        timeout_s: float | None,
        retry: Retry,
        max_failures: int | None,
        limits: Mapping[str, int],
        recall: Callable[[int], Awaitable[RunResult]],
        stop: Callable[[str], None],
        on_call: Callable[[], None] = lambda: None,
    ) -> None:
        self.tally = Tally()
        self._plan = plan
        self._bindings = bindings
        self._announce = announce
        self._timeout_s = timeout_s
        self._retry = retry
        self._max_failures = max_failures
        self._limiters = {name: anyio.CapacityLimiter(most) for name, most in limits.items()}
        self._recall = recall
        self._stop = stop
        self._on_call = on_call
        self._outcomes = plan.study.outcomes
        self._on_observe = self._observed  # bound once, not for every run
        self._thread: int | None = None
        self._call_soon: Callable[..., None] | None = None

    async def __call__(self, job: Job) -> float | None:
        """Make one attempt; give the seconds to wait before another, or None when all is over."""
        if self._call_soon is None:
            self._thread, self._call_soon = get_ident(), call_soon_from_threads()

        spec = self._plan.at(job.position)
        job.tries += 1
        attempt = job.earlier_attempts + job.tries
        self.tally.started += 1
        if not job.is_answered:
            self._on_call()

        self._announce(RunStarted, run_id=spec.run_id, spec=spec, attempt=attempt)
        ctx = RunContext(
            spec,
            self._bindings.problems[spec.problem_id],
            self._plan.condition_of(spec),
            attempt,
            planned_order=job.planned_order,
            started_order=self.tally.started,
            limiters=self._limiters,
            on_observe=self._on_observe,
        )
        try:
            result = await (self._rescored if job.is_answered else self._executed)(job, ctx)
        except StopStudy as error:  # this run is left undone
            self._stop(str(error))
            return None

        return self._settle(job, result)

    def _executed(self, _: Job, ctx: RunContext) -> Awaitable[RunResult]:
        spec = ctx.spec
        return execute(
            ctx,
            self._bindings.agents[spec.agent_id],
            self._bindings.evaluators[spec.problem_id],
            timeout_s=self._timeout_s,
            outcomes=self._outcomes,
        )

    async def _rescored(self, job: Job, ctx: RunContext) -> RunResult:
        evaluators = self._bindings.evaluators[ctx.spec.problem_id]
        earlier = await self._recall(job.position)
        rescored = await rescore(ctx, earlier, evaluators, outcomes=self._outcomes)
        self.tally.discount(earlier)
        return rescored

    def _settle(self, job: Job, result: RunResult) -> float | None:
        wait_s = None
        if result.status is RunStatus.FAILED:
            wait_s = next_wait_s(self._retry, result, job.tries)

        self.tally.count(result, retried=wait_s is not None)
        if wait_s is not None:
            self._announce(RunRetried, run_id=result.run_id, result=result, wait_s=wait_s)
            return wait_s

        self._announce(_FINISHED[result.status], run_id=result.run_id, result=result)
        if result.error is not None and result.error.stops_study:
            self._stop(str(result.error))
        elif self._max_failures is not None and self.tally.failed > self._max_failures:
            self._stop(
                f"{self.tally.failed} failed runs are more than max_failures={self._max_failures}; "
                f"the last one: {result.run_id}: {result.error}"
            )

        return None

    def _observed(self, observation: Observation) -> None:
        # The bus is the event loop's; an agent in a thread neither enters it nor waits for it.
        if get_ident() != self._thread and self._call_soon is not None:
            self._call_soon(self._observed, observation)
            return

        self._announce(RunObserved, run_id=observation.run_id, observation=observation)

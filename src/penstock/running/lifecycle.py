"""A run's way from its plan through its attempts to its result, said on the bus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from threading import get_ident

import anyio

from penstock._base.fact import changed
from penstock._base.loop import call_soon_from_threads, undisturbed
from penstock.agents.call_counts import CallCounts
from penstock.agents.context import RunContext
from penstock.errors import StudyCancelled, WorkerLostError
from penstock.events.announcer import Announcer
from penstock.events.tree import (
    RunAbandoned,
    RunAnswered,
    RunCancelled,
    RunFailed,
    RunObserved,
    RunRetried,
    RunSkipped,
    RunStarted,
    RunSucceeded,
)
from penstock.planning.plan import Plan, RunSpec
from penstock.results import Observation, RunResult, RunStatus
from penstock.running.alike import AlikeWatch, Asked
from penstock.running.attempt import Attempt
from penstock.running.attempts import Attempts, AttemptsHere, Task
from penstock.running.binding import Bindings
from penstock.running.failures import NOT_SCORED
from penstock.running.job import Job
from penstock.running.outcomes import OutcomeWatch
from penstock.running.retry import next_wait_s
from penstock.running.scheduler import Orders
from penstock.running.tally import Tally
from penstock.study.execution import Execution
from penstock.summary import StudySummary

__all__ = ["Lifecycle"]

_FINISHED = {
    RunStatus.SUCCESS: RunSucceeded,
    RunStatus.FAILED: RunFailed,
    RunStatus.SKIPPED: RunSkipped,
}
_OF_WAITING = frozenset({"queued_s"})
"""What an attempt records that has only waited: nobody was called."""


def _calls_after(last: Attempt) -> CallCounts:
    """Begin the counts of an attempt, which goes on where one was that was lost or recalled."""
    is_cut = last.is_recalled or _is_of(last, WorkerLostError)
    return last.calls.of_lost_attempt() if is_cut else last.calls.of_another_attempt()


class Lifecycle:
    """Does jobs for the scheduler: makes the run, tries it, says what happened.

    Args:
        plan: Where runs come from.
        bindings: What its names stand for.
        announce: Says events.
        execution: How jobs are done: time limits, retries, how many may fail.
        stop: Called with the reason when the study is to stop.
        stop_for_good: The same where no other run can succeed; `stop`, where not given.
        leave: Called with whose other runs are left, and why.
        orders: What the scheduler has ordered.
        interrupt: Called when somebody pressed Ctrl-C during a step of a run.
        attempts: Makes attempts; in this event loop, where not given.

    Attributes:
        enter: Called with each attempt in its own task; may be set.
        held_back: Evaluators that do not score kept answers in this session, for it may cost.
    """

    def __init__(
        self,
        plan: Plan,
        bindings: Bindings,
        announce: Announcer,
        execution: Execution,
        *,
        stop: Callable[[str], None],
        stop_for_good: Callable[[str], None] | None = None,
        leave: Callable[[Asked, str], None] = lambda _, __: None,
        orders: Orders | None = None,
        interrupt: Callable[[], None] = lambda: None,
        attempts: Attempts | None = None,
    ) -> None:
        self.tally = Tally(StudySummary(study_id=plan.study.study_id, planned=len(plan)))
        self.follow(execution)
        self.held_back: frozenset[str] = frozenset()
        self._plan = plan
        self._bindings = bindings
        self._announce = announce
        limits = execution.limiters.items()
        self._limiters = {name: anyio.CapacityLimiter(most) for name, most in limits}
        self._stop = stop
        self._stop_for_good = stop_for_good or stop
        self._alike = AlikeWatch(
            execution.stop_alike, plan, bindings, leave=leave, stop_for_good=self._stop_for_good
        )
        self._orders = orders or Orders()
        self._interrupt = interrupt
        self._outcomes = plan.study.outcomes
        self._attempts = attempts or AttemptsHere(bindings, plan.study.outcomes)
        self._watch = OutcomeWatch(plan.study.outcomes, plan.study.evaluators)
        self._on_observe = self._observed  # bound once, not for every run
        self.enter: Callable[[RunContext], None] | None = None
        self._thread: int | None = None
        self._call_soon: Callable[..., None] | None = None

    def follow(self, execution: Execution) -> None:
        """Do jobs like this from now on."""
        self.execution = execution
        self._task = Task(execution.timeout_s, self._say_answered)  # made once, not for every run

    async def __call__(self, job: Job) -> float | None:
        """Make one attempt; return the seconds to wait before another, or None when all is over."""
        if self._call_soon is None:
            self._thread, self._call_soon = get_ident(), call_soon_from_threads()

        spec = self._plan.at(job.position)
        if not self._alike.lets_begin(spec):
            return None

        attempt = job.attempt = self._begin(job, spec)
        if self.enter is not None:
            self.enter(attempt.ctx)

        if job.answered is not None:
            result = await self._rescored(job, attempt, job.answered)
        elif job.recall is not None:
            # Whoever cancels it meanwhile: its answer is not lost, and its attempt has an end.
            earlier = await undisturbed(partial(job.recall, job.position))
            result = await self._rescored(job, attempt, earlier)
        else:
            result = await self._attempts(attempt, self._task)

        # An attempt that was left behind was over then, for counts, events and store alike.
        if job.attempt is not attempt:
            return None

        if attempt.is_recalled and _is_cut_in_scoring(result):
            result = result.model_copy(update={"status": RunStatus.SCORING, "error": NOT_SCORED})

        if result.status is RunStatus.SCORING:
            return self._score_later(job, attempt, result)

        return self._settle(job, attempt, result)

    def conclude(self) -> None:
        """Announce what is known only when no run is left to begin."""
        self._alike.conclude()

    def abandon(self, job: Job) -> None:
        """End the attempt at a run that ignores its cancellation, with what it has gathered."""
        attempt, job.attempt = job.attempt, None
        if attempt is not None:
            self._settle(job, attempt, attempt.cut_off(), cancelled=RunAbandoned)

    def recall(self, job: Job) -> None:
        """Note that the attempt at a run is about to be cancelled, and the run to be made again."""
        if job.attempt is not None:
            job.attempt.is_recalled = True

    def _begin(self, job: Job, spec: RunSpec) -> Attempt:
        failed = job.attempt
        job.tries += 1
        number = job.earlier_attempts
        if not job.is_answered:
            number += job.tries
            self._count_call(job, 1)

        self._announce(RunStarted, run_id=spec.run_id, spec=spec, attempt=number)
        ctx = RunContext(
            spec,
            self._bindings.problems[spec.problem_id],
            self._plan.condition_of(spec),
            number,
            planned_order=job.planned_order,
            started_order=self.tally.started,
            limiters=self._limiters,
            models=self._bindings.models,
            calls=None if failed is None else _calls_after(failed),
            on_observe=self._on_observe,
        )
        evaluator_timeout_s = self.execution.evaluator_timeout_s or None
        return Attempt(ctx, self._orders, self._outcomes, evaluator_timeout_s)

    def _say_answered(self, attempt: Attempt, result: RunResult) -> None:
        attempt.has_told_answer = True
        self._announce(RunAnswered, run_id=result.run_id, result=result)

    def _count_call(self, job: Job, count: int) -> None:
        self.tally.started += count
        job.note_call(count)

    async def _rescored(self, job: Job, attempt: Attempt, earlier: RunResult) -> RunResult:
        has_scored = {each.evaluator for each in earlier.scored}
        if earlier.status is RunStatus.SUCCESS:
            has_scored |= self.held_back

        task = Task(earlier=earlier, has_scored=frozenset(has_scored))
        result = await self._attempts(attempt, task)
        if job.answered is not None:  # it takes the place of what is saved of the same attempt
            return result.model_copy(update={"is_rescored": False})

        if result.is_rescored and job.attempt is attempt:
            self.tally.discount(earlier.metrics)

        return result

    def _score_later(self, job: Job, attempt: Attempt, answered: RunResult) -> float | None:
        """Score an answer again that was recalled, or lost its worker, in the midst of it."""
        if job.answered is None:
            self.tally.count_answer(answered)
            if not attempt.has_told_answer:  # it was cut before it had waited for long
                self._say_answered(attempt, changed(answered, evaluations=(), scored=()))

        job.answered, job.earlier_attempts = answered, answered.attempt
        return None if self._orders.stopped else 0.0

    def _settle(
        self,
        job: Job,
        attempt: Attempt,
        result: RunResult,
        *,
        cancelled: type[RunCancelled] = RunCancelled,
    ) -> float | None:
        """Count an attempt that is over, and say how it ended: once, and in one way."""
        answered = job.answered
        # Of another answer, or one that is scored again, they are what was reported then.
        if result.reported and not result.is_rescored and answered is None:
            self._say_observed(attempt.ctx, result.reported)

        if attempt.is_interrupted:
            self._interrupt()

        if result.status is RunStatus.CANCELLED:
            self._alike.note(result.spec, None)
            is_lost = attempt.is_recalled or _is_of(result, WorkerLostError)
            job.lost += is_lost
            self._give_up(job, attempt, result, cancelled, is_lost=is_lost)
            return 0.0 if is_lost and not self._orders.stopped else None

        wait_s = None
        if result.status is RunStatus.FAILED and not self._orders.stopped:
            wait_s = next_wait_s(self.execution.retry, result, job.tries - job.lost)

        counted = None if answered is None else answered.metrics
        self.tally.count(result, retried=wait_s is not None, replaced=job.replaces, counted=counted)
        if wait_s is not None:
            self._announce(RunRetried, run_id=result.run_id, result=result, wait_s=wait_s)
            return wait_s

        self._announce(_FINISHED[result.status], run_id=result.run_id, result=result)
        is_news = result.error is None or not result.error.is_known
        self._alike.note(result.spec, result if is_news else None)
        if is_news:  # else it tells nothing of how the provider is today
            self._stop_after(result)

        return None

    def _give_up(
        self,
        job: Job,
        attempt: Attempt,
        result: RunResult,
        kind: type[RunCancelled],
        *,
        is_lost: bool,
    ) -> None:
        """Leave a run for the next session, or worker; what it has cost until now is kept."""
        is_kept = self._orders.cancelled or not attempt.ctx.metrics.keys() <= _OF_WAITING
        if is_lost or job.answered is not None:
            is_kept = not job.is_answered  # else the attempt that was answered is kept already

        if is_kept is job.is_answered:  # what is kept is an attempt, and nothing else is
            self._count_call(job, 1 if is_kept else -1)

        self.tally.give_up(result if is_kept else None)
        self._announce(kind, run_id=result.run_id, result=result if is_kept else None)
        if result.error is not None and result.error.stops_study:
            self._stop(result.error.message)

    def _stop_after(self, result: RunResult) -> None:
        """Stop the study where its runs have failed too often, or no other can succeed."""
        if result.status is RunStatus.SUCCESS:
            if why := self._watch.why_stop(result):
                self._stop(why)
        elif result.error is not None and result.error.stops_study:
            self._stop_for_good(str(result.error))
        else:
            most, failed = self.execution.failures_allowed, self.tally.failed
            if most is not None and failed > most:
                self._stop(
                    f"{failed} failed runs are more than max_failures={most}; the last one: "
                    f"{result.run_id}: {result.error}"
                )

    def _observed(self, ctx: RunContext) -> None:
        # The bus is the event loop's; an agent in a thread neither enters it nor waits for it.
        if get_ident() != self._thread and self._call_soon is not None:
            self._call_soon(self._say_so_far, ctx)
        else:
            self._say_observed(ctx)

    def _say_so_far(self, ctx: RunContext) -> None:
        if not ctx.is_over:  # else its end has said what was observed
            self._say_observed(ctx)

    def _say_observed(self, ctx: RunContext, observed: Sequence[Observation] | None = None) -> None:
        """Announce what was observed and is not yet announced, before the end of its run."""
        for observation in ctx.unannounced(observed):
            self._announce(RunObserved, run_id=observation.run_id, observation=observation)


def _is_of(result: RunResult | Attempt, kind: type[Exception]) -> bool:
    return result.error is not None and result.error.kind == kind.__name__


def _is_cut_in_scoring(result: RunResult) -> bool:
    """Return whether an attempt was cancelled when its answer was there."""
    return result.status is RunStatus.FAILED and _is_of(result, StudyCancelled)

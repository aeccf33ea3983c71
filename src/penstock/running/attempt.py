"""One attempt at a run: call the agent, keep its answer, score it.

Whatever is raised on the way becomes a typed failure that keeps all that was gathered before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any

from penstock._base.fact import EMPTY, unchecked
from penstock._base.json import Parts, encode
from penstock._base.long_wait import told_long_wait
from penstock._base.loop import is_closed_by, take_back_cancellations, was_asked_to_cancel
from penstock._base.secrets import without_secrets
from penstock.agents.answers import AgentResult, as_agent_result
from penstock.agents.context import RunContext
from penstock.agents.shapes import BoundAgent
from penstock.errors import AgentReportedFailure, OutputError, StudyCancelled
from penstock.evaluators.port import BoundEvaluator
from penstock.results import (
    Evaluation,
    RunError,
    RunResult,
    RunStage,
    RunStatus,
    Scored,
    known_to_be_plain,
)
from penstock.running import failures
from penstock.running.evaluating import score_by
from penstock.running.gathered import (
    Gathered,
    gather,
    kept_outputs,
    metrics_of,
    provenance_of,
)
from penstock.running.scheduler import Orders
from penstock.running.time_limits import in_time
from penstock.study.hypotheses import Outcome

__all__ = ["Attempt"]

_ended = unchecked(RunResult)
_NO_ANSWER, _NO_OUTPUTS = AgentResult(), Parts()


class Attempt:
    """An attempt at a run, and what it has gathered so far; it has a result whatever happens.

    Args:
        ctx: The run.
        orders: What the scheduler has ordered. Only its own cancellation cuts an attempt off; any
            other is a failure, like whatever else is raised.
        outcomes: The study's outcomes; the primary one says what the primary outcome is.
        evaluator_timeout_s: How long an evaluator may take, in seconds; None for any time.

    Attributes:
        calls: What it has asked of models.
        has_told_answer: Whether its answer was told before it was scored.
        is_interrupted: Whether a person pressed Ctrl-C during a step of the agent or an evaluator.
        is_recalled: Whether it is cancelled and its run made again in this session.
    """

    __slots__ = (
        "_begun",
        "_family",
        "_has_answered",
        "_latency_s",
        "_metadata",
        "_number",
        "_orders",
        "_outcomes",
        "_outputs",
        "_planned_order",
        "_refused",
        "_spec",
        "_stage",
        "_started_at",
        "_started_order",
        "answer",
        "calls",
        "ctx",
        "error",
        "evaluations",
        "evaluator_timeout_s",
        "has_told_answer",
        "is_interrupted",
        "is_recalled",
        "scored",
        "status",
    )

    def __init__(
        self,
        ctx: RunContext,
        orders: Orders | None = None,
        outcomes: Sequence[Outcome] = (),
        evaluator_timeout_s: float | None = None,
    ) -> None:
        self.ctx = ctx
        self.answer = _NO_ANSWER
        self.status = RunStatus.SUCCESS
        self.error: RunError | None = None
        self.evaluations: tuple[Evaluation, ...] = ()
        self.scored: tuple[Scored, ...] = ()
        self.has_told_answer = self.is_interrupted = self.is_recalled = False
        self._orders = orders or Orders()
        self._outcomes = outcomes
        self.evaluator_timeout_s = evaluator_timeout_s
        self._stage = RunStage.AGENT
        self._has_answered = False
        self._outputs = _NO_OUTPUTS
        self._metadata: Mapping[str, Any] = EMPTY
        # Now, for an agent may put anything in their places.
        self._spec, self._number, self._refused = ctx.spec, ctx.attempt, ctx.refused
        self.calls = ctx.calls
        self._planned_order, self._started_order = ctx.planned_order, ctx.started_order
        self._started_at = datetime.now(UTC)
        self._family = ctx.problem.family if ctx.spec.problem_id else None
        self._latency_s: float | None = None
        self._begun = perf_counter()

    async def execute(
        self,
        agent: BoundAgent,
        evaluators: Sequence[BoundEvaluator] = (),
        *,
        timeout_s: float | None = None,
        on_answer: Callable[[Attempt, RunResult], None] | None = None,
    ) -> RunResult:
        """Call the agent and score its answer; return what came of it, whatever they do.

        No cancellation is pending or counted afterwards, whoever asked for it.

        Args:
            agent: Answers the problem.
            evaluators: Score the answer.
            timeout_s: How long the agent may take, in seconds; evaluators are not counted.
            on_answer: Told what there is when its scores have to be waited for.
        """
        ctx = self.ctx
        try:
            answer = await (agent(ctx) if timeout_s is None else in_time(agent, ctx, timeout_s))
        except BaseException as error:
            if is_closed_by(error):
                raise

            self._stop_the_clock()
            self.fail(error)
        else:
            self._stop_the_clock()
            self._keep(answer)

        if evaluators and self.error is None:
            tell = None if on_answer is None else partial(self._tell, on_answer)
            await told_long_wait(self.score(evaluators), tell)

        if was_asked_to_cancel():
            await take_back_cancellations()

        return self.end()

    async def score(self, evaluators: Sequence[BoundEvaluator]) -> None:
        """Score the answer; where the study is cancelled, that is left to the next session."""
        self._stage = RunStage.EVALUATOR
        if self._orders.cancelled or self.is_recalled:
            self.fail(StudyCancelled())
            return

        if was_asked_to_cancel():  # by its agent, perhaps, which has answered all the same
            await take_back_cancellations()

        try:
            for evaluate in evaluators:
                scores, scored = await score_by(
                    evaluate, self.ctx, self.answer.outputs, self.evaluator_timeout_s
                )
                self.evaluations = (*self.evaluations, *scores)
                self.scored = (*self.scored, *scored)
        except BaseException as error:
            if is_closed_by(error):
                raise

            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Turn what was raised into a typed failure, or into the end that was ordered."""
        if isinstance(error, KeyboardInterrupt) and getattr(error, "is_of_a_person", True):
            self.is_interrupted = True

        if self.error is not None:
            return  # the first failure is the one to tell

        error = failures.stop_in(error)
        is_at_work = self._stage is RunStage.EVALUATOR or not self._has_answered
        if (self._orders.cancelled or self.is_recalled) and is_at_work:
            # Whatever was raised: clients turn a cancellation into an error of their own.
            error = failures.cancelled_by(error)
            self.status = RunStatus.FAILED if self._has_answered else RunStatus.CANCELLED
        else:
            self.status = failures.status_of(error, self._stage)

        self.error = failures.error_of(error, self._stage, self.calls)

    def cut_off(self, error: BaseException | None = None) -> RunResult:
        """Return what there is so far, of an attempt that ignores its cancellation, or is lost."""
        self.fail(error or StudyCancelled())
        return self.end()

    def _tell(self, on_answer: Callable[[Attempt, RunResult], None]) -> None:
        on_answer(self, self.so_far())

    def so_far(self) -> RunResult:
        """Return what is kept of an attempt whose answer is there, as if nothing had scored it."""
        scores, self.evaluations, self.scored = (self.evaluations, self.scored), (), ()
        kept = self.gathered(lambda _: None)
        result = self._result(kept, RunStatus.SCORING, failures.NOT_SCORED)
        self.evaluations, self.scored = scores
        return result

    def end(self) -> RunResult:
        """Return the result; from here on the agent reports to nobody."""
        self.ctx.end()
        if self._latency_s is None:
            self._stop_the_clock()

        gathered = self.gathered()
        if self._refused:
            self.error = failures.error_of_parts(self._refused, self.error)

        return self._result(gathered, self.status, self.error)

    def _result(self, gathered: Gathered, status: RunStatus, error: RunError | None) -> RunResult:
        latency_s, ended_at = self._latency_s or 0.0, datetime.now(UTC)
        result = _ended(
            spec=self._spec,
            status=status,
            attempt=self._number,
            planned_order=self._planned_order,
            started_order=self._started_order,
            started_at=self._started_at,
            ended_at=ended_at,
            latency_s=latency_s,
            outputs_json=self._outputs.text,
            metrics=metrics_of(gathered, latency_s, self.evaluations, self._outcomes),
            evaluations=self.evaluations,
            scored=self.scored,
            reported=gathered.observations,
            trace_refs=self.answer.trace_refs,
            provenance=provenance_of(gathered, self._family, self._metadata),
            error=error,
            is_rescored=False,
        )
        return known_to_be_plain(result) if self._outputs.is_plain else result

    def gathered(self, fail: Callable[[BaseException], None] | None = None) -> Gathered:
        """Return what the context holds, but for what cannot be stored.

        What was recorded was looked at then; whoever writes into the context itself fails.
        """
        fail = fail or self._fail_to_store
        try:
            return gather(self.ctx, fail)
        except BaseException as error:  # noqa: BLE001 - an agent may leave anything behind
            fail(error)
            return Gathered()

    def _fail_to_store(self, error: BaseException) -> None:
        self._stage = RunStage.OUTPUT
        self.fail(error)

    def _stop_the_clock(self) -> None:
        waited_s = self.ctx.waited_s if isinstance(self.ctx.waited_s, float) else 0.0
        self._latency_s = perf_counter() - self._begun - waited_s

    def _keep(self, answer: Any) -> None:
        """Keep the agent's answer, and of what belongs to it all that can be stored."""
        self._has_answered = True
        self._stage = RunStage.OUTPUT
        try:
            self.answer = as_agent_result(answer, self._refused.append)
        except BaseException as error:  # noqa: BLE001 - whatever an agent returned may raise
            self.fail(error)
            return

        if not self.answer.success:
            self._stage = RunStage.AGENT
            self.fail(AgentReportedFailure(self.answer.error))

        for part, keep_part in _PARTS:
            try:
                if getattr(self.answer, part):
                    keep_part(self)
            except BaseException as error:  # noqa: BLE001 - whatever an agent returned may raise
                self._refused.append(error)

    def _keep_metrics(self) -> None:
        self.ctx.record(**self.answer.metrics)

    def _keep_outputs(self) -> None:
        try:
            self._outputs, kept = kept_outputs(self.answer.outputs, self._refused.append)
        except OutputError as error:
            self.fail(error)
        else:
            if kept is not self.answer.outputs:
                self.answer = self.answer.model_copy(update={"outputs": kept})

    def _keep_metadata(self) -> None:
        encode(self.answer.metadata, "metadata")
        self._metadata = without_secrets(self.answer.metadata)

    def _keep_events(self) -> None:
        for event in self.answer.events:
            self.ctx.observe_mapping(event)


_PARTS = (
    ("metrics", Attempt._keep_metrics),  # noqa: SLF001 - our own
    ("outputs", Attempt._keep_outputs),  # noqa: SLF001
    ("metadata", Attempt._keep_metadata),  # noqa: SLF001
    ("events", Attempt._keep_events),  # noqa: SLF001
)

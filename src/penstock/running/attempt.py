"""One attempt at a run: call the agent, keep its answer, score it.

Whatever is raised on the way becomes a typed failure that keeps all that was gathered before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import anyio

from penstock._base.fact import unchecked
from penstock._base.json import encode
from penstock._base.loop import was_asked_to_cancel
from penstock._base.secrets import without_secrets
from penstock.agents.answers import AgentResult, as_agent_result
from penstock.agents.context import RunContext
from penstock.agents.shapes import BoundAgent
from penstock.errors import (
    AgentReportedFailure,
    AttemptTimeoutError,
    SkipRun,
    StopStudy,
)
from penstock.evaluators.port import BoundEvaluator
from penstock.results import (
    JUDGE_AMOUNTS,
    Evaluation,
    RunError,
    RunResult,
    RunStage,
    RunStatus,
)
from penstock.running.failures import error_of
from penstock.study.hypotheses import Outcome

__all__ = ["execute", "rescore"]

_ended = unchecked(RunResult)


async def execute(
    ctx: RunContext,
    agent: BoundAgent,
    evaluators: Iterable[BoundEvaluator] = (),
    *,
    timeout_s: float | None = None,
    outcomes: Iterable[Outcome] = (),
) -> RunResult:
    """Make one attempt at a run and give its result, whatever the agent or an evaluator does.

    Args:
        ctx: The run.
        agent: Answers the problem.
        evaluators: Score the answer.
        timeout_s: How long the agent may take, in seconds; evaluators are not counted.
        outcomes: The study's outcomes; the primary one says what the primary outcome is.

    Raises:
        StopStudy: the agent said so; the run is left undone.
        BaseException: the run is cancelled from outside.
    """
    started_at, start = datetime.now(UTC), perf_counter()
    try:
        answer = await (agent(ctx) if timeout_s is None else _in_time(agent, ctx, timeout_s))
    except BaseException as error:  # noqa: BLE001 - an agent may raise anything at all
        latency_s = perf_counter() - start - ctx.waited_s
        attempt = _Attempt(ctx)
        attempt.fail(error)
    else:
        latency_s = perf_counter() - start - ctx.waited_s
        attempt = _Attempt(ctx)
        attempt.keep(answer)

    if attempt.error is None:
        await attempt.score(evaluators)

    ctx.end()
    return _ended(
        spec=ctx.spec,
        status=attempt.status,
        attempt=ctx.attempt,
        planned_order=ctx.planned_order,
        started_order=ctx.started_order,
        started_at=started_at,
        ended_at=datetime.now(UTC),
        latency_s=latency_s,
        outputs_json=attempt.outputs_json,
        metrics=attempt.metrics(latency_s, outcomes),
        evaluations=attempt.evaluations,
        observations=tuple(ctx.observations),
        trace_refs=attempt.answer.trace_refs,
        provenance=without_secrets(ctx.provenance) | attempt.provenance,
        error=attempt.error,
    )


async def rescore(
    ctx: RunContext,
    earlier: RunResult,
    evaluators: Iterable[BoundEvaluator],
    *,
    outcomes: Iterable[Outcome] = (),
) -> RunResult:
    """Score an answer that is already there; its agent is not called and costs nothing again.

    Args:
        ctx: The run.
        earlier: The attempt that holds the answer.
        evaluators: Score the answer.
        outcomes: The study's outcomes.
    """
    attempt = _Attempt(ctx)
    attempt.answer = AgentResult(outputs=dict(earlier.outputs))
    await attempt.score(evaluators)
    metrics = dict(earlier.metrics)
    if metrics.get("primary_outcome") == _primary_outcome(earlier.evaluations, metrics, outcomes):
        metrics.pop("primary_outcome", None)  # it came from the old scores, not from the agent

    for name in JUDGE_AMOUNTS & ctx.metrics.keys():  # paid on top of what was paid before
        metrics[name] = metrics.get(name, 0) + ctx.metrics[name]

    ctx.metrics.update(metrics)
    return earlier.model_copy(
        update={
            "status": attempt.status,
            "error": attempt.error,
            "evaluations": attempt.evaluations,
            "metrics": attempt.metrics(earlier.latency_s, outcomes) | metrics,
            "is_rescored": True,
        }
    )


async def _in_time(agent: BoundAgent, ctx: RunContext, timeout_s: float) -> Any:
    error: BaseException | None = None
    with anyio.move_on_after(timeout_s) as scope:
        ctx.timeout_scope = scope
        try:
            return await agent(ctx)
        except Exception as raised:  # noqa: BLE001 - raised again, as what it is
            error = raised

    if scope.cancel_called:  # clients may turn the cancellation into an error of their own
        raise AttemptTimeoutError(timeout_s) from error

    raise error or AssertionError("unreachable")


_NO_ANSWER = AgentResult()


class _Attempt:
    """What an attempt has gathered so far; kept whatever happens next."""

    __slots__ = (
        "answer",
        "ctx",
        "error",
        "evaluations",
        "outputs_json",
        "provenance",
        "stage",
        "status",
    )

    def __init__(self, ctx: RunContext) -> None:
        self.ctx = ctx
        self.stage = RunStage.AGENT
        self.status = RunStatus.SUCCESS
        self.answer = _NO_ANSWER
        self.outputs_json = "{}"
        self.provenance: dict[str, Any] = (
            {"execution_mode": "condition_runner"}
            if ctx.spec.problem_spec_ref is None
            else {"problem_family": ctx.problem.family}
        )
        self.evaluations: tuple[Evaluation, ...] = ()
        self.error: RunError | None = None

    def keep(self, answer: Any) -> None:
        """Keep the agent's answer, and of what belongs to it all that can be stored."""
        self.stage = RunStage.OUTPUT
        try:
            self.answer = as_agent_result(answer)
        except BaseException as error:  # noqa: BLE001 - whatever an agent returned may raise
            self.fail(error)
            return

        if not self.answer.success:
            self.stage = RunStage.AGENT
            self.fail(AgentReportedFailure(self.answer.error))
            self.stage = RunStage.OUTPUT

        for part, keep_part in _PARTS:
            try:
                if getattr(self.answer, part):
                    keep_part(self)
            except BaseException as error:  # noqa: BLE001 - whatever an agent returned may raise
                self.fail(error)

    def _keep_metrics(self) -> None:
        self.ctx.record(**self.answer.metrics)

    def _keep_outputs(self) -> None:
        self.outputs_json = encode(self.answer.outputs)

    def _keep_metadata(self) -> None:
        encode(self.answer.metadata, "metadata")
        self.provenance = {**self.provenance, **without_secrets(self.answer.metadata)}

    def _keep_events(self) -> None:
        for event in self.answer.events:
            self.ctx.observe_mapping(event)

    async def score(self, evaluators: Iterable[BoundEvaluator]) -> None:
        """Score the answer."""
        self.stage = RunStage.EVALUATOR
        try:
            for evaluate in evaluators:
                self.evaluations = (
                    *self.evaluations,
                    *await evaluate(self.ctx, self.answer.outputs),
                )
        except BaseException as error:  # noqa: BLE001 - an evaluator may raise anything at all
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Turn what was raised into a typed failure; a cancellation from outside goes on."""
        if was_asked_to_cancel():
            raise _cancellation(error) from error.__cause__

        if isinstance(error, StopStudy) and self.stage is RunStage.AGENT:
            raise error  # nothing is lost: there is no answer yet

        if self.error is not None:
            return  # the first failure is the one to tell

        if isinstance(error, SkipRun):
            self.status = RunStatus.SKIPPED
        else:
            self.status = RunStatus.FAILED

        self.error = error_of(error, self.stage)

    def metrics(self, latency_s: float, outcomes: Iterable[Outcome]) -> dict[str, Any]:
        """Gather the metrics of the run, those that every run has included."""
        recorded = self.ctx.metrics
        events = [observation.event_type for observation in self.ctx.observations]
        metrics = {
            "tool_call_count": events.count("tool_call"),
            "step_event_count": sum(event in _STEP_EVENTS for event in events) if events else 1,
            "unique_actor_count": len({each.actor_id for each in self.ctx.observations}) or 1,
            "latency_s": latency_s,
            "cost_usd": 0.0,
            "input_tokens": 0,
            "output_tokens": 0,
            **recorded,
        }
        if "primary_outcome" not in metrics:
            primary = _primary_outcome(self.evaluations, metrics, outcomes)
            if primary is not None:
                metrics["primary_outcome"] = primary

        return metrics


_PARTS = (
    ("metrics", _Attempt._keep_metrics),  # noqa: SLF001 - our own
    ("outputs", _Attempt._keep_outputs),  # noqa: SLF001
    ("metadata", _Attempt._keep_metadata),  # noqa: SLF001
    ("events", _Attempt._keep_events),  # noqa: SLF001
)


def _cancellation(error: BaseException) -> BaseException:
    """Find the cancellation that a client has turned into an error of its own."""
    cancelled = anyio.get_cancelled_exc_class()
    found: BaseException | None = error
    while found is not None and not isinstance(found, cancelled):
        found = found.__context__

    return found or cancelled()


_STEP_EVENTS = frozenset({"step", "tool_call", "assistant_output"})


def _primary_outcome(
    evaluations: Sequence[Evaluation], metrics: Mapping[str, Any], outcomes: Iterable[Outcome]
) -> Any:
    """Follow the declared primary outcome; where none is declared, the first score."""
    declared = next((outcome for outcome in outcomes if outcome.primary), None)
    if declared is None:
        return evaluations[0].metric_value if evaluations else None

    if declared.source_table == "evaluations":
        return next(
            (row.metric_value for row in evaluations if row.metric_name == declared.column), None
        )

    return metrics.get(declared.column)

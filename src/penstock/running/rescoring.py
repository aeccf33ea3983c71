"""Scoring an answer that is already there: its agent is not called and costs nothing again."""

from __future__ import annotations

from collections.abc import Sequence

from penstock._base.loop import take_back_cancellations, was_asked_to_cancel
from penstock.agents.answers import AgentResult
from penstock.evaluators.port import BoundEvaluator
from penstock.results import (
    JUDGE_AMOUNTS,
    OWN_OUTCOME,
    RunError,
    RunResult,
    RunStage,
    RunStatus,
    reported_in,
)
from penstock.running.attempt import Attempt
from penstock.running.gathered import Gathered, metrics_of, primary_outcome
from penstock.study.hypotheses import Outcome

__all__ = ["rescore"]


async def rescore(
    attempt: Attempt,
    earlier: RunResult,
    evaluators: Sequence[BoundEvaluator],
    *,
    outcomes: Sequence[Outcome] = (),
) -> RunResult:
    """Score an answer again; where that is cut off, return what it cost and leave the answer be.

    Args:
        attempt: What is gathered meanwhile.
        earlier: The attempt that holds the answer.
        evaluators: Score the answer.
        outcomes: The study's outcomes.
    """
    attempt.answer = AgentResult(outputs=dict(earlier.outputs))
    await attempt.score(evaluators)
    if was_asked_to_cancel():
        await take_back_cancellations()

    if attempt.status is RunStatus.CANCELLED:
        return attempt.end()

    metrics = dict(earlier.metrics)
    is_own = OWN_OUTCOME.items() <= earlier.provenance.items()
    before = primary_outcome(earlier.evaluations, metrics, outcomes)
    if not is_own and metrics.get("primary_outcome") == before:
        metrics.pop("primary_outcome", None)  # it came from the old scores, not from the agent

    recorded = attempt.gathered().metrics
    for name in JUDGE_AMOUNTS & recorded.keys():  # paid on top of what was paid before
        metrics[name] = metrics.get(name, 0) + recorded[name]

    kept = Gathered({**recorded, **metrics})
    return earlier.model_copy(
        update={
            "status": attempt.status,
            "error": attempt.error or _kept_word(earlier),
            "evaluations": attempt.evaluations,
            "metrics": metrics_of(kept, earlier.latency_s, attempt.evaluations, outcomes),
            "observations": attempt.observed(
                reported_in(earlier), earlier.outputs_json, earlier.ended_at
            ),
            "is_rescored": True,
        }
    )


def _kept_word(earlier: RunResult) -> RunError | None:
    """Return what was said of parts beside the answer that could not be stored."""
    error = earlier.error
    return error if error is not None and error.stage is RunStage.OUTPUT else None

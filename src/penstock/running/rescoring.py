"""Scoring an answer that is already there: its agent is not called and costs nothing again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from penstock._base.loop import take_back_cancellations, was_asked_to_cancel
from penstock.agents.answers import AgentResult
from penstock.evaluators.port import BoundEvaluator
from penstock.results import (
    JUDGE_AMOUNTS,
    OWN_OUTCOME,
    Evaluation,
    RunError,
    RunResult,
    RunStage,
    RunStatus,
    Scored,
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
    order: Sequence[str] = (),
    outcomes: Sequence[Outcome] = (),
) -> RunResult:
    """Score an answer by evaluators that have not; where that is cut off, leave the answer be.

    What others have scored stays, in the order in which the study declares them.

    Args:
        attempt: What is gathered meanwhile.
        earlier: The attempt that holds the answer, with the scores that count.
        evaluators: Score the answer.
        order: The names of all evaluators of the problem, in their order.
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
    shown = primary_outcome(earlier.evaluations, metrics, outcomes)
    if not is_own and metrics.get("primary_outcome") == shown:
        metrics.pop("primary_outcome", None)  # it came from the old scores, not from the agent

    scored, evaluations = _merged(earlier, attempt, order)
    recorded = attempt.gathered().metrics
    for name in JUDGE_AMOUNTS & recorded.keys():  # paid on top of what was paid before
        before, now = metrics.get(name, 0), recorded[name]
        is_known = before is not None and now is not None
        metrics[name] = before + now if is_known else None  # a price may not be known
        if known_usd := 0 if is_known else (before or 0) + (now or 0):
            metrics[_KNOWN] = metrics.get(_KNOWN, 0) + known_usd

    kept = Gathered({**recorded, **metrics})
    return earlier.model_copy(
        update={
            "status": attempt.status,
            "error": attempt.error or _kept_word(earlier),
            "evaluations": evaluations,
            "scored": scored,
            "metrics": metrics_of(kept, earlier.latency_s, evaluations, outcomes),
            "is_rescored": True,
        }
    )


_KNOWN = "judge_known_cost_usd"


def _kept_word(earlier: RunResult) -> RunError | None:
    """Return what was said of parts beside the answer that could not be stored."""
    error = earlier.error
    return error if error is not None and error.stage is RunStage.OUTPUT else None


def _merged(
    earlier: RunResult, attempt: Attempt, order: Sequence[str]
) -> tuple[tuple[Scored, ...], tuple[Evaluation, ...]]:
    """Put scores that were kept and those that are new in the order of their evaluators."""
    kept = earlier.scored
    rows = [*zip(kept, _rows_of(kept, earlier.evaluations), strict=True)]
    new = _rows_of(attempt.scored, attempt.evaluations)
    rows += zip(attempt.scored, new, strict=True)
    place = {name: at for at, name in enumerate(order)}
    rows.sort(key=lambda each: place.get(each[0].evaluator, len(place)))
    unnamed = attempt.evaluations[sum(each.rows for each in attempt.scored) :]
    return (
        tuple(scored for scored, _ in rows),
        (*(row for _, scores in rows for row in scores), *unnamed),
    )


def _rows_of(
    scored: Iterable[Scored], evaluations: Sequence[Evaluation]
) -> Iterator[Sequence[Evaluation]]:
    """Yield the rows of each evaluator that has scored."""
    begin = 0
    for each in scored:
        yield evaluations[begin : begin + each.rows]
        begin += each.rows

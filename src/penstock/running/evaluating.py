"""One evaluator at one answer: its scores, and what they took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from time import perf_counter
from typing import Any

from penstock.agents.context import RunContext
from penstock.evaluators.port import BoundEvaluator
from penstock.evaluators.rules import RuledEvaluator
from penstock.results import Evaluation, Scored

__all__ = ["score_by"]


async def score_by(
    evaluate: BoundEvaluator, ctx: RunContext, outputs: Mapping[str, Any]
) -> tuple[Sequence[Evaluation], tuple[Scored, ...]]:
    """Return the scores of an answer, and the record that the study's evaluator has given them.

    Args:
        evaluate: The evaluator; there is no record of one whose rule is not known.
        ctx: The run.
        outputs: What its agent returned.
    """
    begun, spent_usd = perf_counter(), _recorded_usd(ctx)
    scores = await evaluate(ctx, outputs)
    if not isinstance(evaluate, RuledEvaluator):
        return scores, ()

    scored = Scored(
        evaluator=evaluate.rule.evaluator_id,
        rows=len(scores),
        latency_s=perf_counter() - begun,
        cost_usd=_recorded_usd(ctx) - spent_usd,
    )
    return scores, (scored,)


def _recorded_usd(ctx: RunContext) -> float:
    """Add up what a run has recorded as cost, as far as it is numbers."""
    metrics = ctx.metrics if isinstance(ctx.metrics, Mapping) else {}  # an agent may replace it
    recorded = (metrics.get(name) for name in ("cost_usd", "judge_cost_usd"))
    return sum(each for each in recorded if isinstance(each, (int, float)) and isfinite(each))

"""One evaluator at one answer: its scores, and what they took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import isfinite
from time import perf_counter
from typing import Any

from penstock._base.fact import unchecked
from penstock.agents.context import RunContext
from penstock.errors import EvaluatorTimeoutError
from penstock.evaluators.port import BoundEvaluator
from penstock.evaluators.rules import RuledEvaluator
from penstock.results import Evaluation, Scored
from penstock.running.time_limits import within

__all__ = ["score_by"]

_scored = unchecked(Scored)


async def score_by(
    evaluate: BoundEvaluator,
    ctx: RunContext,
    outputs: Mapping[str, Any],
    timeout_s: float | None = None,
) -> tuple[Sequence[Evaluation], tuple[Scored, ...]]:
    """Return the scores of an answer, and the record that the study's evaluator has given them.

    Args:
        evaluate: The evaluator; there is no record of one whose rule is not known.
        ctx: The run.
        outputs: What its agent returned.
        timeout_s: How long the evaluator may take, in seconds, where it does not end by itself.
    """
    begun, spent_usd = perf_counter(), _recorded_usd(ctx)
    rule, is_quick = None, False
    if isinstance(evaluate, RuledEvaluator):
        rule, is_quick, evaluate = evaluate.rule, evaluate.is_quick, evaluate.evaluate

    name = ctx.calls.evaluator_id = "evaluator" if rule is None else rule.evaluator_id
    try:
        if timeout_s is None or is_quick:
            scores = await evaluate(ctx, outputs)
        else:
            too_late = partial(EvaluatorTimeoutError, name, timeout_s)
            scores = await within(timeout_s, ctx, partial(evaluate, ctx, outputs), too_late)
    finally:
        ctx.calls.evaluator_id = ""

    if rule is None:
        return scores, ()

    scored = _scored(
        evaluator=rule.evaluator_id,
        rows=len(scores),
        latency_s=perf_counter() - begun,
        cost_usd=_recorded_usd(ctx) - spent_usd,
    )
    return scores, (scored,)


def _recorded_usd(ctx: RunContext) -> float:
    """Add up what a run has recorded as cost, as far as it is numbers."""
    metrics = ctx.metrics  # an agent may replace it
    if not metrics or not isinstance(metrics, Mapping):
        return 0.0

    recorded = (metrics.get(name) for name in _COSTS)
    return sum(each for each in recorded if isinstance(each, (int, float)) and isfinite(each))


_COSTS = ("cost_usd", "known_cost_usd", "judge_cost_usd", "judge_known_cost_usd")

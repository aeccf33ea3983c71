from __future__ import annotations

from typing import Any

import pytest

from penstock.results import RunStage, RunStatus
from penstock.running.attempt import Attempt
from penstock.running.rescoring import rescore
from penstock.running.scheduler import Orders
from tests.builders import make_context, make_error, make_result
from tests.running.test_attempt import bound_evaluator

pytestmark = pytest.mark.anyio


async def test_scoring_again_keeps_the_answer_and_replaces_the_scores() -> None:
    ctx = make_context()
    earlier = make_result(
        ctx.spec,
        metrics={"cost_usd": 2.0, "primary_outcome": 1},
        scores={"old": 1},
        outputs_json='{"text":"four"}',
    )

    again = await rescore(Attempt(ctx), earlier, [bound_evaluator("e", lambda answer: {"new": 4})])

    assert (again.status, again.outputs, again.cost_usd) == (
        RunStatus.SUCCESS,
        {"text": "four"},
        2.0,
    )
    assert [(row.metric_name, row.metric_value) for row in again.evaluations] == [("new", 4)]
    assert (again.primary_outcome, again.is_rescored) == (4, True)


async def test_scoring_again_turns_a_failed_evaluation_into_a_success() -> None:
    ctx = make_context()
    error = make_error(stage=RunStage.EVALUATOR)
    earlier = make_result(ctx.spec).model_copy(update={"status": RunStatus.FAILED, "error": error})

    def broken(answer: Any) -> None:
        raise ValueError("still broken")

    good = await rescore(Attempt(ctx), earlier, [bound_evaluator("e", lambda answer: 1)])
    bad = await rescore(Attempt(make_context()), earlier, [bound_evaluator("e", broken)])

    assert (good.status, good.error) == (RunStatus.SUCCESS, None)
    assert (bad.status, bad.error_info) == (RunStatus.FAILED, "ValueError: still broken")


async def test_a_primary_outcome_of_the_agent_s_own_outlives_scoring_again() -> None:
    ctx = make_context()
    earlier = make_result(ctx.spec, metrics={"primary_outcome": 9}, scores={"old": 1})

    again = await rescore(Attempt(ctx), earlier, [bound_evaluator("e", lambda answer: 4)])

    assert again.primary_outcome == 9


async def test_scoring_again_that_is_cut_off_leaves_the_answer_and_keeps_what_it_cost() -> None:
    ctx = make_context()
    orders = Orders()
    earlier = make_result(ctx.spec, metrics={"cost_usd": 2.0}, scores={"old": 1})

    async def cut_off(_ctx: Any, _outputs: Any) -> tuple[Any, ...]:
        ctx.record(judge_cost_usd=0.5)
        orders.cancelled = True
        raise ConnectionError("closed")

    cut = await rescore(Attempt(ctx, orders), earlier, [cut_off])

    assert (cut.status, cut.is_rescored) == (RunStatus.CANCELLED, False)
    assert (cut.metrics["judge_cost_usd"], cut.cost_usd) == (0.5, 0.0)

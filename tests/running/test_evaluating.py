from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest

import penstock as ps
from penstock._base.threads import WorkerThreads, call_in_thread
from penstock.evaluators.functions import bind_evaluator
from penstock.evaluators.rules import Rule, RuledEvaluator
from penstock.results import Evaluation, RunResult, RunStage, RunStatus
from penstock.running.attempt import Attempt
from tests.builders import let_time_run_out, make_context, make_study

pytestmark = pytest.mark.anyio

UNBOUNDED = WorkerThreads()


async def answer(_: ps.RunContext) -> str:
    return "42"


async def scored(
    *functions: Any,
    ctx: ps.RunContext | None = None,
    threads: WorkerThreads = UNBOUNDED,
    timeout_s: float | None = 600.0,
) -> RunResult:
    """Score an answer by functions called e0, e1, ..., each of which may take so long."""
    attempt = Attempt(ctx or make_context(), evaluator_timeout_s=timeout_s)
    evaluators = [
        RuledEvaluator(Rule(f"e{at}", "{}"), bind_evaluator(f"e{at}", function, threads))
        for at, function in enumerate(functions)
    ]
    return await attempt.execute(answer, evaluators)


async def hang(answer: Any) -> float:
    await anyio.sleep_forever()
    return 1.0


@pytest.mark.field("studies-B2")
@pytest.mark.virtual_time
async def test_an_evaluator_that_takes_too_long_fails_its_run_and_the_answer_is_kept() -> None:
    result = await scored(lambda answer: 1.0, hang, lambda answer: 1.0)

    assert (result.status, result.outputs) == (RunStatus.FAILED, {"text": "42"})
    assert [each.metric_name for each in result.evaluations] == ["e0"]
    assert result.error is not None
    assert (result.error.stage, result.error.retryable) == (RunStage.EVALUATOR, False)
    assert result.error_info == (
        "EvaluatorTimeoutError: the evaluator 'e1' did not score the answer within "
        "evaluator_timeout_s=600 seconds; the answer is kept, and the next session scores it again"
    )


@pytest.mark.virtual_time
async def test_each_evaluator_has_its_own_time() -> None:
    async def slow(answer: Any) -> float:
        await anyio.sleep(400)
        return 1.0

    result = await scored(slow, slow, slow)

    assert result.status is RunStatus.SUCCESS


@pytest.mark.virtual_time
async def test_waiting_for_a_turn_does_not_count() -> None:
    async def judge(answer: Any, ctx: ps.RunContext) -> float:
        with ctx.waiting():
            await anyio.sleep(10_000)

        await anyio.sleep(500)
        return 1.0

    result = await scored(judge)

    assert result.status is RunStatus.SUCCESS


async def test_queueing_for_a_thread_does_not_count() -> None:
    workers, ctx = WorkerThreads(1), make_context()
    begun, release = threading.Event(), threading.Event()

    def occupy() -> None:
        begun.set()
        release.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(workers.call, occupy)
        await call_in_thread(begun.wait)

        async def free_later() -> None:
            while ctx.timeout_scope is None or ctx.timeout_scope.deadline < inf:
                await anyio.lowlevel.checkpoint()

            release.set()

        group.start_soon(free_later)
        result = await scored(lambda answer: 1.0, ctx=ctx, threads=workers)

    assert result.status is RunStatus.SUCCESS
    assert ctx.waited_s > 0
    assert ctx.timeout_scope is not None
    assert ctx.timeout_scope.deadline < inf


async def test_an_evaluator_in_a_thread_that_takes_too_long_is_left_behind() -> None:
    release, left = threading.Event(), anyio.Event()

    def evaluate(answer: Any, ctx: ps.RunContext) -> float:
        let_time_run_out(ctx)
        release.wait(60)
        anyio.from_thread.run_sync(left.set)
        return 1.0

    result = await scored(evaluate)
    release.set()
    await left.wait()

    assert result.error is not None
    assert result.error.kind == "EvaluatorTimeoutError"


@pytest.mark.virtual_time
async def test_what_ends_by_itself_has_no_limit() -> None:
    async def score(ctx: ps.RunContext, _: Mapping[str, Any]) -> Sequence[Evaluation]:
        await anyio.sleep(10_000)
        assert ctx.timeout_scope is None
        return ()

    quick = RuledEvaluator(Rule("exact", "{}", 1), score, is_quick=True)
    result = await Attempt(make_context(), evaluator_timeout_s=600.0).execute(answer, [quick])

    assert result.status is RunStatus.SUCCESS


@pytest.mark.virtual_time
@pytest.mark.parametrize("limit_s", [None, 0.0])
async def test_without_a_limit_an_evaluator_may_take_any_time(
    tmp_path: Path, limit_s: float | None
) -> None:
    async def slow(answer: Any) -> float:
        await anyio.sleep(50_000)
        return 1.0

    study = make_study(evaluators={"slow": slow})
    bindings = {"agent-a": answer}
    results = await ps.arun_study(
        study, agent_bindings=bindings, output_dir=tmp_path, evaluator_timeout_s=limit_s
    )

    assert results.summary.succeeded == 2


@pytest.mark.virtual_time
async def test_an_answer_whose_evaluator_was_too_slow_is_scored_again_and_not_asked_for(
    tmp_path: Path,
) -> None:
    calls: list[str] = []
    is_slow = True

    async def agent(ctx: ps.RunContext) -> str:
        calls.append(ctx.spec.run_id)
        return "42"

    async def judge(answer: Any) -> float:
        await anyio.sleep(100 if is_slow else 1)
        return 1.0

    study = make_study(evaluators={"judge": judge}, execution={"evaluator_timeout_s": 10})
    options: Any = {"agent_bindings": {"agent-a": agent}, "output_dir": tmp_path}
    first = await ps.arun_study(study, **options)
    is_slow = False
    again = await ps.arun_study(study, **options)

    assert (first.summary.failed, again.summary.succeeded) == (2, 2)
    assert len(calls) == 2

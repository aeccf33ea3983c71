from __future__ import annotations

import asyncio  # noqa: TID251 - what agents may raise and be cancelled by
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import numpy as np
import pytest

import penstock as ps
from penstock.agents.shapes import bind_agent
from penstock.errors import AttemptTimeoutError
from penstock.evaluators.functions import bind_evaluator
from penstock.evaluators.port import BoundEvaluator
from penstock.results import RunResult, RunStage, RunStatus
from penstock.running.attempt import execute, rescore
from penstock.store.rows import answer_id_of, attempt_row
from penstock.study.hypotheses import Outcome
from tests.builders import let_time_run_out, make_context, make_error, make_result

pytestmark = pytest.mark.anyio


def bound_evaluator(name: str, function: Callable[..., Any]) -> BoundEvaluator:
    return bind_evaluator(name, function, anyio.CapacityLimiter(4))


async def attempt(
    agent: Any, *evaluators: Callable[..., Any], ctx: ps.RunContext | None = None, **options: Any
) -> RunResult:
    """Make one attempt, and see that whatever came of it can be stored."""
    bound = bind_agent("a", agent, anyio.CapacityLimiter(4))
    scorers = [bound_evaluator(f"e{i}", evaluator) for i, evaluator in enumerate(evaluators)]
    result = await execute(ctx or make_context(), bound, scorers, **options)
    assert attempt_row(1, 1, result, answer_id_of(result), final=True)
    return result


def raising(error: BaseException | type[BaseException]) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def agent(ctx: ps.RunContext) -> None:
        ctx.record(cost_usd=5.0, calls=2)
        ctx.observe("tool_call")
        raise error

    return agent


async def test_an_answer_and_its_scores_are_a_success() -> None:
    ctx = make_context(attempt=2, planned_order=5, started_order=7)

    async def agent(ctx: ps.RunContext) -> ps.AgentResult:
        ctx.record(cost_usd=0.25)
        return ps.AgentResult(
            outputs={"answer": 42},
            metrics={"cost_usd": 0.25, "input_tokens": 10},
            events=({"event_type": "tool_call", "actor_id": "searcher"}, {"event_type": "note"}),
            metadata={"model_name": "m"},
            trace_refs=("t.json",),
        )

    result = await attempt(agent, lambda answer: {"score": answer / 2}, ctx=ctx)

    assert (result.status, result.error, result.attempt) == (RunStatus.SUCCESS, None, 2)
    assert (result.planned_order, result.started_order) == (5, 7)
    assert result.outputs == {"answer": 42}
    assert result.metrics == {
        "tool_call_count": 1,
        "step_event_count": 1,
        "unique_actor_count": 2,
        "latency_s": result.latency_s,
        "cost_usd": 0.5,
        "input_tokens": 10,
        "output_tokens": 0,
        "primary_outcome": 21.0,
    }
    assert result.provenance == {"problem_family": "unknown", "model_name": "m"}
    assert result.trace_refs == ("t.json",)
    assert [row.metric_value for row in result.evaluations] == [21.0]
    assert result.started_at <= result.ended_at


async def test_an_agent_that_reports_nothing_counts_as_one_step_of_one_actor() -> None:
    result = await attempt(lambda ctx: "x")

    assert [
        result.metrics[f"{name}_count"] for name in ("tool_call", "step_event", "unique_actor")
    ] == [
        0,
        1,
        1,
    ]
    assert "primary_outcome" not in result.metrics


def outcome(column: str, table: str, *, primary: bool = True) -> Outcome:
    return Outcome(name="o", source_table=table, column=column, aggregation="mean", primary=primary)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ((), True),
        ((outcome("score", "evaluations"),), 3.5),
        ((outcome("absent", "evaluations"),), None),
        ((outcome("cost_usd", "runs"),), 0.5),
        ((outcome("score", "evaluations", primary=False),), True),
    ],
)
async def test_the_primary_outcome_is_the_one_that_is_declared(
    outcomes: tuple[Outcome, ...], expected: Any
) -> None:
    def agent(ctx: ps.RunContext) -> str:
        ctx.record(cost_usd=0.5)
        return "x"

    result = await attempt(
        agent, lambda answer: {"is_feasible": True, "score": 3.5}, outcomes=outcomes
    )

    assert result.primary_outcome == expected


async def test_an_agent_may_give_the_primary_outcome_itself() -> None:
    def agent(ctx: ps.RunContext) -> str:
        ctx.record(primary_outcome="mine")
        return "x"

    assert (await attempt(agent, lambda answer: 1)).primary_outcome == "mine"


class BrokenError(Exception):
    def __str__(self) -> str:
        raise ValueError("no message")

    @property
    def retryable(self) -> bool:
        raise ValueError("nor this")

    @property
    def stops_study(self) -> bool:
        raise ValueError("nor that")


class WorseError(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("bad"), "ValueError", "bad"),
        (asyncio.CancelledError("not really"), "CancelledError", "not really"),
        (SystemExit(3), "SystemExit", "3"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (GeneratorExit(), "GeneratorExit", ""),
        (BaseException("bare"), "BaseException", "bare"),
        (BrokenError(), "BrokenError", "(its message cannot be read: ValueError)"),
        (WorseError(), "WorseError", "(its message cannot be read: KeyboardInterrupt)"),
        (ValueError("half \ud83d"), "ValueError", "half \ud83d"),
    ],
)
async def test_whatever_an_agent_raises_is_a_typed_failure_that_keeps_what_was_gathered(
    error: BaseException, kind: str, message: str
) -> None:
    result = await attempt(raising(error), lambda answer: 1 / 0)

    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert (result.error.kind, result.error.message) == (kind, message)
    assert result.error.stage is RunStage.AGENT
    assert result.error.retryable is isinstance(error, Exception)
    assert "raise error" in result.error.traceback
    assert (result.cost_usd, result.metrics["calls"]) == (5.0, 2)
    assert [each.event_type for each in result.observations] == ["tool_call"]
    assert (result.outputs, result.evaluations) == ({}, ())


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3), KeyboardInterrupt()])
async def test_whatever_an_agent_in_a_thread_raises_is_a_typed_failure(
    error: BaseException,
) -> None:
    def agent(ctx: ps.RunContext) -> None:
        raise error

    result = await attempt(agent)

    assert result.error is not None
    assert result.error.kind == type(error).__name__


async def test_an_error_may_say_that_it_is_not_worth_another_attempt() -> None:
    class RefusedError(Exception):
        retryable = False

    result = await attempt(raising(RefusedError()))

    assert result.error is not None
    assert not result.error.retryable


async def test_an_error_says_how_long_to_wait_and_whether_to_stop_where_it_means_that() -> None:
    class SayingError(Exception):
        retry_after_s: Any = 2.5
        stops_study: Any = True

    class OtherError(Exception):
        retry_after_s: Any = "soon"
        stops_study: Any = "no"
        retryable: Any = None

    saying, other = await attempt(raising(SayingError())), await attempt(raising(OtherError()))

    assert saying.error is not None
    assert (saying.error.retry_after_s, saying.error.stops_study) == (2.5, True)
    assert other.error is not None
    assert (other.error.retry_after_s, other.error.stops_study) == (None, False)
    assert other.error.retryable


async def test_an_agent_may_stop_the_study() -> None:
    with pytest.raises(ps.StopStudy, match="enough"):
        await attempt(raising(ps.StopStudy("enough")))


async def test_a_skipped_run_says_why() -> None:
    result = await attempt(raising(ps.SkipRun("not in this language")))

    assert result.status is RunStatus.SKIPPED
    assert result.error_info == "SkipRun: not in this language"


async def test_an_answer_that_says_it_failed_is_kept_as_a_failure() -> None:
    result = await attempt(
        lambda ctx: ps.AgentResult(
            outputs={"draft": "half"}, metrics={"cost_usd": 1.0}, success=False, error="503"
        ),
        lambda answer: 1,
    )

    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert (result.error.kind, result.error.message) == ("AgentReportedFailure", "503")
    assert (result.error.stage, result.error.retryable) == (RunStage.AGENT, True)
    assert (result.outputs, result.cost_usd) == ({"draft": "half"}, 1.0)
    assert result.evaluations == ()


async def test_a_failed_answer_that_says_nothing_is_said_so() -> None:
    result = await attempt(lambda ctx: ps.AgentResult(success=False))

    assert result.error is not None
    assert "success=False and not why" in result.error.message


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("output", "path"),
    [
        ({"deep": [{"lock": threading.Lock()}]}, "output.deep[0].lock"),
        ({"blob": b"\xff"}, "output.blob"),
        ({"seen": {1, 2}}, "output.seen"),
        ({1: "a", "1": "b"}, "two keys of the mapping are the text '1'"),
        ({"cycle": CYCLE}, "output"),
        ((item for item in "ab"), "output.value"),
    ],
)
async def test_an_output_that_cannot_be_stored_is_a_failure_with_its_path_and_the_cost_is_kept(
    output: Any, path: str
) -> None:
    result = await attempt(lambda ctx: {"output": output, "metrics": {"cost_usd": 5.0}})

    assert result.error is not None
    assert path in result.error.message
    assert (result.error.stage, result.error.retryable) == (RunStage.OUTPUT, False)
    assert (result.outputs_json, result.cost_usd) == ("{}", 5.0)


async def test_keys_that_are_numbers_become_text_at_any_depth() -> None:
    result = await attempt(
        lambda ctx: {"outputs": {1: {2: "x"}}, "metrics": {3: 1}, "metadata": {4: "y"}}
    )

    assert result.outputs == {"1": {"2": "x"}}
    assert (result.metrics["3"], result.provenance["4"]) == (1, "y")


async def test_numpy_and_nan_in_outputs_are_kept_as_they_are() -> None:
    result = await attempt(
        lambda ctx: {"n": np.int64(5), "v": np.arange(3), "b": np.bool_(True), "x": float("nan")}
    )

    assert result.status is RunStatus.SUCCESS
    assert {**result.outputs, "x": None} == {"n": 5, "v": [0, 1, 2], "b": True, "x": None}
    assert np.isnan(result.outputs["x"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"output": "paid", "metrics": {"note": object(), "cost_usd": 5.0}}, "metrics.note"),
        ({"output": "paid", "metrics": {"cost_usd": 5.0, "input_tokens": "?"}}, "input_tokens"),
        (
            {"output": "paid", "metrics": {"cost_usd": 5.0}, "metadata": {"client": object()}},
            "metadata.client",
        ),
        (
            {"output": "paid", "metrics": {"cost_usd": 5.0}, "events": [{"level": "turn"}]},
            "'turn' is not a valid ObservationLevel",
        ),
    ],
)
async def test_one_part_that_cannot_be_stored_costs_no_other_part(answer: Any, said: str) -> None:
    result = await attempt(lambda ctx: answer, lambda answer: 1)

    assert result.error is not None
    assert said in result.error.message
    assert result.error.stage is RunStage.OUTPUT
    assert (result.outputs, result.cost_usd) == ({"text": "paid"}, 5.0)
    assert result.provenance == {"problem_family": "unknown"}


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(1), asyncio.CancelledError()])
async def test_an_evaluator_that_raises_keeps_the_answer_and_the_scores_before_it(
    error: BaseException,
) -> None:
    def broken(answer: Any) -> None:
        raise error

    result = await attempt(
        lambda ctx: "paid for", lambda answer: {"a": 1}, broken, lambda answer: 1
    )

    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert (result.error.stage, result.error.retryable) == (RunStage.EVALUATOR, False)
    assert result.outputs == {"text": "paid for"}
    assert [row.metric_name for row in result.evaluations] == ["a"]


@pytest.mark.virtual_time
async def test_an_agent_that_takes_too_long_is_stopped_and_keeps_what_it_gathered() -> None:
    async def agent(ctx: ps.RunContext) -> None:
        ctx.record(cost_usd=1.0)
        await anyio.sleep_forever()

    result = await attempt(agent, timeout_s=5.0)

    assert result.error is not None
    assert result.error_info == (
        "AttemptTimeoutError: the agent did not answer within timeout_s=5 seconds"
    )
    assert (result.error.retryable, result.cost_usd) == (True, 1.0)


async def test_an_agent_in_a_thread_that_takes_too_long_is_left_behind() -> None:
    release = threading.Event()
    left = anyio.Event()

    def agent(ctx: ps.RunContext) -> None:
        let_time_run_out(ctx)
        release.wait(60)
        ctx.observe("too late")
        anyio.from_thread.run_sync(left.set)

    ctx = make_context()
    result = await attempt(agent, ctx=ctx, timeout_s=60)
    release.set()
    await left.wait()

    assert result.error is not None
    assert result.error.kind == AttemptTimeoutError.__name__
    assert ctx.observations == []


@pytest.mark.virtual_time
async def test_a_client_that_turns_the_timeout_into_an_error_of_its_own_still_timed_out() -> None:
    async def agent(ctx: ps.RunContext) -> None:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            raise ConnectionError("closed") from None

    result = await attempt(agent, timeout_s=5.0)

    assert result.error is not None
    assert result.error.kind == "AttemptTimeoutError"
    assert "ConnectionError: closed" in result.error.traceback


@pytest.mark.virtual_time
async def test_an_answer_given_while_time_runs_out_is_kept() -> None:
    async def agent(ctx: ps.RunContext) -> str:
        with suppress(asyncio.CancelledError):
            await anyio.sleep_forever()

        return "just in time"

    assert (await attempt(agent, timeout_s=5.0)).outputs == {"text": "just in time"}


async def test_an_agent_within_its_time_may_raise_and_answer() -> None:
    assert (await attempt(lambda ctx: "x", timeout_s=60)).outputs == {"text": "x"}
    assert (await attempt(raising(ValueError("v")), timeout_s=60)).error_info == "ValueError: v"
    assert (await attempt(raising(SystemExit(2)), timeout_s=60)).error_info == "SystemExit: 2"
    fake = await attempt(raising(asyncio.CancelledError("mine")), timeout_s=60)
    assert fake.error_info == "CancelledError: mine"


@pytest.mark.virtual_time
async def test_a_timeout_of_the_agent_s_own_is_a_failure_like_any_other() -> None:
    async def agent(ctx: ps.RunContext) -> None:
        with anyio.fail_after(0.01):
            await anyio.sleep_forever()

    async def of_asyncio(ctx: ps.RunContext) -> None:
        async with asyncio.timeout(0.01):
            await anyio.sleep_forever()

    for each in (agent, of_asyncio):
        result = await attempt(each)
        assert result.error is not None
        assert result.error.kind == "TimeoutError"


async def cancelled_from_outside(
    agent: Any, *, scoped: bool, **options: Any
) -> BaseException | None:
    """Cancel an attempt while its agent waits, and give what it raised."""
    started = asyncio.Event()

    async def waiting(ctx: ps.RunContext) -> Any:
        started.set()
        return await agent(ctx)

    if scoped:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def cancel() -> None:
                    await started.wait()
                    scope.cancel()

                group.start_soon(cancel)
                await execute(make_context(), waiting, **options)

        return asyncio.CancelledError() if scope.cancelled_caught else None

    task = asyncio.create_task(execute(make_context(), waiting, **options))
    await started.wait()
    task.cancel()
    (ended,) = await asyncio.gather(task, return_exceptions=True)
    return ended if isinstance(ended, BaseException) else None


async def converting(ctx: ps.RunContext) -> None:
    try:
        await anyio.sleep_forever()
    except asyncio.CancelledError:
        raise ConnectionError("closed") from None


async def exiting(ctx: ps.RunContext) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        raise SystemExit(1)


async def waiting(ctx: ps.RunContext) -> None:
    await anyio.sleep_forever()


@pytest.mark.parametrize("scoped", [True, False])
@pytest.mark.parametrize("timeout_s", [None, 60])
@pytest.mark.parametrize("agent", [waiting, converting, exiting])
async def test_a_cancellation_from_outside_goes_on_whatever_the_agent_makes_of_it(
    agent: Any, timeout_s: float | None, scoped: bool
) -> None:
    raised = await cancelled_from_outside(agent, scoped=scoped, timeout_s=timeout_s)

    assert isinstance(raised, asyncio.CancelledError)


async def test_an_answer_given_in_spite_of_a_cancellation_is_kept() -> None:
    async def agent(ctx: ps.RunContext) -> str:
        with suppress(asyncio.CancelledError):
            await anyio.sleep_forever()

        return "paid for"

    started = asyncio.Event()

    async def waiting(ctx: ps.RunContext) -> str:
        started.set()
        return await agent(ctx)

    task = asyncio.create_task(execute(make_context(), waiting, [bound_evaluator("e", len)]))
    await started.wait()
    task.cancel()

    result = await task
    assert (result.outputs, result.status) == ({"text": "paid for"}, RunStatus.SUCCESS)


async def test_scoring_again_keeps_the_answer_and_replaces_the_scores() -> None:
    ctx = make_context()
    earlier = make_result(
        ctx.spec,
        metrics={"cost_usd": 2.0, "primary_outcome": 1},
        scores={"old": 1},
        outputs_json='{"text":"four"}',
    )

    again = await rescore(ctx, earlier, [bound_evaluator("e", lambda answer: {"new": 4})])

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

    good = await rescore(ctx, earlier, [bound_evaluator("e", lambda answer: 1)])
    bad = await rescore(make_context(), earlier, [bound_evaluator("e", broken)])

    assert (good.status, good.error) == (RunStatus.SUCCESS, None)
    assert (bad.status, bad.error_info) == (RunStatus.FAILED, "ValueError: still broken")


async def test_a_primary_outcome_of_the_agent_s_own_outlives_scoring_again() -> None:
    ctx = make_context()
    earlier = make_result(ctx.spec, metrics={"primary_outcome": 9}, scores={"old": 1})

    again = await rescore(ctx, earlier, [bound_evaluator("e", lambda answer: 4)])

    assert again.primary_outcome == 9


async def test_an_evaluator_that_stops_the_study_keeps_the_answer_that_was_paid_for() -> None:
    async def agent(_ctx: ps.RunContext) -> str:
        return "42"

    async def too_dear(_ctx: ps.RunContext, _outputs: Any) -> tuple[ps.Evaluation, ...]:
        raise ps.StopStudy("the judge is too dear")

    result = await execute(make_context(), agent, [too_dear])

    assert result.outputs == {"text": "42"}
    assert result.error is not None
    assert (result.error.stage, result.error.stops_study) == (RunStage.EVALUATOR, True)

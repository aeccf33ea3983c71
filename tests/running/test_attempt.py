from __future__ import annotations

import asyncio  # noqa: TID251 - what agents may raise and be cancelled by
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import pytest

import penstock as ps
from penstock._base.threads import WorkerThreads
from penstock.agents.shapes import bind_agent
from penstock.errors import AttemptTimeoutError, SkipRun, StopStudy
from penstock.evaluators.functions import bind_evaluator
from penstock.evaluators.port import BoundEvaluator
from penstock.results import Evaluation, RunResult, RunStage, RunStatus
from penstock.running.attempt import Attempt
from penstock.running.scheduler import Orders
from penstock.store.rows import attempt_row
from penstock.study.hypotheses import Outcome
from tests.builders import let_time_run_out, make_context

pytestmark = pytest.mark.anyio


def bound_evaluator(name: str, function: Callable[..., Any]) -> BoundEvaluator:
    return bind_evaluator(name, function, WorkerThreads())


async def attempt(
    agent: Any, *evaluators: Callable[..., Any], ctx: ps.RunContext | None = None, **options: Any
) -> RunResult:
    """Make one attempt, and see that whatever came of it can be stored."""
    bound = bind_agent("a", agent, WorkerThreads())
    scorers = [bound_evaluator(f"e{i}", evaluator) for i, evaluator in enumerate(evaluators)]
    made = Attempt(ctx or make_context(), outcomes=options.pop("outcomes", ()))
    result = await made.execute(bound, scorers, **options)
    assert attempt_row(1, 1, result, final=True)
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


async def test_an_agent_may_stop_the_study_and_what_it_gathered_is_kept() -> None:
    result = await attempt(raising(StopStudy("enough")))

    assert (result.status, result.error_info) == (RunStatus.CANCELLED, "StopStudy: enough")
    assert result.error is not None
    assert (result.error.stops_study, result.cost_usd) == (True, 5.0)


async def test_a_skipped_run_says_why() -> None:
    result = await attempt(raising(SkipRun("not in this language")))

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


@pytest.mark.field("engine-K13")
@pytest.mark.virtual_time
async def test_the_time_goes_on_when_none_of_an_agent_s_tasks_waits_for_its_turn() -> None:
    async def wait(ctx: ps.RunContext, after_s: float) -> None:
        await anyio.sleep(after_s)
        with ctx.waiting():
            await anyio.sleep(2.0)

    async def agent(ctx: ps.RunContext) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, ctx, 0.0)
            tasks.start_soon(wait, ctx, 1.0)  # from 1 to 3, while the other waits from 0 to 2

        await anyio.sleep_forever()

    ctx = make_context()
    result = await attempt(agent, ctx=ctx, timeout_s=5.0)

    assert result.error is not None
    assert result.error.kind == AttemptTimeoutError.__name__
    assert ctx.waited_s == pytest.approx(3.0)
    assert result.latency_s == pytest.approx(5.0)


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


async def cancelled(
    agent: Any, *scorers: Any, orders: Orders | None = None, **options: Any
) -> RunResult:
    """Cancel the task of an attempt while its agent waits, ordered or not; see what it leaves."""
    started = asyncio.Event()

    async def recording(ctx: ps.RunContext) -> Any:
        ctx.record(cost_usd=2.0)
        started.set()
        return await agent(ctx)

    async def task() -> RunResult:
        result = await Attempt(make_context(), orders).execute(recording, scorers, **options)
        own = asyncio.current_task()
        assert own is not None
        assert own.cancelling() == 0
        await anyio.lowlevel.checkpoint()  # nothing is pending
        return result

    running = asyncio.create_task(task())
    await started.wait()
    if orders is not None:
        orders.cancelled = True

    running.cancel()
    return await running


@pytest.mark.parametrize("timeout_s", [None, 60])
@pytest.mark.parametrize("agent", [waiting, converting, exiting])
async def test_a_cancellation_that_was_ordered_cuts_an_attempt_off_whatever_the_agent_makes_of_it(
    agent: Any, timeout_s: float | None
) -> None:
    result = await cancelled(agent, orders=Orders(), timeout_s=timeout_s)

    assert (result.status, result.cost_usd) == (RunStatus.CANCELLED, 2.0)
    assert result.error is not None
    assert (result.error.kind, result.error.retryable) == ("StudyCancelled", False)
    assert "await agent(ctx)" in result.error.traceback  # where it was


@pytest.mark.field("engine-K11")
@pytest.mark.parametrize("timeout_s", [None, 60])
@pytest.mark.parametrize(
    ("agent", "kind"),
    [(waiting, "CancelledError"), (converting, "ConnectionError"), (exiting, "SystemExit")],
)
async def test_any_other_cancellation_is_a_failure_that_keeps_what_was_gathered(
    agent: Any, kind: str, timeout_s: float | None
) -> None:
    result = await cancelled(agent, timeout_s=timeout_s)

    assert (result.status, result.cost_usd) == (RunStatus.FAILED, 2.0)
    assert result.error is not None
    assert (result.error.kind, result.error.stage) == (kind, RunStage.AGENT)


async def in_spite(ctx: ps.RunContext) -> str:
    with suppress(asyncio.CancelledError):
        await anyio.sleep_forever()

    return "paid for"


async def test_an_answer_given_in_spite_of_a_cancellation_is_kept_and_scored() -> None:
    result = await cancelled(in_spite, bound_evaluator("e", len))

    assert (result.outputs, result.status) == ({"text": "paid for"}, RunStatus.SUCCESS)
    assert [row.metric_value for row in result.evaluations] == [len("paid for")]


async def test_an_answer_given_in_spite_of_the_end_of_the_study_is_kept_and_scored_later() -> None:
    result = await cancelled(in_spite, bound_evaluator("e", len), orders=Orders())

    assert (result.outputs, result.status) == ({"text": "paid for"}, RunStatus.FAILED)
    assert result.error is not None
    assert (result.error.kind, result.error.stage) == ("StudyCancelled", RunStage.EVALUATOR)

    alone = await cancelled(in_spite, orders=Orders())
    assert (alone.outputs, alone.status) == ({"text": "paid for"}, RunStatus.SUCCESS)


@pytest.mark.field("engine-K11")
async def test_an_agent_may_cancel_itself_and_fails() -> None:
    async def agent(ctx: ps.RunContext) -> None:
        ctx.record(cost_usd=2.0)
        cancel_oneself()
        await anyio.sleep_forever()

    result = await attempt(agent)

    assert (result.status, result.cost_usd) == (RunStatus.FAILED, 2.0)
    assert result.error is not None
    assert result.error.kind == "CancelledError"


def cancel_oneself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.field("engine-K11")
async def test_an_agent_that_cancels_itself_and_answers_has_answered() -> None:
    async def agent(ctx: ps.RunContext) -> str:
        cancel_oneself()
        return "42"

    async def slow(answer: Any) -> float:
        await anyio.sleep(0.01)
        return 1.0

    result = await attempt(agent, slow)

    assert (result.status, result.primary_outcome) == (RunStatus.SUCCESS, 1.0)


async def leaking() -> AsyncIterator[int]:
    """Leave a scope open in the task that reads only the first number."""
    with anyio.move_on_after(0.01):
        yield 1
        yield 2


@pytest.mark.field("engine-K11")
@pytest.mark.parametrize("timeout_s", [None, 60])
def test_a_scope_that_an_agent_leaves_open_costs_a_score_and_no_answer(
    timeout_s: float | None,
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        # What the generator says at its end, in another task, is between it and anyio.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async for _ in leaking():
            break

        return "paid for"

    async def slow(answer: Any) -> float:
        await anyio.sleep(60)
        return 1.0

    result = asyncio.run(attempt(agent, slow, timeout_s=timeout_s))

    assert (result.status, result.outputs) == (RunStatus.FAILED, {"text": "paid for"})
    assert result.error is not None
    assert (result.error.kind, result.error.stage) == ("CancelledError", RunStage.EVALUATOR)


def setting(name: str, key: Any, value: Any) -> Callable[..., Coroutine[Any, Any, str]]:
    """Make an agent that writes into a mapping of its context."""

    async def agent(ctx: ps.RunContext) -> str:
        ctx.record(cost_usd=5.0)
        getattr(ctx, name)[key] = value
        return "paid for"

    return agent


def replacing(name: str, value: Any) -> Callable[..., Coroutine[Any, Any, str]]:
    async def agent(ctx: ps.RunContext) -> str:
        setattr(ctx, name, value)
        return "paid for"

    return agent


@pytest.mark.field("engine-K12")
@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (setting("provenance", "x", object()), "provenance.x"),
        (setting("provenance", "x", [CYCLE]), "provenance.x"),
        (setting("metrics", "x", object()), "metrics.x"),
        (setting("metrics", "cost_usd", "much"), "metrics.cost_usd"),
        (setting("metrics", "input_tokens", float("nan")), "metrics.input_tokens"),
        (replacing("metrics", None), "'NoneType' object has no attribute"),
        (replacing("provenance", 3), "'int' object has no attribute"),
        (replacing("observations", [1]), "observations"),
    ],
)
async def test_what_cannot_be_stored_of_a_context_fails_its_run_and_the_rest_is_kept(
    agent: Any, said: str
) -> None:
    result = await attempt(agent, lambda answer: 1)

    assert (result.status, result.outputs) == (RunStatus.FAILED, {"text": "paid for"})
    assert result.error is not None
    assert said in result.error.message
    assert (result.error.stage, result.error.retryable) == (RunStage.OUTPUT, False)


async def test_what_an_agent_puts_in_the_place_of_what_was_refused_is_not_looked_at() -> None:
    result = await attempt(replacing("refused", None))

    assert (result.status, result.outputs, result.error) == (
        RunStatus.SUCCESS,
        {"text": "paid for"},
        None,
    )


@pytest.mark.field("engine-K12")
async def test_a_context_may_be_written_to_with_keys_that_are_no_text() -> None:
    result = await attempt(setting("provenance", 1, "abc"))

    assert (result.status, result.provenance["1"]) == (RunStatus.SUCCESS, "abc")


@pytest.mark.field("engine-K12")
async def test_what_an_agent_keeps_hold_of_changes_nothing_that_is_kept() -> None:
    held: list[Any] = ["as it was"]
    result = await attempt(setting("provenance", "held", held))
    held.append(object())

    assert result.provenance["held"] == ["as it was"]


@pytest.mark.field("engine-K12")
async def test_an_agent_may_replace_what_its_run_is_without_effect() -> None:
    result = await attempt(replacing("spec", None))

    assert (result.spec.agent_id, result.status) == ("agent-a", RunStatus.SUCCESS)


@pytest.mark.field("engine-K12")
async def test_sums_that_grow_beyond_what_can_be_summed_are_refused() -> None:
    async def agent(ctx: ps.RunContext) -> str:
        for _ in range(3):
            ctx.record(input_tokens=2**52)

        return "paid for"

    result = await attempt(agent)

    assert result.error is not None
    assert "metrics.input_tokens" in result.error.message
    assert result.metrics["input_tokens"] == 2**53


async def test_an_evaluator_that_stops_the_study_keeps_the_answer_that_was_paid_for() -> None:
    async def agent(_ctx: ps.RunContext) -> str:
        return "42"

    async def too_dear(_ctx: ps.RunContext, _outputs: Any) -> tuple[Evaluation, ...]:
        raise StopStudy("the judge is too dear")

    result = await Attempt(make_context()).execute(agent, [too_dear])

    assert result.outputs == {"text": "42"}
    assert result.error is not None
    assert (result.error.stage, result.error.stops_study) == (RunStage.EVALUATOR, True)

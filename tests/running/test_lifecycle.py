from __future__ import annotations

import asyncio  # noqa: TID251 - what a scheduler makes of a run is a task
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

import penstock as ps
from penstock.errors import SkipRun, StopStudy
from penstock.events import (
    Event,
    LimitChanged,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunObserved,
    RunRetried,
    RunSkipped,
    RunStarted,
    RunSucceeded,
)
from penstock.events.announcer import Announcer
from penstock.events.bus import EventBus
from penstock.planning.plan import plan
from penstock.results import RunResult, RunStage
from penstock.running.checking import prepare
from penstock.running.job import Job
from penstock.running.lifecycle import Lifecycle
from penstock.running.scheduler import Orders
from penstock.study.execution import Execution, Retry
from tests.builders import let_time_run_out, make_error, make_result, make_study

pytestmark = pytest.mark.anyio


class House:
    """A lifecycle of two runs, with everything it says and does to others kept."""

    def __init__(self, agent: Any, **options: Any) -> None:
        self.plan = plan(make_study())
        self.stops: list[str] = []
        self.stored: dict[int, RunResult] = {}
        self._bus = EventBus()
        self._stream = self._bus.open()
        of_execution = [name for name in options if name in Execution.model_fields]
        execution = Execution(**{name: options.pop(name) for name in of_execution})
        self.lifecycle = Lifecycle(
            self.plan,
            prepare(self.plan.study, agent_bindings={"agent-a": agent}).bindings,
            Announcer(self._bus, "tested"),
            execution,
            **({"stop": self.stops.append} | options),
        )

    async def recall(self, position: int) -> RunResult:
        return self.stored[position]

    async def do(self, job: Job | None = None) -> float | None:
        return await self.lifecycle(job or Job(position=0, planned_order=0))

    async def said(self) -> list[Event]:
        """The events since it was last asked."""
        return await self._stream.batch() if len(self._stream) else []


def failing(times: int, error: Callable[[], BaseException] = ValueError) -> Any:
    calls = 0

    async def agent(ctx: ps.RunContext) -> str:
        nonlocal calls
        calls += 1
        ctx.record(cost_usd=1.0, input_tokens=10)
        if calls <= times:
            raise error()

        return "42"

    return agent


async def test_a_run_that_succeeds_is_started_observed_and_said() -> None:
    async def agent(ctx: ps.RunContext) -> str:
        ctx.observe("step", "thinking")
        return "42"

    house = House(agent)

    assert await house.do(Job(position=1, planned_order=7)) is None
    started, observed, ended = await house.said()
    assert isinstance(started, RunStarted)
    assert (started.spec, started.attempt, started.run_id) == (
        house.plan[1],
        1,
        house.plan[1].run_id,
    )
    assert isinstance(observed, RunObserved)
    assert observed.observation.text == "thinking"
    assert isinstance(ended, RunSucceeded)
    assert (ended.result.planned_order, ended.result.started_order) == (7, 1)
    assert [event.seq for event in (started, observed, ended)] == [1, 2, 3]
    assert {event.study_id for event in (started, observed, ended)} == {"tested"}


async def test_a_failure_is_final_where_no_retry_is_asked_for() -> None:
    house = House(failing(1))

    assert await house.do() is None
    _, ended = await house.said()
    assert isinstance(ended, RunFailed)
    assert ended.result.error_info == "ValueError: "
    assert house.stops == []


async def test_a_skipped_run_is_said_and_counted() -> None:
    house = House(failing(1, lambda: SkipRun("not here")), max_failures=0)
    await house.do()

    _, ended = await house.said()
    assert isinstance(ended, RunSkipped)
    assert (house.lifecycle.tally.skipped, house.lifecycle.tally.failed, house.stops) == (1, 0, [])


async def test_a_failed_attempt_is_tried_again_after_a_wait_and_every_attempt_is_counted() -> None:
    house = House(failing(2), retry=Retry(attempts=3, wait_s=4))
    job = Job(position=0, planned_order=0, earlier_attempts=5)
    waits = [await house.do(job) for _ in range(3)]

    assert waits[2] is None
    said = await house.said()
    attempts = [event.attempt for event in said if isinstance(event, RunStarted)]
    retried = [event for event in said if isinstance(event, RunRetried)]
    (finished,) = [event for event in said if isinstance(event, RunFinished)]
    assert attempts == [6, 7, 8]
    assert [event.wait_s for event in retried] == waits[:2]
    assert [event.result.attempt for event in retried] == [6, 7]
    assert finished.result.attempt == 8
    tally = house.lifecycle.tally
    assert (tally.started, tally.retried, tally.succeeded, tally.failed) == (3, 2, 1, 0)
    assert (tally.session().cost_usd, tally.session().input_tokens) == (3.0, 30)


async def test_more_failures_than_allowed_stop_the_study_with_the_last_one_told() -> None:
    house = House(failing(9, lambda: ValueError("no")), max_failures=1)
    await house.do()
    assert house.stops == []

    await house.do(Job(position=1, planned_order=1))
    (reason,) = house.stops
    last = house.plan[1].run_id
    assert reason.startswith("2 failed runs are more than max_failures=1; ")
    assert reason.endswith(f"the last one: {last}: ValueError: no")


async def test_an_error_that_no_other_run_can_escape_stops_the_study() -> None:
    class NoKeyError(Exception):
        stops_study = True

    house = House(failing(1, lambda: NoKeyError("no key")))
    await house.do()

    assert house.stops == ["NoKeyError: no key"]
    assert house.lifecycle.tally.failed == 1


async def test_an_agent_may_stop_the_study_before_its_run() -> None:
    house = House(failing(1, lambda: StopStudy("enough")))

    assert await house.do() is None
    assert house.stops == ["enough"]
    started, ended = await house.said()
    assert isinstance(started, RunStarted)
    assert isinstance(ended, RunCancelled)
    assert ended.result is not None
    assert ended.result.cost_usd == 1.0
    assert (house.lifecycle.tally.failed, house.lifecycle.tally.cancelled) == (0, 1)


async def test_of_a_run_that_has_only_waited_nothing_is_kept() -> None:
    async def agent(ctx: ps.RunContext) -> str:
        ctx.record(queued_s=3.0)
        raise StopStudy("enough")

    house = House(agent)
    await house.do()

    ended = (await house.said())[-1]
    assert isinstance(ended, RunCancelled)
    assert ended.result is None
    assert (house.lifecycle.tally.started, house.lifecycle.tally.cancelled) == (0, 0)


@pytest.mark.virtual_time
async def test_an_agent_that_takes_too_long_is_stopped() -> None:
    async def agent(ctx: ps.RunContext) -> None:
        await anyio.sleep_forever()

    house = House(agent, timeout_s=5.0)
    await house.do()

    _, ended = await house.said()
    assert isinstance(ended, RunFailed)
    assert ended.result.error is not None
    assert ended.result.error.kind == "AttemptTimeoutError"


async def test_all_runs_share_the_limits_of_the_study() -> None:
    seen: list[Any] = []

    async def agent(ctx: ps.RunContext) -> str:
        seen.append(ctx.limiter("api"))
        return "x"

    house = House(agent, limiters={"api": 3})
    await house.do()
    await house.do(Job(position=1, planned_order=1))

    assert seen[0] is seen[1]
    assert seen[0].total_tokens == 3


async def test_an_answer_that_only_wants_scoring_calls_no_agent_and_costs_nothing_again() -> None:
    house = House(failing(9))
    earlier = make_result(house.plan[0], metrics={"cost_usd": 5.0})
    error = make_error(stage=RunStage.EVALUATOR)
    house.stored[0] = earlier.model_copy(update={"status": "failed", "error": error})
    await house.do(Job(position=0, planned_order=0, earlier_attempts=1, recall=house.recall))

    started, *_, ended = await house.said()
    assert isinstance(started, RunStarted)
    assert isinstance(ended, RunSucceeded)
    assert started.attempt == ended.result.attempt == 1
    assert (ended.result.outputs, ended.result.cost_usd) == ({"text": "42"}, 5.0)
    assert (house.lifecycle.tally.session().cost_usd, house.lifecycle.tally.succeeded) == (0.0, 1)


async def test_a_run_that_is_cancelled_while_its_kept_answer_is_read_has_an_end() -> None:
    orders = Orders()
    house = House(failing(9), orders=orders)
    house.stored[0] = make_result(house.plan[0])
    is_reading = anyio.Event()

    async def recall(position: int) -> RunResult:
        is_reading.set()
        await anyio.lowlevel.checkpoint()
        return house.stored[position]

    job = Job(position=0, planned_order=0, earlier_attempts=1, recall=recall)
    task = asyncio.create_task(house.do(job))
    await is_reading.wait()
    orders.stopped = orders.cancelled = True
    task.cancel()

    assert await task is None
    assert [type(event) for event in await house.said()] == [RunStarted, RunCancelled]


async def test_what_an_agent_in_a_thread_reports_comes_between_its_start_and_its_end() -> None:
    def agent(ctx: ps.RunContext) -> str:
        for step in range(50):
            ctx.observe("step", str(step))
            ctx.record(steps=1)

        return "x"

    house = House(agent)
    await house.do()

    started, *observed, ended = await house.said()
    assert isinstance(started, RunStarted)
    assert [e.observation.text for e in observed if isinstance(e, RunObserved)] == [
        str(step) for step in range(50)
    ]
    assert isinstance(ended, RunSucceeded)
    assert ended.result.metrics["steps"] == len(ended.result.observations) == 50


async def test_an_agent_may_report_from_threads_of_its_own() -> None:
    async def agent(ctx: ps.RunContext) -> str:
        own = threading.Thread(target=ctx.observe, args=("step", "mine"))
        own.start()
        await anyio.to_thread.run_sync(own.join)
        return "x"

    house = House(agent)
    await house.do()

    _, observed, ended = await house.said()
    assert isinstance(observed, RunObserved)
    assert isinstance(ended, RunSucceeded)


async def test_a_lifecycle_may_be_made_in_one_thread_and_run_in_another() -> None:
    async def agent(ctx: ps.RunContext) -> str:
        ctx.observe("step")
        return "x"

    house = House(agent)
    await anyio.to_thread.run_sync(lambda: anyio.run(house.do))

    assert [type(event) for event in await house.said()] == [RunStarted, RunObserved, RunSucceeded]


@pytest.mark.field("engine-K23")
@pytest.mark.parametrize(("metrics", "said"), [({}, [RunObserved]), (None, [])])
async def test_what_a_thread_observes_is_said_before_its_run_ends_or_not_at_all(
    metrics: Any, said: list[type[Event]]
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        own = threading.Thread(target=ctx.observe, args=("step", "mine"))
        own.start()
        own.join()  # the loop stands still: it says this when the agent has answered
        ctx.metrics = metrics  # None loses all that was gathered
        raise ValueError("no")

    house = House(agent)
    await house.do()
    await anyio.lowlevel.checkpoint()

    assert [type(event) for event in await house.said()] == [RunStarted, *said, RunFailed]


@pytest.mark.field("engine-K23")
async def test_an_agent_left_behind_says_nothing_more() -> None:
    release = threading.Event()
    left = anyio.Event()

    def agent(ctx: ps.RunContext) -> str:
        let_time_run_out(ctx)
        release.wait(60)
        ctx.observe("too late")
        anyio.from_thread.run_sync(left.set)
        return "x"

    house = House(agent, timeout_s=60)
    await house.do()
    release.set()
    await left.wait()

    assert [type(event) for event in await house.said()] == [RunStarted, RunFailed]


async def test_an_event_that_nobody_hears_has_its_number_all_the_same() -> None:
    bus = EventBus()
    announce = Announcer(bus, "tested")
    announce(LimitChanged, limit=1, reason="unheard")
    stream = bus.open()
    announce(LimitChanged, limit=2, reason="heard")

    (event,) = await stream.batch()
    assert event.seq == 2


async def test_the_summary_states_the_counts() -> None:
    house = House(failing(1))
    await house.do()
    await house.do(Job(position=1, planned_order=1))
    house.lifecycle.tally.begin(ps.StudySummary(study_id="tested", planned=4, succeeded=1))
    summary = house.lifecycle.tally.summary(in_flight=0)

    session = summary.session
    assert (session.started, session.succeeded, session.failed) == (2, 1, 1)
    assert (summary.succeeded, summary.failed) == (2, 1)
    assert (summary.done, summary.remaining, summary.cost_usd) == (3, 1, 2.0)

"""The life of a runner: how it ends, whatever agents, subscribers, watches and hosts do."""

from __future__ import annotations

import asyncio  # noqa: TID251 - cancellations that pass every shield, callbacks, event loops
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import penstock as ps
from penstock.agents.global_random import global_random
from penstock.errors import ForeignDirectoryError, SubscriberError
from penstock.events import (
    Event,
    RunAbandoned,
    RunCancelled,
    RunEvent,
    RunObserved,
    RunsSaved,
    RunStarted,
    RunSucceeded,
    StudyFinished,
    StudyStopping,
    SubscriberFailed,
)
from penstock.planning.plan import RunSpec
from penstock.results import RunStatus
from penstock.store.reader import StoreReader
from tests.builders import make_study
from tests.children import ROOT, run_python

pytestmark = pytest.mark.anyio

HANGS_S = 60.0
"""What takes so long does not end; nothing here needs more than a second or two."""


async def quick(ctx: ps.RunContext) -> str:
    await anyio.sleep(0.01)
    return "x"


async def anyio_forever(ctx: ps.RunContext) -> str:
    await anyio.sleep_forever()
    return "x"


async def deaf(stream: ps.EventStream) -> None:
    """A subscriber that never reads, and ends when it is cancelled."""
    await anyio.sleep_forever()


class Deafer:
    """A subscriber, or an agent, that ignores its cancellation until it is let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, ctx: Any) -> str:
        self.begun.set()
        while not self.release.is_set():
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                continue

        return "at last"


@pytest.fixture
async def deafer() -> AsyncIterator[Deafer]:
    """Give what ignores its cancellation until the end of the test."""
    deafer = Deafer()
    yield deafer
    deafer.release.set()
    await anyio.wait_all_tasks_blocked()


def make_runner(folder: Path, agent: Any = quick, runs: int = 4, **options: Any) -> ps.StudyRunner:
    given: dict[str, Any] = {"grace_s": 0.1, "parallelism": 4}
    return ps.StudyRunner(
        make_study(("a",), replicates=runs),
        agent_bindings={"agent-a": agent},
        output_dir=folder,
        **(given | options),
    )


async def ended(runner: ps.StudyRunner) -> ps.StudySummary:
    """Run to the end; a run that hangs fails here."""
    with anyio.fail_after(HANGS_S):
        return await runner.run()


def heard(runner: ps.StudyRunner, *types: type[Event]) -> list[Any]:
    """Collect what a runner says from now on."""
    events: list[Any] = []
    runner.on(*types)(events.append)
    return events


# Every end is bounded


@pytest.mark.field("engine-K3")
async def test_a_runner_may_be_cancelled_from_a_callback_of_the_loop(
    tmp_path: Path, deafer: Deafer
) -> None:
    runner = make_runner(tmp_path, deafer)
    runner.subscribe(deaf)

    @runner.on(RunStarted)
    def cancel_soon(_: RunStarted) -> None:
        asyncio.get_running_loop().call_soon(runner.cancel)

    summary = await ended(runner)

    assert summary.stopped_because == "cancelled by the host"
    assert runner.bus.open()._closed


@pytest.mark.field("engine-K4")
async def test_a_cancellation_before_the_start_limits_subscribers_too(tmp_path: Path) -> None:
    runner = make_runner(tmp_path)
    runner.subscribe(deaf)
    runner.cancel()

    assert (await ended(runner)).session.started == 0


@pytest.mark.field("engine-K4")
def test_a_runner_may_be_cancelled_where_no_loop_runs(tmp_path: Path) -> None:
    runner = make_runner(tmp_path)
    runner.subscribe(deaf)
    runner.cancel()

    assert asyncio.run(ended(runner)).session.started == 0


@pytest.mark.field("engine-K4")
async def test_a_host_that_cancels_while_the_study_opens_is_heard(tmp_path: Path) -> None:
    runner = make_runner(tmp_path)
    runner.subscribe(deaf)
    with anyio.fail_after(HANGS_S):
        with anyio.move_on_after(0) as scope:
            await runner.run()

    assert scope.cancelled_caught
    assert runner.summary.session.started == 0


@pytest.mark.field("engine-K5")
@pytest.mark.parametrize("critical", [True, False])
async def test_a_subscriber_that_ignores_its_cancellation_is_left_behind(
    tmp_path: Path, critical: bool, deafer: Deafer
) -> None:
    runner = make_runner(tmp_path)
    runner.subscribe(deafer, critical=critical)  # type: ignore[arg-type]
    async with anyio.create_task_group() as group:
        group.start_soon(cancel_after, deafer.begun, runner)
        if critical:
            with pytest.raises(SubscriberError, match="ignored its cancellation"):
                await ended(runner)
        else:
            await ended(runner)


async def cancel_after(event: asyncio.Event, runner: ps.StudyRunner) -> None:
    await event.wait()
    runner.cancel()


@pytest.mark.field("engine-K5")
async def test_a_subscriber_that_hangs_in_a_thread_is_left_behind(tmp_path: Path) -> None:
    release = threading.Event()
    begun = asyncio.Event()

    async def in_thread(stream: ps.EventStream) -> None:
        begun.set()
        await anyio.to_thread.run_sync(release.wait)

    runner = make_runner(tmp_path)
    runner.subscribe(in_thread)
    async with anyio.create_task_group() as group:
        group.start_soon(cancel_after, begun, runner)
        await ended(runner)

    release.set()


async def test_after_a_stop_a_subscriber_that_hangs_holds_nothing_up(tmp_path: Path) -> None:
    runner = make_runner(tmp_path)
    runner.subscribe(deaf)

    @runner.on(RunSucceeded)
    def stop(_: RunSucceeded) -> None:
        runner.stop("enough")

    assert (await ended(runner)).stopped_because == "enough"


async def test_a_study_that_is_over_but_for_a_hanging_subscriber_may_still_be_stopped(
    tmp_path: Path,
) -> None:
    runner = make_runner(tmp_path)
    runner.subscribe(deaf)

    async with anyio.create_task_group() as group:
        with runner.watch(StudyFinished) as finished:
            group.start_soon(ended, runner)
            await anext(finished)
            await anyio.wait_all_tasks_blocked()
            runner.stop()


@pytest.mark.field("engine-K6")
async def test_a_subscriber_may_watch(tmp_path: Path) -> None:
    runner = make_runner(tmp_path)
    watched: list[Event] = []

    async def nosy(stream: ps.EventStream) -> None:
        with runner.watch(RunsSaved) as saved:
            watched.extend([event async for event in saved])

    runner.subscribe(nosy)
    await ended(runner)

    assert watched


@pytest.mark.field("engine-K7")
async def test_a_watch_ends_where_the_study_cannot_begin(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").touch()
    runner = make_runner(tmp_path)
    with runner.watch() as stream:
        with pytest.raises(ForeignDirectoryError):
            await ended(runner)

        with anyio.fail_after(HANGS_S):
            assert [event async for event in stream] == []


@pytest.mark.field("engine-K7")
def test_a_watch_ends_with_its_event_loop(tmp_path: Path) -> None:
    runner = make_runner(tmp_path, anyio_forever)
    ends: list[str] = []

    async def watch(begun: asyncio.Event) -> None:
        with runner.watch(RunStarted) as stream:
            await anext(stream)
            begun.set()
            with suppress(asyncio.CancelledError):
                await anyio.sleep_forever()

            async for _ in stream:
                pass

        ends.append("the stream")

    async def main() -> None:
        begun = asyncio.Event()
        tasks = [asyncio.create_task(watch(begun)), asyncio.create_task(runner.run())]
        await begun.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

        await asyncio.wait(tasks, timeout=HANGS_S)
        assert tasks[1].cancelled()

    asyncio.run(main())

    assert ends == ["the stream"]


@pytest.mark.field("engine-K9")
async def test_a_study_waits_for_no_thread_of_its_host(tmp_path: Path) -> None:
    release = threading.Event()
    threads = anyio.to_thread.current_default_thread_limiter()
    async with anyio.create_task_group() as group:
        for _ in range(int(threads.total_tokens)):
            group.start_soon(partial(anyio.to_thread.run_sync, release.wait))

        while threads.available_tokens:
            await anyio.wait_all_tasks_blocked()

        summary = await ended(make_runner(tmp_path))
        release.set()

    assert summary.succeeded == 4
    assert (tmp_path / "runs.csv").exists()


@pytest.mark.field("engine-K26")
def test_a_loop_that_its_host_closes_in_the_middle_keeps_no_process_from_ending(
    tmp_path: Path,
) -> None:
    closes = """
import asyncio, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from tests.test_runner import anyio_forever, make_runner

runner = make_runner(Path(sys.argv[1]), anyio_forever)
loop = asyncio.new_event_loop()
loop.set_exception_handler(lambda *_: None)
with runner.watch() as stream:
    task = loop.create_task(runner.run())
    loop.run_until_complete(anext(stream))
loop.close()
print("closed")
"""
    process = run_python("-c", closes, tmp_path, cwd=ROOT, timeout=HANGS_S)

    assert (process.returncode, process.stdout) == (0, "closed\n")
    assert "run.failed" not in process.stderr


# Who cancelled is known


async def cancels_itself(ctx: ps.RunContext) -> str:
    ctx.record(cost_usd=1.0)
    cancel_this_task()
    await anyio.sleep(1)
    return "never"


def cancel_this_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.field("engine-K11")
@pytest.mark.field("engine-K27")
async def test_a_run_that_is_cancelled_by_anybody_else_is_a_failure_that_is_kept(
    tmp_path: Path,
) -> None:
    runner = make_runner(tmp_path, cancels_itself)
    summary = await ended(runner)

    assert (summary.failed, summary.remaining, summary.cost_usd) == (4, 0, 4.0)
    with StoreReader(tmp_path) as store:
        kinds = {result.error.kind for result in store.results(0, 4) if result.error}
        assert (store.count(), kinds) == (4, {"CancelledError"})


@pytest.mark.field("engine-K16")
async def test_a_failure_is_raised_although_the_host_cancels(tmp_path: Path) -> None:
    runner = make_runner(tmp_path, anyio_forever)

    async def accountant(stream: ps.EventStream) -> None:
        async for event in stream:
            if isinstance(event, StudyStopping):
                raise OSError("the books are gone")

    runner.subscribe(accountant, critical=True)

    async def run_and_cancel() -> None:
        with anyio.CancelScope() as scope:
            runner.on(RunStarted)(lambda _: scope.cancel())
            await runner.run()

    with anyio.fail_after(HANGS_S), pytest.raises(SubscriberError, match="books are gone"):
        await run_and_cancel()


@pytest.mark.field("engine-K17")
async def test_a_subscriber_that_cancels_itself_is_switched_off_and_no_more(tmp_path: Path) -> None:
    runner = make_runner(tmp_path)
    failures = heard(runner, SubscriberFailed)

    async def confused(stream: ps.EventStream) -> None:
        cancel_this_task()
        try:
            await anyio.sleep(1)
        except asyncio.CancelledError:
            raise ValueError("confused") from None

    async def cancelled(stream: ps.EventStream) -> None:
        cancel_this_task()
        await anyio.sleep(1)

    runner.subscribe(confused)
    runner.subscribe(cancelled)
    summary = await ended(runner)

    assert summary.succeeded == 4
    assert [event.error for event in failures] == ["ValueError: confused", "CancelledError: "]


@pytest.mark.field("engine-K20")
@pytest.mark.parametrize("stage", ["agent", "evaluator"])
def test_ctrl_c_in_a_step_of_a_run_stops_the_study_and_is_raised(
    tmp_path: Path, stage: str
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        ctx.record(cost_usd=1.0)
        return press("agent", ctx.spec.replicate)

    async def score(answer: Any, run_spec: RunSpec) -> float:
        press("evaluator", run_spec.replicate)
        return 1.0

    def press(where: str, replicate: int) -> str:
        if where == stage and replicate == 2:
            raise KeyboardInterrupt

        return "x"

    study = make_study(
        ("a",),
        replicates=100,
        problems=(ps.Problem(problem_id="p", evaluator=score),),
    )
    runner = ps.StudyRunner(
        study, agent_bindings={"agent-a": agent}, output_dir=tmp_path, parallelism=1, grace_s=1
    )
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(ended(runner))

    summary = runner.summary
    assert (summary.succeeded, summary.failed, summary.cost_usd) == (1, 1, 2.0)
    assert summary.stopped_because == "interrupted"
    with StoreReader(tmp_path) as store:
        assert store.count() == 2


@pytest.mark.field("engine-K20")
def test_ctrl_c_once_more_cancels_the_runs_in_flight(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        if ctx.spec.replicate > 2:
            await anyio.sleep_forever()

        await anyio.sleep(0.01 * ctx.spec.replicate)
        raise KeyboardInterrupt

    runner = make_runner(tmp_path, agent, grace_s=HANGS_S)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(ended(runner))

    assert (runner.summary.failed, runner.summary.session.cancelled) == (2, 2)


@pytest.mark.field("engine-K20")
def test_ctrl_c_in_a_step_of_a_listener_stops_the_study_and_is_raised(tmp_path: Path) -> None:
    runner = make_runner(tmp_path, runs=100, parallelism=1)

    @runner.on(RunStarted)
    def press(_: RunStarted) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(ended(runner))

    assert 0 < runner.summary.succeeded < 100


# No run can take others with it


def sets(name: str, key: Any, value: Any) -> Callable[[ps.RunContext], None]:
    return lambda ctx: getattr(ctx, name).update({key: value})


def raises_syntax_error(ctx: ps.RunContext) -> None:
    raise SyntaxError("m", ("f", 1, "3", "x=", 1, 2))  # type: ignore[arg-type]


@pytest.mark.field("engine-K1b")
@pytest.mark.field("engine-K12")
@pytest.mark.parametrize(
    ("spoil", "failed"),
    [
        (sets("provenance", "x", object()), 1),
        (sets("metrics", "x", object()), 1),
        (sets("metrics", "cost_usd", None), 0),
        (sets("metrics", "input_tokens", 10**400), 1),
        (sets("provenance", 1, "abc"), 0),
        (lambda ctx: ctx.observations.append("said"), 1),
        (lambda ctx: setattr(ctx, "metrics", None), 1),
        (lambda ctx: setattr(ctx, "spec", None), 0),
        (lambda ctx: setattr(ctx, "waited_s", "long"), 0),
        (raises_syntax_error, 1),
    ],
)
async def test_what_one_run_holds_costs_no_other(
    tmp_path: Path, spoil: Callable[[ps.RunContext], None], failed: int
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        if ctx.spec.replicate == 30:
            spoil(ctx)

        return "x"

    summary = await ended(make_runner(tmp_path, agent, runs=100, parallelism=100))

    assert (summary.succeeded, summary.failed) == (100 - failed, failed)
    with StoreReader(tmp_path) as store:
        statuses = [result.status for result in store.results(0, 100)]

    assert statuses.count(RunStatus.FAILED) == failed
    assert statuses.count(RunStatus.SUCCESS) == 100 - failed


@pytest.mark.field("engine-K12")
@pytest.mark.field("engine-K23")
async def test_a_thread_left_behind_that_goes_on_writing_costs_nothing(tmp_path: Path) -> None:
    release = threading.Event()

    def agent(ctx: ps.RunContext) -> str:
        number = 0
        while not release.is_set():
            number += 1
            ctx.provenance[f"key {number % 1000}"] = number
            ctx.metrics[f"key {number % 1000}"] = number
            ctx.record(sum=1)
            ctx.observe("step")
            time.sleep(0)  # else four of these keep SQLite's thread from Python for 20 ms a row

        return "too late"

    failures_first: list[Event] = []
    runner = make_runner(tmp_path, agent, timeout_s=0.05)
    runner.on(RunObserved, ps.RunFailed)(failures_first.append)
    try:
        summary = await ended(runner)
    finally:
        release.set()

    assert summary.failed == 4
    ended_runs: set[str] = set()
    for event in failures_first:
        assert isinstance(event, RunEvent)
        assert event.run_id not in ended_runs
        if isinstance(event, ps.RunFailed):
            ended_runs.add(event.run_id)

    assert len(ended_runs) == 4


# What is over is over


@pytest.mark.field("engine-K14")
async def test_a_run_left_behind_is_over_for_counts_events_and_store_alike(
    tmp_path: Path, deafer: Deafer
) -> None:
    runner = make_runner(tmp_path, deafer, runs=1)
    events = heard(runner, RunEvent)
    async with anyio.create_task_group() as group:
        group.start_soon(cancel_after, deafer.begun, runner)
        summary = await ended(runner)

    deafer.release.set()
    await anyio.wait_all_tasks_blocked()

    assert [type(event) for event in events] == [RunStarted, RunAbandoned]
    assert summary == runner.summary
    assert (summary.succeeded, summary.session.cancelled, summary.in_flight) == (0, 1, 0)
    with StoreReader(tmp_path) as store:
        assert store.count() == 0


async def test_what_a_cancelled_run_has_cost_is_kept_and_the_run_is_made_again(
    tmp_path: Path,
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        ctx.record(cost_usd=1.0)
        await anyio.sleep_forever()
        return "x"

    runner = make_runner(tmp_path, agent)
    events = heard(runner, RunEvent)
    runner.on(RunStarted)(lambda _: runner.cancel())
    summary = await ended(runner)

    cancelled = [event for event in events if isinstance(event, RunCancelled)]
    assert len(cancelled) == summary.session.started == summary.session.cancelled
    assert summary.cost_usd == summary.session.started
    attempts: list[int] = []

    async def again(ctx: ps.RunContext) -> str:
        attempts.append(ctx.attempt)
        return "x"

    next_summary = await ended(make_runner(tmp_path, again))
    assert (next_summary.session.restored, next_summary.remaining) == (0, 0)
    assert attempts == [1, 1, 1, 1]  # an attempt that was given up is made again, not another


@pytest.mark.field("engine-K22")
async def test_after_a_stop_no_other_attempt_is_promised(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        runner.stop("enough")
        raise ValueError("no")

    runner = make_runner(tmp_path, agent, retry=ps.Retry(attempts=5, wait_s=0), parallelism=1)
    events = heard(runner, RunEvent)
    summary = await ended(runner)

    assert [type(event) for event in events] == [RunStarted, ps.RunFailed]
    assert (summary.failed, summary.session.retried) == (1, 0)


@pytest.mark.field("engine-K25")
@pytest.mark.parametrize("retry_after_s", [float("inf"), float("nan"), -1.0, 10**400])
async def test_an_error_that_asks_to_wait_for_ever_is_tried_again_all_the_same(
    tmp_path: Path, retry_after_s: float
) -> None:
    class Busy(Exception):  # noqa: N818 - as a client of a provider calls it
        pass

    async def agent(ctx: ps.RunContext) -> str:
        if ctx.attempt == 1:
            error = Busy("come back never")
            vars(error)["retry_after_s"] = retry_after_s
            raise error

        return "x"

    summary = await ended(make_runner(tmp_path, agent, retry=ps.Retry(attempts=2, wait_s=0)))

    assert (summary.succeeded, summary.session.retried) == (4, 4)


# Files


@pytest.mark.field("studies-SEC6")
def test_a_process_that_is_there_for_a_study_raises_its_limit_on_files_and_a_host_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[int] = []
    monkeypatch.setattr("penstock.run.raise_file_limit", lambda: raised.append(1))
    study = make_study()
    ps.StudyRunner(study, agent_bindings={"agent-a": quick}, output_dir=tmp_path)
    assert raised == []

    ps.run_study(study, agent_bindings={"agent-a": quick}, output_dir=tmp_path, dry_run=True)
    assert raised == [1]


# A study within another


@pytest.mark.field("engine-K21")
def test_an_agent_may_block_on_a_study_of_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(global_random().turn, "patience_s", 0.0)

    def run(name: str, agent: Any) -> ps.StudyResult:
        study = make_study(("a",), replicates=2)
        return ps.run_study(study, agent_bindings={"agent-a": agent}, output_dir=tmp_path / name)

    async def outer(ctx: ps.RunContext) -> str:
        with ThreadPoolExecutor(1) as thread:  # the loop stands still until the other has ended
            name = f"inner {ctx.spec.replicate}"
            return f"{len(thread.submit(run, name, quick).result())} results"

    outers = run("outer", outer)
    assert [result.outputs["text"] for result in outers] == ["2 results"] * 2
    with StoreReader(tmp_path / "inner 1") as store:
        for result in store.results():
            assert [each.event_type for each in result.observations] == ["random_not_isolated"]

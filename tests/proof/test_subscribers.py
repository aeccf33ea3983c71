"""Subscribers that misbehave, and what a study makes of them."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import penstock as ps
from penstock.errors import SubscriberError
from penstock.events import (
    Event,
    RunEvent,
    RunsSaved,
    RunStarted,
    RunSucceeded,
    StudyWaiting,
    SubscriberFailed,
)
from penstock.study.policies import RunBudget
from tests.proof.counting_study import build_study

pytestmark = pytest.mark.anyio


async def agent(_ctx: ps.RunContext) -> str:
    await anyio.lowlevel.checkpoint()
    return "done"


def make_runner(output_dir: Path, replicates: int = 1, grace_s: float = 10.0) -> ps.StudyRunner:
    problems = tuple(ps.Problem(problem_id=f"p{number}") for number in range(20))
    budget = RunBudget(replicates=replicates)
    return ps.StudyRunner(
        build_study().model_copy(update={"problems": problems, "run_budget": budget}),
        agent_bindings={"one": agent, "two": agent},
        output_dir=output_dir,
        parallelism=20,
        grace_s=grace_s,
    )


async def test_a_subscriber_that_raises_is_said_and_switched_off_and_the_study_goes_on(
    tmp_path: Path,
) -> None:
    runner = make_runner(tmp_path)
    heard: list[Event] = []

    @runner.on(RunSucceeded)
    def breaks(event: RunSucceeded) -> None:
        heard.append(event)
        raise ValueError("no good")

    with runner.watch(SubscriberFailed) as failures:
        summary = await runner.run()
        (failure,) = [event async for event in failures]

    assert summary.succeeded == summary.planned
    assert len(heard) == 1
    assert isinstance(failure, SubscriberFailed)
    assert "breaks" in failure.subscriber
    assert failure.error == "ValueError: no good"


async def test_a_critical_subscriber_that_raises_stops_the_study_and_nothing_saved_is_lost(
    tmp_path: Path,
) -> None:
    runner = make_runner(tmp_path, replicates=20)

    async def accountant(stream: ps.EventStream) -> None:
        async for _ in stream:
            raise ValueError("the books do not balance")

    runner.subscribe(accountant, RunsSaved, critical=True)
    with pytest.raises(SubscriberError, match="the books do not balance"):
        await runner.run()

    saved = runner.summary
    assert 0 < saved.succeeded < saved.planned
    again = await make_runner(tmp_path, replicates=20).run()
    assert again.session.restored == saved.succeeded
    assert again.remaining == 0


async def test_a_hanging_lossless_subscriber_holds_the_study_at_the_gate_and_the_study_says_so(
    tmp_path: Path,
) -> None:
    runner = make_runner(tmp_path, replicates=10)
    let_go = anyio.Event()

    async def hangs(stream: ps.EventStream) -> None:
        await let_go.wait()
        async for _ in stream:
            pass

    runner.subscribe(hangs, RunStarted)
    started_while_waiting = 0
    async with anyio.create_task_group() as group:
        with runner.watch(StudyWaiting) as waits:
            group.start_soon(runner.run)
            waiting = await anext(waits)
            started_while_waiting = runner.summary.session.started
            let_go.set()

    assert isinstance(waiting, StudyWaiting)
    assert "hangs" in waiting.subscriber
    assert waiting.behind > 1024
    assert started_while_waiting <= 1024 + runner.concurrency + 1
    assert runner.summary.remaining == 0


async def test_a_study_held_back_by_a_hanging_subscriber_can_still_be_cancelled(
    tmp_path: Path,
) -> None:
    runner = make_runner(tmp_path, replicates=10, grace_s=0.1)

    async def hangs(_stream: ps.EventStream) -> None:
        await anyio.sleep_forever()

    runner.subscribe(hangs, RunStarted)
    with runner.watch(StudyWaiting) as waits, anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(runner.run)
            await anext(waits)
            group.cancel_scope.cancel()

    assert runner.summary.succeeded > 0
    assert runner.summary.in_flight == 0


async def test_a_subscriber_to_a_base_class_gets_every_subclass_in_order(tmp_path: Path) -> None:
    runner = make_runner(tmp_path)
    heard: list[RunEvent] = []

    @runner.on(RunEvent)
    async def hear(event: RunEvent) -> None:
        await anyio.lowlevel.checkpoint()
        heard.append(event)

    summary = await runner.run()
    kinds = {type(event) for event in heard}
    assert kinds == {RunStarted, RunSucceeded}
    assert len(heard) == 2 * summary.planned
    assert [event.seq for event in heard] == sorted(event.seq for event in heard)


async def test_a_watch_that_is_never_read_holds_nothing_up_and_counts_what_it_dropped(
    tmp_path: Path,
) -> None:
    runner = make_runner(tmp_path)
    with runner.watch(size=10) as unread:
        summary = await runner.run()

    assert summary.remaining == 0
    assert len(unread) == 10
    assert unread.dropped > summary.planned

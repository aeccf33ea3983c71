"""A pause that cancels what is in flight: nothing has failed, and all of it is made again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import penstock as ps
from penstock.control.connection import connect
from penstock.events import RunAnswered, RunCancelled, RunStarted
from penstock.store.actions import actions
from penstock.store.reader import StoreReader
from tests.builders import make_study
from tests.control.running import Running

pytestmark = pytest.mark.anyio


async def landed(runner: ps.StudyRunner) -> None:
    with anyio.fail_after(30):
        while runner.summary.in_flight:
            await anyio.lowlevel.checkpoint()


def attempts(directory: Path) -> list[tuple[str, int]]:
    with StoreReader(directory) as store:
        query = "SELECT status, count(*) FROM attempt GROUP BY status ORDER BY status"
        return [tuple(row) for row in store.table(query)]


async def test_what_is_in_flight_is_cancelled_and_made_again_after_the_pause(
    tmp_path: Path,
) -> None:
    study = Running(tmp_path)
    given_up: list[RunCancelled] = []
    study.runner.on(RunCancelled)(given_up.append)
    async with study.running() as runner:
        await runner.pause(now=True, reason="the bill")
        await landed(runner)
        assert study.begun == 2
        assert runner.summary.failed == 0
        study.let_go.set()
        await runner.resume()

    assert (runner.summary.succeeded, runner.summary.failed) == (16, 0)
    assert (runner.summary.session.cancelled, runner.summary.lost_calls) == (2, 0)
    assert attempts(tmp_path) == [("cancelled", 2), ("success", 16)]
    assert study.begun == 18
    assert len({each.run_id for each in given_up}) == 2
    with StoreReader(tmp_path) as store:
        told = [str(each) for each in actions(store)]

    assert told[0].startswith("Paused at once 20")
    assert told[0].endswith("with 0 of 16 runs ended: the bill")
    assert study.said[0].what == "pause now"


async def test_what_a_cancelled_attempt_has_cost_is_kept_and_counted(tmp_path: Path) -> None:
    spent: list[int] = []
    has_spent = anyio.Event()

    async def agent(ctx: ps.RunContext) -> str:
        ctx.record(cost_usd=0.25)
        spent.append(ctx.attempt)
        if len(spent) == 1:
            has_spent.set()
            await anyio.sleep_forever()

        return "42"

    options: dict[str, Any] = {"output_dir": tmp_path, "show_progress": False, "concurrency": 1}
    runner = ps.StudyRunner(make_study(), agent_bindings={"agent-a": agent}, **options)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runner.run)
        await has_spent.wait()
        await runner.pause(now=True)
        await landed(runner)
        await runner.resume()

    assert spent == [1, 2, 1]
    assert runner.summary.cost_usd == 0.75
    assert runner.summary.succeeded == 2


async def test_an_answer_that_is_being_scored_is_kept_and_scored_after_the_pause(
    tmp_path: Path,
) -> None:
    answered, judging = [], anyio.Event()

    async def agent(ctx: ps.RunContext) -> str:
        ctx.record(cost_usd=0.5)
        answered.append(ctx.spec.run_id)
        return "42"

    async def judge(ctx: ps.RunContext, answer: Any) -> float:
        if not judging.is_set():
            judging.set()
            await anyio.sleep_forever()

        return 0.5

    options: dict[str, Any] = {"output_dir": tmp_path, "show_progress": False, "concurrency": 1}
    study = make_study(evaluators={"e": {"call": judge}})
    runner = ps.StudyRunner(study, agent_bindings={"agent-a": agent}, **options)
    said: list[str] = []
    for kind in (RunStarted, RunAnswered, ps.RunFinished):
        runner.on(kind)(lambda event: said.append(type(event).__name__))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runner.run)
        await judging.wait()
        await runner.pause(now=True)
        await landed(runner)
        await runner.resume()

    assert len(answered) == 2
    assert (runner.summary.succeeded, runner.summary.failed) == (2, 0)
    assert (runner.summary.cost_usd, runner.summary.attempts) == (1.0, 2)
    assert said[:4] == ["RunStarted", "RunAnswered", "RunStarted", "RunSucceeded"]
    assert attempts(tmp_path) == [("success", 2)]
    with StoreReader(tmp_path) as store:
        assert [each.evaluations[0].metric_value for each in store.results()] == [0.5, 0.5]


async def test_a_study_that_is_paused_can_be_paused_again_so(tmp_path: Path) -> None:
    study = Running(tmp_path)
    async with study.running() as runner:
        await runner.pause()
        assert runner.summary.in_flight == 2
        await runner.pause(now=True)
        await landed(runner)
        study.let_go.set()
        await runner.resume()

    assert [each.what for each in study.said] == ["pause", "pause now", "resume"]
    assert runner.summary.succeeded == 16


async def test_a_study_that_is_stopped_in_such_a_pause_leaves_its_runs_to_the_next_session(
    tmp_path: Path,
) -> None:
    study = Running(tmp_path)
    async with study.running() as runner:
        await runner.pause(now=True)
        await landed(runner)
        runner.stop()

    assert (runner.summary.succeeded, runner.summary.remaining) == (0, 16)
    again = Running(tmp_path)
    again.let_go.set()
    await again.runner.run()
    assert again.runner.summary.succeeded == 16


async def test_plain_functions_are_cancelled_too_and_their_threads_left(tmp_path: Path) -> None:
    let_go, begun = threading.Event(), []

    def agent(ctx: ps.RunContext) -> str:
        begun.append(ctx.spec.run_id)
        if len(begun) == 1:
            let_go.wait(30)

        return "42"

    options: dict[str, Any] = {"output_dir": tmp_path, "show_progress": False, "concurrency": 1}
    runner = ps.StudyRunner(make_study(), agent_bindings={"agent-a": agent}, **options)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runner.run)
        with anyio.fail_after(30):
            while not begun:
                await anyio.lowlevel.checkpoint()

        await runner.pause(now=True)
        await landed(runner)
        let_go.set()
        await runner.resume()

    assert len(begun) == 3
    assert runner.summary.succeeded == 2


async def test_another_process_can_ask_for_it(results: Path) -> None:
    study = Running(results, control=True)
    async with study.running() as runner:
        with anyio.fail_after(30):
            while not (results / ".control" / "address.json").exists():
                await anyio.lowlevel.checkpoint()

        async with connect(results) as client:
            await client.ask("pause", who="ada", now=True)
            await landed(runner)
            assert (await client.ask("snapshot")).is_paused
            study.let_go.set()
            await client.ask("resume", who="ada")

    assert [each.what for each in study.said] == ["pause now", "resume"]
    assert runner.summary.succeeded == 16

"""Acting on a study that runs: what takes effect, what is said, and what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import penstock as ps
from penstock.errors import PenstockError, StoreError, ValidationError
from penstock.events import RunStarted, StudyFinished
from penstock.store.actions import actions
from penstock.store.reader import StoreReader
from penstock.store.unblinding import is_blind
from penstock.study.hypotheses import Hypothesis
from tests.builders import make_study
from tests.control.running import Running

pytestmark = pytest.mark.anyio


CLAIM = Hypothesis(hypothesis_id="h", label="h", statement="a beats b")


def kept(directory: Path) -> list[tuple[Any, ...]]:
    with StoreReader(directory) as store:
        return [
            tuple(row) for row in store.table("SELECT who, what, old, new, reason FROM actions")
        ]


async def test_a_pause_lets_runs_in_flight_end_and_starts_none_until_it_is_over(
    tmp_path: Path,
) -> None:
    study = Running(tmp_path)

    async with study.running() as runner:
        await runner.steering.pause(who="ada", reason="the provider called")
        await runner.steering.pause(who="ada", reason="again: it is paused by now")
        with runner.watch(RunStarted) as started:
            study.let_go.set()
            while runner.summary.in_flight:
                await anyio.lowlevel.checkpoint()

            for _ in range(20):
                await anyio.lowlevel.checkpoint()

            assert study.begun == 2
            assert len(started) == 0

        await runner.steering.resume(who="bob")

    assert runner.summary.succeeded == 16
    assert [(each.who, each.what) for each in study.said] == [("ada", "pause"), ("bob", "resume")]
    assert kept(tmp_path) == [
        ("ada", "pause", None, None, "the provider called"),
        ("bob", "resume", None, None, ""),
    ]


async def test_a_paused_study_can_be_stopped(tmp_path: Path) -> None:
    study = Running(tmp_path)

    async with study.running() as runner:
        await runner.steering.pause(who="ada")
        await runner.steering.stop(who="ada", reason="enough")

    assert runner.summary.stopped_because == "stopped by ada: enough"
    assert runner.summary.succeeded == 2
    assert runner.steering.is_stopped


async def test_stopping_now_cancels_what_is_in_flight(tmp_path: Path) -> None:
    study = Running(tmp_path)

    async with study.running() as runner:
        await runner.steering.stop(who="ada", now=True)

    assert runner.summary.succeeded == 0
    assert [what for _, what, *_ in kept(tmp_path)] == ["stop now"]


async def test_what_is_set_takes_effect_at_once_and_each_value_is_kept(tmp_path: Path) -> None:
    study = Running(tmp_path)

    async with study.running() as runner:
        await runner.steering.set(
            {"execution.concurrency": 5, "execution.grace_s": 3, "execution.timeout_s": None},
            who="ada",
            reason="more",
        )
        await study.have_begun(5)

        assert runner.execution.grace_s == 3

    assert kept(tmp_path) == [
        ("ada", "set execution.concurrency", "2", "5", "more"),
        ("ada", "set execution.grace_s", "10.0", "3.0", "more"),
    ]
    assert [(each.old, each.new) for each in study.said] == [(2, 5), (10.0, 3.0)]


async def test_runs_that_begin_later_have_the_time_and_the_attempts_that_were_set(
    tmp_path: Path,
) -> None:
    tries = 0

    async def agent(ctx: ps.RunContext) -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            values = {"execution.timeout_s": 0.001, "execution.retry.attempts": 3}
            await runner.steering.set({**values, "execution.retry.wait_s": 0}, who="ada")
            return "42"

        await anyio.sleep_forever()
        return "never"

    runner = ps.StudyRunner(
        make_study(), agent_bindings={"agent-a": agent}, output_dir=tmp_path, show_progress=False
    )
    summary = await runner.run()

    assert (summary.succeeded, summary.failed, tries) == (1, 1, 4)


async def test_nothing_is_set_where_one_value_is_wrong(tmp_path: Path) -> None:
    study = Running(tmp_path)

    async with study.running() as runner:
        with pytest.raises(ValidationError):
            await runner.steering.set({"execution.concurrency": 7, "seed": 1}, who="ada")

        assert runner.concurrency == 2

    assert not kept(tmp_path)


async def test_a_host_that_sets_the_concurrency_is_what_an_action_starts_from(
    tmp_path: Path,
) -> None:
    study = Running(tmp_path)

    async with study.running() as runner:
        runner.concurrency = 3
        await runner.steering.set({"execution.concurrency": 4}, who="ada")

    assert [(each.old, each.new) for each in study.said] == [(3, 4)]


async def test_the_next_session_says_what_was_set_and_what_the_study_says(tmp_path: Path) -> None:
    study = Running(tmp_path)
    async with study.running() as runner:
        values = {"execution.concurrency": 5, "execution.max_failures": 9}
        await runner.steering.set(values, who="ada")
        await runner.steering.set({"execution.max_failures": None}, who="ada")
        await runner.steering.stop(who="ada")

    again = Running(tmp_path)
    notes: list[str] = []
    again.runner.on(ps.events.StudyStarted)(lambda event: notes.extend(event.notes))
    again.let_go.set()
    await again.runner.run()

    (note,) = notes
    assert note.startswith("execution.concurrency was set to 5 for the session before, by ada; ")
    assert "the study says 1" in note


async def test_unblinding_needs_a_reason_and_is_kept_once(tmp_path: Path) -> None:
    study = Running(tmp_path, free=1, fields={"hypotheses": (CLAIM,)})

    async with study.running() as runner:
        await study.is_saved.wait()
        with pytest.raises(PenstockError, match="say why"):
            await runner.steering.unblind(who="ada", reason=" ")

        assert await runner.steering.unblind(who="ada", reason="to see")
        assert not await runner.steering.unblind(who="ada", reason="to see")

    assert kept(tmp_path) == [("ada", "unblind", None, None, "to see")]
    assert len(study.said) == 1


async def test_a_study_that_is_stopped_for_good_counts_as_ended_and_the_next_session_says_so(
    tmp_path: Path,
) -> None:
    study = Running(tmp_path, free=1, fields={"hypotheses": (CLAIM,)})
    async with study.running() as runner:
        await study.is_saved.wait()
        with StoreReader(tmp_path) as store:
            assert is_blind(store, runner.study)

        await runner.steering.stop(who="ada", reason="no money", for_good=True, now=True)

    with StoreReader(tmp_path) as store:
        assert not is_blind(store, runner.study)
        assert [str(each).partition(" 20")[0] for each in actions(store)] == [
            "Stopped now",
            "Ended for good",
        ]

    again = Running(tmp_path, free=1, fields={"hypotheses": (CLAIM,)})
    notes: list[str] = []
    again.runner.on(ps.events.StudyStarted)(lambda event: notes.extend(event.notes))
    again.let_go.set()
    await again.runner.run()
    assert any(note.startswith("Ended for good") for note in notes)


async def test_what_is_done_before_a_study_begins_is_kept_and_said_when_it_does(
    tmp_path: Path,
) -> None:
    study = Running(tmp_path)
    study.let_go.set()
    await study.runner.steering.set({"execution.concurrency": 3}, who="ada")
    await study.runner.pause(reason="not yet")
    assert study.runner.concurrency == 3
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(study.runner.run)
        with anyio.fail_after(30):
            while not study.said:
                await anyio.lowlevel.checkpoint()

        assert study.begun == 0
        await study.runner.resume()

    await study.runner.pause(reason="too late")
    told = ["set execution.concurrency", "pause", "resume"]
    assert [each.what for each in study.said] == told
    assert [each[1] for each in kept(tmp_path)] == [*told, "pause"]


async def test_an_action_that_cannot_be_kept_is_done_all_the_same_and_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_: Any) -> None:
        raise StoreError("the disk is full")

    study = Running(tmp_path)
    async with study.running() as runner:
        monkeypatch.setattr(runner.steering, "_write", full)
        with pytest.raises(StoreError, match="pause: it is done, and could not be kept"):
            await runner.steering.pause(who="ada")

        assert runner.steering.is_paused
        with pytest.raises(StoreError):
            await runner.steering.resume(who="ada")

    assert runner.summary.succeeded == 16


async def test_the_end_of_a_study_that_nobody_steers_leaves_no_action(tmp_path: Path) -> None:
    study = Running(tmp_path)
    study.runner.on(StudyFinished)(lambda event: None)
    study.let_go.set()
    await study.runner.run()

    assert kept(tmp_path) == []
    assert study.said == []

"""Durable subscribers hear everything that is saved, whatever becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog.testing

import penstock as ps
from penstock.errors import BindingError, StoreError, SubscriberError
from penstock.events import ActionTaken, Event, LoopStalled, RunsSaved, SubscriberFailed
from penstock.replay import areplay
from penstock.store.reader import StoreReader
from penstock.store.told_again.places import keep_place, places
from penstock.subscribers import durable
from tests.builders import make_study
from tests.older_stores import make_older

pytestmark = pytest.mark.anyio


async def agent(ctx: ps.RunContext) -> str:
    return "42"


def runner_of(directory: Path, *, replicates: int = 2, **options: Any) -> ps.StudyRunner:
    return ps.StudyRunner(
        make_study(replicates=replicates),
        agent_bindings={"agent-a": options.pop("agent", agent)},
        output_dir=directory,
        show_progress=False,
        **{"concurrency": 1, **options},
    )


def place(directory: Path, name: str = "hook") -> int:
    with StoreReader(directory) as store:
        return places(store).get(name, 0)


def names(events: list[Event]) -> list[str]:
    return [type(each).__name__ for each in events]


async def replayed(directory: Path, *types: type[Event]) -> list[Event]:
    heard: list[Event] = []
    await areplay(directory, heard.append, types=types)
    return heard


async def test_a_listener_hears_what_is_saved_and_its_place_is_kept(tmp_path: Path) -> None:
    heard: list[Event] = []
    runner = runner_of(tmp_path)
    runner.on(ps.RunFinished, durable="hook")(heard.append)
    await runner.run()

    assert heard == await replayed(tmp_path, ps.RunFinished)
    assert place(tmp_path) == heard[-1].seq


async def test_the_next_session_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    heard: list[Event] = []
    for replicates in (2, 3):
        runner = runner_of(tmp_path, replicates=replicates)
        runner.on(ps.RunFinished, durable="hook")(heard.append)
        await runner.run()

    assert [each.seq for each in heard] == [
        each.seq for each in await replayed(tmp_path, ps.RunFinished)
    ]
    assert len(heard) == 6


async def test_one_that_comes_later_hears_what_was_before(tmp_path: Path) -> None:
    await runner_of(tmp_path).run()
    heard: list[Event] = []
    runner = runner_of(tmp_path)
    runner.on(durable="hook")(heard.append)
    await runner.run()

    assert names(heard).count("StudyStarted") == 2
    assert names(heard).count("RunSucceeded") == 4
    assert heard == await replayed(tmp_path)


async def test_asking_for_the_next_event_acknowledges_the_one_before(tmp_path: Path) -> None:
    heard: list[Event] = []

    async def leaves(stream: ps.EventStream) -> None:
        async for event in stream:
            heard.append(event)
            if len(heard) == 3:
                return

    runner = runner_of(tmp_path)
    runner.subscribe(leaves, ps.RunFinished, durable="hook")
    await runner.run()
    assert place(tmp_path) == heard[1].seq

    runner = runner_of(tmp_path)
    runner.on(ps.RunFinished, durable="hook")(heard.append)
    await runner.run()
    assert heard[2] == heard[3]
    assert len(heard) == 5


async def test_a_batch_is_acknowledged_when_the_next_is_asked_for(tmp_path: Path) -> None:
    await runner_of(tmp_path).run()
    taken: list[list[Event]] = []

    async def in_twos(stream: ps.EventStream) -> None:
        taken.append(await stream.batch(2))
        taken.append(await stream.batch(1))

    runner = runner_of(tmp_path)
    runner.subscribe(in_twos, ps.RunFinished, durable="hook")
    await runner.run()
    assert [len(each) for each in taken] == [2, 1]
    assert place(tmp_path) == taken[0][1].seq


async def test_one_that_fails_is_called_again_from_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_FIRST_PAUSE_S", 0.0)
    heard: list[Event] = []
    said: list[SubscriberFailed] = []

    def hook(event: ps.RunFinished) -> None:
        heard.append(event)
        if len(heard) in (2, 3):
            raise ConnectionError("down")

    runner = runner_of(tmp_path)
    runner.on(ps.RunFinished, durable="hook")(hook)
    runner.on(SubscriberFailed)(said.append)
    await runner.run()

    assert heard[1] == heard[2] == heard[3]
    assert [heard[0], *heard[3:]] == await replayed(tmp_path, ps.RunFinished)
    assert len(said) == 2
    assert "ConnectionError: down (it is called again from event" in said[0].error
    assert not said[0].critical


async def test_a_study_waits_so_long_for_one_that_hangs_and_goes_on_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_LAST_WAIT_S", 0.01)

    async def hangs(event: ps.RunFinished) -> None:
        await anyio.sleep_forever()

    runner = runner_of(tmp_path)
    runner.on(ps.RunFinished, durable="hook")(hangs)
    with structlog.testing.capture_logs() as logs:
        await runner.run()

    (behind,) = [each for each in logs if each["event"] == "subscriber.behind"]
    assert (behind["subscriber"], behind["acknowledged"]) == ("hook", 0)
    assert runner.summary.succeeded == 4

    heard: list[Event] = []
    runner = runner_of(tmp_path)
    runner.on(ps.RunFinished, durable="hook")(heard.append)
    await runner.run()
    assert len(heard) == 4


async def test_one_that_is_slow_does_not_hold_runs_up(tmp_path: Path) -> None:
    ended = anyio.Event()
    heard: list[Event] = []

    async def slow(event: ps.RunFinished) -> None:
        await ended.wait()
        heard.append(event)

    runner = runner_of(tmp_path)
    runner.on(ps.RunFinished, durable="hook")(slow)

    @runner.on(RunsSaved)
    def look(event: RunsSaved) -> None:
        if event.summary is not None and event.summary.succeeded == 4:
            ended.set()

    await runner.run()
    assert len(heard) == 4


async def test_a_critical_one_that_fails_stops_the_study(tmp_path: Path) -> None:
    async def fails(stream: ps.EventStream) -> None:
        async for _ in stream:
            raise ZeroDivisionError("mine")

    runner = runner_of(tmp_path)
    runner.subscribe(fails, ps.RunFinished, durable="hook", critical=True)
    with pytest.raises(SubscriberError, match="ZeroDivisionError: mine"):
        await runner.run()


async def test_actions_are_heard_while_the_study_waits(tmp_path: Path) -> None:
    acted = anyio.Event()

    async def waits(ctx: ps.RunContext) -> str:
        await acted.wait()
        return "42"

    runner = runner_of(tmp_path, agent=waits)
    heard: list[ActionTaken] = []

    @runner.on(ActionTaken, durable="hook")
    def hook(event: ActionTaken) -> None:
        heard.append(event)
        acted.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runner.run)
        with runner.watch(ps.events.RunStarted) as stream:
            async for _ in stream:
                await runner.steering.pause(who="ada", reason="to see")
                break

        with anyio.fail_after(240):
            await acted.wait()

        await runner.steering.resume(who="ada")

    assert [(each.what, each.who) for each in heard] == [("pause", "ada"), ("resume", "ada")]


def refusals(runner: ps.StudyRunner) -> dict[str, Callable[[], object]]:
    return {
        "LoopStalled is announced once": lambda: runner.on(LoopStalled, durable="a")(print),
        "needs a name": lambda: runner.on(durable=" ")(print),
        "two subscribers are durable as 'b'": lambda: [
            runner.on(durable="b")(print),
            runner.on(durable="b")(print),
        ],
    }


async def test_what_cannot_be_durable_is_refused(tmp_path: Path) -> None:
    for why, act in refusals(runner_of(tmp_path)).items():
        with pytest.raises(BindingError, match=why):
            act()


async def test_a_place_never_goes_back(tmp_path: Path) -> None:
    await runner_of(tmp_path).run()
    for seq in (3, 7, 5):
        keep_place(tmp_path, "hook", seq)

    assert place(tmp_path) == 7


async def test_a_store_of_an_older_layout_keeps_no_place_until_the_study_goes_on(
    tmp_path: Path,
) -> None:
    await runner_of(tmp_path).run()
    make_older(tmp_path / "study.sqlite", 5)
    with pytest.raises(StoreError, match="go on with the study first"):
        keep_place(tmp_path, "hook", 1)

    assert place(tmp_path) == 0

"""A study is told again to code that is written after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import BindingError, RunningLoopError, StoreError
from penstock.events import (
    Event,
    LimitChanged,
    RunsSaved,
    RunSucceeded,
    StudyFinished,
    StudyStarted,
)
from penstock.replay import areplay, replay
from tests.builders import make_study


@pytest.fixture
def results(tmp_path: Path) -> Path:
    async def agent(ctx: ps.RunContext) -> str:
        ctx.record(cost_usd=0.5)
        return "42"

    options: dict[str, Any] = {"output_dir": tmp_path, "show_progress": False, "report": False}
    ps.run_study(make_study(replicates=2), agent_bindings={"agent-a": agent}, **options)
    return tmp_path


def test_subscribers_and_listeners_hear_a_study_that_has_ended(results: Path) -> None:
    costs: list[float] = []
    kinds: list[str] = []
    ends: list[Event] = []

    async def subscriber(stream: ps.EventStream) -> None:
        while events := await stream.batch(3):
            costs.extend(
                each.result.cost_usd for each in events if isinstance(each, ps.RunFinished)
            )

    async def listener(event: Event) -> None:
        kinds.append(type(event).__name__)

    def plain(event: StudyFinished) -> None:
        if isinstance(event, StudyFinished):
            ends.append(event)

    replay(results, subscriber, listener, plain)
    assert costs == [0.5] * 4
    assert (kinds[0], kinds[-2:]) == ("StudyStarted", ["RunsSaved", "StudyFinished"])
    assert kinds.count("RunStarted") == kinds.count("RunSucceeded") == 4
    assert len(ends) == 1


def test_what_is_heard_can_be_chosen_and_is_the_same_each_time(results: Path) -> None:
    first: list[Event] = []
    again: list[Event] = []
    replay(str(results), first.append, types=[ps.RunFinished, "StudyStarted"])
    replay(results, again.append, types=["RunFinished", StudyStarted])
    assert first == again
    assert [type(each) for each in first] == [StudyStarted, *[RunSucceeded] * 4]


def test_a_subscriber_that_has_heard_enough_may_leave(results: Path) -> None:
    heard: list[Event] = []

    async def subscriber(stream: ps.EventStream) -> None:
        async for event in stream:
            heard.append(event)
            break

    replay(results, subscriber)
    assert len(heard) == 1


def test_what_one_raises_is_raised(results: Path) -> None:
    def listener(event: Event) -> None:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        replay(results, listener)


def test_what_cannot_be_told_is_refused(results: Path, tmp_path: Path) -> None:
    async def vague(x: Any) -> None: ...

    with pytest.raises(BindingError, match="does not say what it takes"):
        replay(results, vague)

    with pytest.raises(BindingError, match="LimitChanged is announced once and not kept"):
        replay(results, print, types=[LimitChanged])

    with pytest.raises(StoreError, match="holds no study"):
        replay(tmp_path / "nothing", print)


@pytest.mark.anyio
async def test_inside_a_loop_it_is_awaited(results: Path) -> None:
    with pytest.raises(RunningLoopError, match=r"await areplay"):
        replay(results, print)

    heard: list[Event] = []
    await areplay(results, heard.append, types=[RunsSaved])
    assert heard

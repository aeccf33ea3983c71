from __future__ import annotations

import asyncio  # noqa: TID251 - the cancellations that pass every shield
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import cast

import anyio
import anyio.lowlevel
import pytest

import penstock as ps
from penstock.errors import StoreError
from penstock.events import (
    Event,
    LimitChanged,
    RunAnswered,
    RunFailed,
    RunRetried,
    RunsSaved,
    RunSucceeded,
    StudyStarted,
    StudyWaiting,
)
from penstock.events.bus import EventBus, EventStream, Subscriber
from penstock.results import RunResult, RunStage, RunStatus
from penstock.store.announced import NO_WAITS, Waits
from penstock.store.files.opening import open_store
from penstock.store.reader import StoreReader
from penstock.store.writer import Store
from penstock.study.policies import RunBudget
from penstock.subscribers.checkpoint import EVENTS, GROUP, checkpoint
from penstock.summary import StudySummary
from tests.builders import (
    Announced,
    make_error,
    make_event,
    make_plan,
    make_result,
    make_study,
)

pytestmark = pytest.mark.anyio


async def listen(
    subscriber: Subscriber, stream: EventStream, scope: anyio.CancelScope | None = None
) -> None:
    with scope or anyio.CancelScope():
        await subscriber(stream)


PLAN = make_plan(replicates=500)


class FakeStore:
    """Keeps what it is given; it is slow until it is let go, and may be full."""

    def __init__(self, room: int = 10**9) -> None:
        self.groups: list[list[tuple[str, bool]]] = []
        self.begun: list[int] = []
        self.let_go = asyncio.Event()
        self._room = room

    async def save(
        self, results: Sequence[tuple[RunResult, bool]], waits: Waits = NO_WAITS
    ) -> StudySummary:
        self.begun.append(len(results))
        await self.let_go.wait()
        if sum(map(len, self.groups)) + len(results) > self._room:
            raise StoreError("database or disk is full")

        self.groups.append([(result.run_id, final) for result, final in results])
        return StudySummary(study_id="tested", attempts=len(self.kept))

    @property
    def kept(self) -> list[str]:
        return [run_id for group in self.groups for run_id, _ in group]


def as_store(fake: FakeStore) -> Store:
    return cast("Store", fake)


def succeeded(position: int) -> Event:
    result = make_result(PLAN[position])
    return make_event(RunSucceeded, run_id=result.run_id, result=result)


def failed(position: int, kind: type[Event] = RunFailed, **fields: object) -> Event:
    result = make_result(PLAN[position], error=make_error())
    return make_event(kind, run_id=result.run_id, result=result, **fields)


def ids(count: int, start: int = 0) -> list[str]:
    return [PLAN[position].run_id for position in range(start, count)]


async def test_every_attempt_is_saved_and_results_are_said_to_be_safe_after_it() -> None:
    bus, announced, store = EventBus(), Announced(), FakeStore()
    stream = bus.open(*EVENTS)
    for event in (succeeded(0), failed(1, RunRetried, wait_s=1.0), failed(2)):
        bus.publish(event)

    bus.publish(make_event(LimitChanged, limit=1, reason="unheard"))
    async with anyio.create_task_group() as group:
        group.start_soon(listen, checkpoint(as_store(store), announced), stream)
        while not store.begun:
            await anyio.wait_all_tasks_blocked()

        assert announced.events == []
        store.let_go.set()
        bus.close()

    assert store.groups == [list(zip(ids(3), (True, False, True), strict=True))]
    (saved,) = announced.of(RunsSaved)
    assert saved.run_ids == (PLAN[0].run_id, PLAN[2].run_id)


async def test_what_arrives_while_a_group_is_written_is_the_next_group() -> None:
    bus, announced, store = EventBus(), Announced(), FakeStore()
    stream = bus.open(*EVENTS)
    async with anyio.create_task_group() as group:
        group.start_soon(listen, checkpoint(as_store(store), announced), stream)
        bus.publish(succeeded(0))
        while not store.begun:
            await anyio.wait_all_tasks_blocked()

        for position in range(1, 600):
            bus.publish(succeeded(position))

        store.let_go.set()
        bus.close()

    assert [len(group) for group in store.groups] == [1, 256, 256, 87]
    assert store.kept == ids(600)
    assert [run_id for saved in announced.of(RunsSaved) for run_id in saved.run_ids] == ids(600)


async def test_on_a_full_disk_what_still_has_room_is_kept() -> None:
    bus, announced, store = EventBus(), Announced(), FakeStore(room=11)
    store.let_go.set()
    stream = bus.open(*EVENTS)
    for position in range(40):
        bus.publish(succeeded(position))

    bus.close()
    with pytest.raises(StoreError, match="disk is full"):
        await checkpoint(as_store(store), announced)(stream)

    assert store.kept == ids(11)
    assert [run_id for saved in announced.of(RunsSaved) for run_id in saved.run_ids] == ids(11)


@pytest.mark.parametrize("scoped", [True, False])
async def test_a_checkpoint_cancelled_in_a_commit_saves_what_has_arrived_and_what_is_to_come(
    tmp_path: Path, scoped: bool
) -> None:
    bus, announced = EventBus(), Announced()
    stream = bus.open(*EVENTS)
    async with open_store(tmp_path) as store:
        await store.begin(PLAN)
        with closing(sqlite3.connect(store.path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")  # the commit has to wait
            for position in range(256):
                bus.publish(succeeded(position))

            cancel_scope = anyio.CancelScope()
            task = asyncio.create_task(listen(checkpoint(store, announced), stream, cancel_scope))
            await anyio.wait_all_tasks_blocked()
            assert len(stream) == 0
            for position in range(256, 300):
                bus.publish(succeeded(position))

            (cancel_scope if scoped else task).cancel()
            await anyio.wait_all_tasks_blocked()
            holder.execute("ROLLBACK")
            while len(announced.of(RunsSaved)) < 2:
                await anyio.wait_all_tasks_blocked()

            bus.publish(succeeded(300))
            bus.close()
            await asyncio.wait([task])

    saved = [run_id for event in announced.of(RunsSaved) for run_id in event.run_ids]
    assert saved == ids(301)
    with StoreReader(tmp_path) as reader:
        assert reader.count() == 301


async def test_a_disk_that_hangs_lets_two_groups_be_paid_for_and_no_more(tmp_path: Path) -> None:
    at_once, calls = 10, 0
    calls_when_waiting: list[int] = []

    async def agent(ctx: ps.RunContext) -> str:
        nonlocal calls
        calls += 1
        await anyio.lowlevel.checkpoint()
        return "42"

    study = make_study(replicates=2000, run_budget=RunBudget(replicates=2000))
    runner = ps.StudyRunner(
        study, agent_bindings={"agent-a": agent}, output_dir=tmp_path, parallelism=at_once
    )
    holder = sqlite3.connect(tmp_path / "study.sqlite", isolation_level=None)

    @runner.on(StudyStarted)
    def hold_the_store(_: StudyStarted) -> None:
        holder.execute("BEGIN IMMEDIATE")

    @runner.on(StudyWaiting)
    def let_it_go(_: StudyWaiting) -> None:
        calls_when_waiting.append(calls)
        if holder.in_transaction:
            holder.execute("ROLLBACK")

    with closing(holder):
        summary = await runner.run()

    assert summary.succeeded == 4000
    assert GROUP < calls_when_waiting[0] <= 2 * GROUP + 2 * at_once


@pytest.mark.field("engine-K12")
async def test_a_result_that_cannot_be_stored_is_a_stored_failure_and_costs_no_other(
    tmp_path: Path,
) -> None:
    bus, announced = EventBus(), Announced()
    stream = bus.open(*EVENTS)
    spoilt = make_result(PLAN[7], metrics={"cost_usd": 2.0, "x": object()})
    for position in range(20):
        event = make_event(RunSucceeded, run_id=spoilt.run_id, result=spoilt)
        bus.publish(event if position == 7 else succeeded(position))

    bus.close()
    async with open_store(tmp_path) as store:
        await store.begin(PLAN)
        await checkpoint(store, announced)(stream)

    with StoreReader(tmp_path) as reader:
        results = list(reader.results(0, 20))

    assert [result.run_id for result in results] == ids(20)
    failed = [result for result in results if result.status is not RunStatus.SUCCESS]
    assert [result.run_id for result in failed] == [spoilt.run_id]
    assert failed[0].error is not None
    assert (failed[0].error.stage, failed[0].cost_usd) == (RunStage.OUTPUT, 2.0)
    assert "cannot be stored" in failed[0].error.message


async def test_an_answer_that_is_scored_before_its_group_is_written_is_written_once() -> None:
    result = make_result(PLAN.at(0))
    scoring = result.model_copy(update={"status": RunStatus.SCORING})
    store, bus = FakeStore(), EventBus()
    store.let_go.set()
    stream = bus.open(*EVENTS)
    for event in (
        make_event(RunAnswered, run_id=result.run_id, result=scoring),
        make_event(RunSucceeded, run_id=result.run_id, result=result),
        make_event(RunAnswered, run_id="run-other", result=scoring),
    ):
        bus.publish(event)

    bus.close()
    await checkpoint(cast("Store", store), Announced())(stream)

    assert store.groups == [[(result.run_id, True), (result.run_id, False)]]

from __future__ import annotations

import asyncio  # noqa: TID251 - the cancellations that pass every shield
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

import penstock as ps
from penstock.events import RunSucceeded, StudyStopping
from penstock.running.ending import finish_before_cancelling
from penstock.store.reader import StoreReader
from tests.builders import make_study

pytestmark = pytest.mark.anyio


class Work:
    """Work that ends when it is told to."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.ended = False
        self._end = anyio.Event()

    async def __call__(self) -> None:
        await self._end.wait()
        self.ended = True

    async def wind_down(self, ended: anyio.Event) -> None:
        self.told.append("wind down")
        assert not ended.is_set()
        self._end.set()


@pytest.mark.field("studies-C9")
def test_a_study_in_an_event_loop_that_is_not_asyncio_s_says_what_to_do(tmp_path: Path) -> None:
    study = make_study(agents={"agent-a": lambda ctx: "42"}, output_dir=tmp_path / "results")
    running = ps.arun_study(study)

    with pytest.raises(ps.PenstockError, match=r"asyncio's event loop, .* such as trio's; use"):
        running.send(None)  # as a loop of another kind begins it

    assert not (tmp_path / "results").exists()


async def test_work_that_ends_is_not_wound_down() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    async def wind_down(_: anyio.Event) -> None:
        done.append("wind down")

    await finish_before_cancelling(work, wind_down)

    assert done == ["work"]


async def test_what_the_work_raises_is_raised() -> None:
    async def fail() -> None:
        raise ZeroDivisionError("inside")

    with pytest.raises(ZeroDivisionError, match="inside"):
        await finish_before_cancelling(fail, Work().wind_down)


@pytest.mark.parametrize("scoped", [True, False])
async def test_a_cancellation_waits_for_the_end_of_the_work(scoped: bool) -> None:
    work = Work()
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            await finish_before_cancelling(work, work.wind_down)

    task = asyncio.create_task(run())
    await anyio.wait_all_tasks_blocked()
    (scope if scoped else task).cancel()
    await asyncio.wait([task])

    assert (work.told, work.ended) == (["wind down"], True)
    assert task.cancelled() is not scoped


async def test_cancelling_a_study_once_waits_for_its_runs_and_twice_cancels_them(
    tmp_path: Path,
) -> None:
    both_started = asyncio.Event()
    started: list[str] = []
    cancelled: list[str] = []

    async def agent(ctx: ps.RunContext) -> None:
        started.append(ctx.spec.run_id)
        if len(started) == 2:
            both_started.set()

        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(ctx.spec.run_id)

    runner = ps.StudyRunner(
        make_study(),
        agent_bindings={"agent-a": agent},
        output_dir=tmp_path,
        parallelism=2,
        grace_s=60,
    )
    task = asyncio.create_task(runner.run())
    await both_started.wait()
    with runner.watch(StudyStopping) as stopping:
        task.cancel()
        await stopping.batch()

    await anyio.wait_all_tasks_blocked()
    assert (task.done(), cancelled) == (False, [])

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert sorted(cancelled) == sorted(started)
    assert (tmp_path / "runs.csv").exists()


async def test_a_study_left_behind_by_its_event_loop_has_saved_what_succeeded(
    tmp_path: Path,
) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        await asyncio.sleep(0)
        return "paid for"

    runner = ps.StudyRunner(
        make_study(replicates=1000),
        agent_bindings={"agent-a": agent},
        output_dir=tmp_path,
        parallelism=20,
    )
    enough = asyncio.Event()

    @runner.on(RunSucceeded)
    def count(event: RunSucceeded) -> None:
        if runner.summary.succeeded >= 300:
            enough.set()

    def leave() -> int:
        """Run an event loop that ends with the study under way: all its tasks are cancelled."""

        async def main() -> int:
            task = asyncio.create_task(runner.run())
            await asyncio.wait([asyncio.create_task(enough.wait())])
            assert not task.done()
            return runner.summary.succeeded

        return asyncio.run(main())

    succeeded = await anyio.to_thread.run_sync(leave)

    with StoreReader(tmp_path) as store:
        assert store.count() >= succeeded >= 300

"""A study whose runs are made by workers: the same results, whatever happens to workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog

import penstock as ps
from penstock.engines.boot import Boot
from penstock.engines.engine import Arrival, Joined
from penstock.engines.local import LocalEngine
from penstock.errors import EngineError, ValidationError
from penstock.events import Event, RunAnswered, RunFinished, RunObserved, RunStarted, WorkersChanged
from penstock.store.reader import StoreReader
from tests.engines.studies import AGENTS, tables, write_study

pytestmark = pytest.mark.anyio


async def run(
    study: ps.Study, engine: Any, output_dir: Path, *hooks: Callable[[Event], Any], **options: Any
) -> ps.StudyRunner:
    """Run a study, and call each hook with every event."""
    runner = ps.StudyRunner(study, engine=engine, output_dir=output_dir, **options)
    for hook in hooks:
        runner.on(hook)

    await runner.run()
    return runner


async def test_the_tables_are_the_same_with_workers_and_without(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", "solve", "plain", replicates=2)
    here = await run(study, None, tmp_path / "here")
    there = await run(study, LocalEngine(2), tmp_path / "there")
    assert tables(tmp_path / "there") == tables(tmp_path / "here")
    assert there.summary.model_dump() == here.summary.model_dump()
    assert there.summary.cost_usd == 8 * 0.25


async def test_runs_are_spread_over_workers_and_each_result_says_who_made_it(
    tmp_path: Path,
) -> None:
    study = write_study(tmp_path / "study", "solve", replicates=2)
    await run(study, LocalEngine(2), tmp_path / "there")
    with StoreReader(tmp_path / "there") as store:
        made = [row[0] for row in store.table("SELECT worker FROM attempts")]

    assert sorted(made) == ["local-1"] * 4 + ["local-2"] * 4


class OneComesLater(LocalEngine):
    """Two workers, one of which has not come yet when the study begins."""

    async def start(self, boot: Boot) -> None:
        self._workers = 0
        await super().start(boot)
        self._workers = 2
        self.add()


@pytest.mark.virtual_time
@pytest.mark.parametrize("comes", [True, False])
async def test_the_first_worker_to_come_leaves_the_others_their_share_of_the_runs_for_a_while(
    tmp_path: Path, comes: bool
) -> None:
    study, engine = write_study(tmp_path / "study", "for_ever", replicates=2), OneComesLater()
    runner = ps.StudyRunner(study, engine=engine, output_dir=tmp_path / "there", grace_s=0)
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        await anyio.sleep(5)
        assert [host.in_flight for host in engine.hosts.values()] == [4]
        if comes:
            engine.add()

        await anyio.sleep(10)
        assert [host.in_flight for host in engine.hosts.values()] == ([4, 4] if comes else [8])
        runner.cancel("that is enough")


class TheOtherIsRefused(LocalEngine):
    """Two workers, of which the second cannot run the study."""

    def add(self) -> str:
        if not self._count:
            return super().add()

        self._arrivals.send_nowait(Joined("local-2", 0, refusal="it has another Python"))
        return "local-2"


@pytest.mark.virtual_time
async def test_nobody_keeps_a_share_of_the_runs_for_a_worker_that_was_refused(
    tmp_path: Path,
) -> None:
    study, engine = write_study(tmp_path / "study", "for_ever", replicates=2), TheOtherIsRefused(2)
    runner = ps.StudyRunner(study, engine=engine, output_dir=tmp_path / "there", grace_s=0)
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        await anyio.sleep(5)
        assert [host.in_flight for host in engine.hosts.values()] == [8]
        runner.cancel("that is enough")


@pytest.mark.virtual_time
async def test_runs_that_nobody_has_begun_are_dropped_where_a_study_stops_and_none_is_counted(
    tmp_path: Path,
) -> None:
    study, engine = write_study(tmp_path / "study", "waits", replicates=2), OneComesLater()
    runner = ps.StudyRunner(study, engine=engine, output_dir=tmp_path / "there")
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        await anyio.sleep(0.5)
        runner.stop("that is enough")

    assert (runner.summary.succeeded, runner.summary.remaining) == (4, 4)
    assert runner.summary.attempts == runner.summary.session.started == 4
    assert ps.StudyRunner(study, output_dir=tmp_path / "there").summary.lost_calls == 0


@pytest.mark.virtual_time
async def test_a_study_that_waits_for_workers_says_so_seldomer_and_seldomer(
    tmp_path: Path,
) -> None:
    study, engine = write_study(tmp_path / "study", "solve"), LocalEngine(0)
    runner = ps.StudyRunner(study, engine=engine, output_dir=tmp_path / "there")
    with structlog.testing.capture_logs() as logs:
        async with anyio.create_task_group() as group:
            group.start_soon(runner.run)
            await anyio.sleep(100)
            engine.add()

    assert [log["waited_s"] for log in logs if log["event"] == "worker.none"] == [30, 60]


async def test_what_a_worker_says_is_kept_there_until_it_is_saved(tmp_path: Path) -> None:
    engine = LocalEngine(1)
    unsaved: list[int] = []

    def note(event: Event) -> None:
        if isinstance(event, RunFinished):
            unsaved.append(len(engine.hosts["local-1"].unsaved))

    await run(write_study(tmp_path / "study", "solve"), engine, tmp_path / "there", note)
    assert all(unsaved)
    assert not engine.hosts["local-1"].unsaved


async def test_what_agents_report_is_said_while_they_run(tmp_path: Path) -> None:
    said: list[str] = []
    await run(
        write_study(tmp_path / "study", "solve"),
        LocalEngine(1),
        tmp_path / "there",
        lambda event: said.append(type(event).__name__),
    )
    assert said.count("RunObserved") == 4
    assert said.index("RunObserved") < said.index("RunSucceeded")


@pytest.mark.virtual_time
async def test_runs_of_a_lost_worker_are_made_again_by_another_and_use_up_no_attempt(
    tmp_path: Path,
) -> None:
    engine = LocalEngine(2)

    def kill(event: Event) -> None:
        if isinstance(event, RunObserved) and "local-1" in engine.hosts:
            engine.kill("local-1")

    study = write_study(tmp_path / "study", "reports", code=AGENTS + REPORTS, replicates=2)
    changes: list[WorkersChanged] = []

    def note(event: Event) -> None:
        if isinstance(event, WorkersChanged):
            changes.append(event)

    runner = await run(study, engine, tmp_path / "there", kill, note)
    assert {(each.worker, each.is_there, each.lost) for each in changes[-1].workers} == {
        ("local-1", False, 4),
        ("local-2", True, 0),
    }
    assert max(each.in_flight for change in changes for each in change.workers) == 8
    summary = runner.summary
    assert (summary.succeeded, summary.failed, summary.remaining) == (8, 0, 0)
    lost = summary.session.cancelled
    assert lost == 4
    assert summary.attempts == summary.session.started == 8 + lost
    with StoreReader(tmp_path / "there") as store:
        told = "SELECT status, error_message FROM attempts WHERE error_kind = 'WorkerLostError'"
        rows = list(store.table(told))

    assert [status for status, _ in rows] == ["cancelled"] * lost
    assert all("local-1" in said and "may have been paid for" in said for _, said in rows)


@pytest.mark.virtual_time
async def test_results_of_a_worker_that_was_taken_for_lost_are_told_and_not_kept_twice(
    tmp_path: Path,
) -> None:
    engine = LocalEngine(2)

    steps = iter([engine.cut_off, engine.reconnect])

    def cut(event: Event) -> None:
        is_first = isinstance(event, RunObserved) and not engine.is_cut_off("local-1")
        if is_first or isinstance(event, RunFinished):
            for step in steps:
                step("local-1")
                break

    study = write_study(tmp_path / "study", "reports", code=AGENTS + REPORTS)
    runner = await run(study, engine, tmp_path / "there", cut)
    assert runner.summary.succeeded == 4
    assert len(tables(tmp_path / "there")["runs"]) == 4
    leasing: Any = runner._attempts
    assert leasing.late == 2


REPORTS = """

async def reports(ctx):
    ctx.observe("step", "begun")
    await anyio.sleep(1)
    return "x"
"""


@pytest.mark.virtual_time
async def test_an_answer_whose_worker_is_lost_while_it_is_scored_is_only_scored_again(
    tmp_path: Path,
) -> None:
    engine = LocalEngine(2)
    answers: list[int] = []

    def kill(event: Event) -> None:
        if isinstance(event, RunAnswered):
            answers.append(event.result.attempt)
            if len(answers) == 4:
                engine.kill("local-1")

    study = write_study(tmp_path / "study", "solve", grade="slow_grade")
    runner = await run(study, engine, tmp_path / "there", kill)
    summary = runner.summary
    assert answers == [1, 1, 1, 1]
    assert (summary.succeeded, summary.attempts, summary.session.started) == (4, 4, 4)
    assert summary.cost_usd == 4 * 0.25
    assert len(tables(tmp_path / "there")["evaluations"]) == 4


@pytest.mark.virtual_time
async def test_an_engine_without_workers_to_come_stops_the_study_and_no_run_has_failed(
    tmp_path: Path,
) -> None:
    study = write_study(tmp_path / "study", "for_ever")
    runner = await run(study, _Ending(1, capacity=1), tmp_path / "there")
    summary = runner.summary
    assert summary.stopped_because == "no worker is left"
    assert (summary.failed, summary.remaining, summary.attempts) == (0, 4, 1)
    with StoreReader(tmp_path / "there") as store:
        kinds = list(store.table("SELECT status, error_kind FROM attempts"))

    assert kinds == [("cancelled", "WorkerLostError")]


class _Ending(LocalEngine):
    async def incoming(self) -> AsyncIterator[Arrival]:
        yield await self._arrived.receive()
        await anyio.sleep(1)
        raise EngineError("no worker is left")


@pytest.mark.virtual_time
async def test_a_run_that_ends_its_workers_is_found_and_fails_alone(tmp_path: Path) -> None:
    engine = LocalEngine(1)

    def kill(event: Event) -> None:
        if isinstance(event, RunObserved):  # as the first run does, whoever makes it
            (name,) = engine.hosts
            engine.kill(name)
            engine.add()

    study = write_study(tmp_path / "study", "poison", code=AGENTS + POISON, replicates=2)
    runner = await run(study, engine, tmp_path / "there", kill)
    summary = runner.summary
    assert (summary.succeeded, summary.failed) == (7, 1)
    (failed,) = [row for row in tables(tmp_path / "there")["runs"] if row["status"] == "failed"]
    assert failed["error_info"].startswith("WorkerLostError: ")
    assert (failed["run_id"], failed["problem_id"]) == (runner.plan[0].run_id, "p1")


POISON = """

async def poison(ctx):
    await anyio.sleep(1)
    if ctx.spec.position == 0:
        ctx.observe("step", "about to end the worker")
        await anyio.sleep_forever()

    await anyio.sleep(1)
    return "x"
"""


@pytest.mark.virtual_time
async def test_a_worker_that_hears_nothing_of_its_driver_cancels_everything(
    tmp_path: Path,
) -> None:
    engine = LocalEngine(1)
    started: list[Event] = []

    def cut(event: Event) -> None:
        if isinstance(event, RunObserved) and not started:
            started.append(event)
            engine.cut_off("local-1")
            engine.add()

    study = write_study(tmp_path / "study", "forever", code=AGENTS + FOREVER)
    runner = await run(study, engine, tmp_path / "there", cut)
    assert runner.summary.succeeded == 4
    assert engine.hosts["local-1"].in_flight == 0


FOREVER = """

async def forever(ctx):
    ctx.observe("step", "begun")
    await anyio.sleep(100 if ctx.attempt == 1 else 60)
    return str(ctx.attempt)
"""


@pytest.mark.virtual_time
async def test_a_cancelled_study_cancels_its_runs_where_they_are_made(tmp_path: Path) -> None:
    engine = LocalEngine(2)

    def cancel(event: Event) -> None:
        if isinstance(event, RunStarted) and event.spec.position == 3:
            runner.cancel()

    study = write_study(tmp_path / "study", "for_ever")
    runner = ps.StudyRunner(study, engine=engine, output_dir=tmp_path / "there")
    runner.on(cancel)
    await runner.run()
    assert runner.summary.remaining == 4
    assert not any(host.in_flight for host in engine.hosts.values())


async def test_a_run_that_fails_is_tried_again_as_often_as_without_workers(
    tmp_path: Path,
) -> None:
    study = write_study(tmp_path / "study", "fails")
    retry = ps.Retry(attempts=3, wait_s=0)
    runner = await run(study, LocalEngine(1), tmp_path / "there", retry=retry)
    assert (runner.summary.failed, runner.summary.attempts) == (4, 12)


@pytest.mark.virtual_time
async def test_a_worker_whose_code_differs_is_refused_and_the_study_stops(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", "solve")
    runner = ps.StudyRunner(study, engine=LocalEngine(1), output_dir=tmp_path / "there")
    code = AGENTS.replace('"thinking"', '"thinking otherwise"').replace("len(str", "len(repr")
    (tmp_path / "study" / "agents.py").write_text(code)
    await runner.run()
    assert runner.cannot_go_on
    assert runner.summary.attempts == 0
    why = runner.summary.stopped_because or ""
    assert "agent 'solve'" in why
    assert "evaluator 'grade'" in why


async def test_what_hears_a_study_is_imported_by_its_driver_alone(tmp_path: Path) -> None:
    study, hearing = write_study(tmp_path / "study", "solve"), tmp_path / "study" / "hearing.py"
    study = study.model_copy(update={"subscribers": ("hearing.py:hear",)})
    hearing.write_text("async def hear(stream):\n    async for _ in stream:\n        pass\n")
    runner = ps.StudyRunner(study, engine=LocalEngine(), output_dir=tmp_path / "there")
    hearing.write_text("raise ImportError('it is not installed where workers are')")
    assert (await runner.run()).succeeded == 4


@pytest.mark.parametrize(
    "options",
    [{"agent_bindings": {"solve": print}}, {"problem_registry": {}}],
)
async def test_what_workers_cannot_do_is_refused_before_anything_is_run(
    tmp_path: Path, options: Any
) -> None:
    study = write_study(tmp_path / "study", "solve")
    (name,) = options
    with pytest.raises(ValidationError, match=name):
        ps.StudyRunner(study, engine=LocalEngine(1), output_dir=tmp_path / "there", **options)

    assert not (tmp_path / "there").exists()

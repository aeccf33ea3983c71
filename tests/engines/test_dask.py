"""Worker processes on this machine: the same tables, though one of them is killed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from time import sleep
from typing import Any

import anyio
import pytest
import structlog
from distributed.core import Status

import penstock as ps
from penstock.engines.boot import Boot
from penstock.engines.dask import DaskEngine
from penstock.engines.worker_processes import CAN_FORK, WorkerProcesses
from penstock.errors import EngineError, ValidationError
from penstock.store.reader import StoreReader
from tests.engines.studies import AGENTS, tables, write_study

pytestmark = pytest.mark.anyio

KILLER = """

async def killer(ctx):
    import os, signal, sys

    spec = sys.modules["__main__"].__spec__
    is_worker = spec is not None and spec.name == "penstock.engines.dask_process"
    if is_worker and ctx.attempt == 1:
        if ctx.spec.position == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        elif ctx.spec.position == 1:
            os._exit(1)

    return str(ctx.rng.integers(10**6))
"""


async def test_a_study_that_kills_a_worker_has_the_tables_that_it_has_without_workers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = write_study(tmp_path / "study", "killer", "solve", code=AGENTS + KILLER)
    runner = ps.StudyRunner(study, workers=2, output_dir=tmp_path / "there")
    summary = await runner.run()
    assert (summary.succeeded, summary.failed, summary.stopped_because) == (8, 0, None)
    lost = summary.session.cancelled
    assert lost > 0
    assert summary.attempts == summary.session.started == 8 + lost
    with StoreReader(tmp_path / "there") as store:
        told = "SELECT error_kind FROM attempts WHERE status = 'cancelled'"
        assert list(store.table(told)) == [("WorkerLostError",)] * lost

    if CAN_FORK:
        said = "".join(capfd.readouterr())
        assert "worker.process_ended" in said
        assert "SIGKILL" in said or "exit code 1" in said  # which comes first ends the other's too

    code = AGENTS + KILLER.replace("is_worker and", "False and")
    same = write_study(tmp_path / "study", "killer", "solve", code=code)
    await ps.StudyRunner(same, output_dir=tmp_path / "here").run()
    here, there = tables(tmp_path / "here"), tables(tmp_path / "there")
    for event in [*here["events"], *there["events"]]:
        event["meta_json"] = ""  # it tells the attempt

    assert there == here


STOPS = """

async def stops(ctx):
    if ctx.spec.position == 0 and ctx.attempt == 1:
        import asyncio

        asyncio.get_running_loop().stop()

    await anyio.sleep(0.2)
    return "x"
"""


async def test_a_worker_whose_agent_stops_its_event_loop_begins_anew_and_no_run_waits_for_it(
    tmp_path: Path,
) -> None:
    study = write_study(tmp_path / "study", "stops", code=AGENTS + STOPS)
    runner = ps.StudyRunner(study, workers=1, concurrency=4, output_dir=tmp_path / "there")
    with anyio.fail_after(60):
        summary = await runner.run()

    assert (summary.succeeded, summary.failed, summary.session.cancelled) == (4, 0, 4)


CRASHES = """
import os

if "penstock.engines.dask_process" in getattr(__import__("__main__").__spec__, "name", ""):
    os.abort()


async def crashes(ctx):
    return "x"
"""


async def test_workers_that_crash_while_they_load_the_study_stop_it_and_leave_its_runs(
    tmp_path: Path,
) -> None:
    study = write_study(tmp_path / "study", "crashes", code=AGENTS + CRASHES)
    runner = ps.StudyRunner(study, workers=1, output_dir=tmp_path / "there")
    summary = await runner.run()
    assert "ended while they loaded the study" in str(summary.stopped_because)
    assert (summary.attempts, summary.failed, summary.remaining) == (0, 0, 4)


async def test_a_worker_in_which_the_studys_code_exits_is_refused(tmp_path: Path) -> None:
    code = AGENTS + CRASHES.replace("import os\n", "import sys\n").replace(
        "os.abort()", "sys.exit(3)"
    )
    study = write_study(tmp_path / "study", "crashes", code=code)
    runner = ps.StudyRunner(study, workers=1, output_dir=tmp_path / "there")
    with anyio.fail_after(60):
        summary = await runner.run()

    assert "worker-1 cannot run this study: SystemExit: 3" in str(summary.stopped_because)
    assert (summary.attempts, summary.failed, summary.remaining) == (0, 0, 4)


def test_a_scheduler_without_tls_is_refused() -> None:
    with pytest.raises(ValidationError, match="tls://"):
        DaskEngine("tcp://127.0.0.1:8786")


def test_where_distributed_is_missing_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValidationError, match=r"penstock\[dask\]"):
        DaskEngine()


async def test_a_cluster_that_cannot_be_reached_is_an_error_before_anything_is_run(
    tmp_path: Path,
) -> None:
    study = write_study(tmp_path / "study", "solve")
    engine = DaskEngine("tls://127.0.0.1:1")
    runner = ps.StudyRunner(study, engine=engine, output_dir=tmp_path / "there")
    with pytest.raises(EngineError, match=r"tls://127\.0\.0\.1:1 .* no certificate is configured"):
        await runner.run()

    assert runner.summary.session.started == 0


async def test_an_engine_that_cannot_leave_word_for_others_ends_what_it_has_begun(
    tmp_path: Path,
) -> None:
    engine: Any = DaskEngine(rendezvous=tmp_path / "missing" / ".workers.json")
    with pytest.raises(OSError, match=r"\.workers\.json"):
        await engine.start(Boot(study="{}", base_dir=None, study_file=None, fingerprint=""))

    assert engine._own._scheduler.status == Status.closed


def test_no_more_workers_are_started_than_there_are_runs(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", "solve")
    runner: Any = ps.StudyRunner(study, workers=1000, output_dir=tmp_path / "there")
    assert runner._attempts._engine._workers == len(runner.plan) == 4


async def test_who_asks_for_many_more_workers_than_cores_is_told_what_they_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with structlog.testing.capture_logs() as logs:
        for count in (8, 9):
            await WorkerProcesses(count).aclose()

    assert [(log["event"], log["workers"]) for log in logs] == [("worker.many", 9)]


HOLDS = """
import json
import os
import re
from pathlib import Path

import psutil


async def holds(ctx):
    sockets = psutil.Process().net_connections()
    hosts = [each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN]
    ctx.log.info("agent.is_shy")
    ctx.log.warning("agent.is_loud")
    Path(__file__).with_name("told").write_text(json.dumps([os.getpid(), hosts]))
    re.match(r"(a+)+$", "a" * 60 + "b")  # no other thread of this process runs until it is over
"""


@pytest.mark.skipif(not CAN_FORK, reason="elsewhere the system ends no process with its parent")
async def test_a_worker_ends_with_the_study_though_its_agent_lets_no_thread_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", StringIO())  # as in a notebook, whose has no number
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    study = write_study(tmp_path / "study", "holds", code=AGENTS + HOLDS)
    options: Any = {"workers": 1, "concurrency": 1, "grace_s": 0.0, "stall_threshold_s": None}
    runner = ps.StudyRunner(study, output_dir=tmp_path / "there", **options)
    told = tmp_path / "study" / "told"
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        await anyio.to_thread.run_sync(_until, lambda: told.exists() and told.read_text())
        runner.cancel("that is enough")

    structlog.reset_defaults()
    out, err = capfd.readouterr()
    assert "agent.is_loud" in out + err
    assert "agent.is_shy" not in out + err
    pid, hosts = json.loads(told.read_text())
    assert hosts == ["127.0.0.1"]
    process = Path("/proc", str(pid), "cmdline")
    _until(lambda: not process.exists() or not process.read_bytes())  # empty where it has ended


def _until(is_so: Callable[[], object]) -> None:
    while not is_so():
        sleep(0.02)

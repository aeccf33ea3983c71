"""Two at once, locks that a crash left, and clocks that step."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import DirectoryInUseError
from penstock.events import Event, announcer
from penstock.running import attempt
from tests.faults.conftest import Prove, run_module
from tests.faults.study import RUNS, Calls, build_study, run, saved


def test_a_killed_session_is_known_as_such_also_where_its_pid_is_anothers_by_now(
    tmp_path: Path, cli: Any, proved: Prove
) -> None:
    results = tmp_path / "results"
    killed = run_module("tests.faults.child", results, tmp_path, PENSTOCK_FAULT="call:60:0")
    assert killed.returncode == -signal.SIGKILL
    assert (results / ".lock").exists()
    with closing(sqlite3.connect(results / "study.sqlite")) as store, store:
        store.execute("UPDATE session SET pid = ?", (os.getpid(),))

    said = cli("status", results).stderr
    assert "killed; process" in said
    assert "may have been paid for without a result" in said
    assert run_module("tests.faults.child", results, tmp_path).returncode == 0
    proved(
        "a lock that a crash left, its pid another's by now",
        "recognised: the system released the lock; `status` says killed, the next run goes on",
        "{n:.0f} case",
        n=1,
    )


@pytest.mark.anyio
async def test_a_second_runner_is_refused_while_the_first_runs(
    tmp_path: Path, proved: Prove
) -> None:
    refused: list[str] = []

    async def agent(ctx: ps.RunContext) -> str:
        if not refused:
            second = ps.StudyRunner(
                build_study(), agent_bindings={"agent": agent}, output_dir=tmp_path
            )
            try:
                await second.run()
            except DirectoryInUseError as error:
                refused.append(str(error))

        return "fine"

    runner = ps.StudyRunner(build_study(), agent_bindings={"agent": agent}, output_dir=tmp_path)
    summary = await runner.run()
    assert summary.succeeded == RUNS
    assert f"process {os.getpid()} on host" in refused[0]
    assert " since 20" in refused[0]
    proved(
        "two at once",
        "the second is refused at once: holder, host, since when",
        "{n:.0f} case",
        n=1,
    )


class SteppingClock(datetime):
    """A clock that an administrator sets back and forth."""

    reads = 0

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        cls.reads += 1
        return datetime.now(tz or UTC) + timedelta(days=365 if cls.reads % 2 else -365)


def test_a_clock_that_steps_changes_neither_durations_nor_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proved: Prove
) -> None:
    monkeypatch.setattr(attempt, "datetime", SteppingClock)
    monkeypatch.setattr(announcer, "datetime", SteppingClock)
    heard: list[Event] = []

    async def subscriber(stream: ps.EventStream) -> None:
        heard.extend([event async for event in stream])

    results = run(tmp_path, Calls().agent, subscribers=[subscriber])
    assert all(0 <= each.latency_s < 30 for each in results)
    assert [event.seq for event in heard] == sorted(event.seq for event in heard)
    assert len({event.at.year for event in heard}) > 1
    assert saved(tmp_path) == RUNS
    proved(
        "a clock that steps a year back and forth",
        "durations are of a monotonic clock, order is by sequence",
        "{runs:.0f} runs, {steps:.0f} steps",
        runs=RUNS,
        steps=SteppingClock.reads,
    )

"""The watchdog, in real event loops: what blocks them does so until it is seen."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import structlog

import penstock as ps
from penstock.events import LoopStalled, RunsSaved, RunStarted
from penstock.running.watchdog import watching
from penstock.running.watchdog.watching import Sight, Watchdog
from tests.builders import make_study
from tests.children import start_python

pytestmark = pytest.mark.anyio

AT_MOST_S = 20.0
structlog.get_logger()  # what the log imports late, and would be a stall on a busy machine
HERE = Path(__file__).name


def block(watchdog: Watchdog) -> None:
    """Hold the loop as a call to a slow service does, until the watchdog has seen it."""
    give_up_at = time.monotonic() + AT_MOST_S
    while watchdog._seen is None and time.monotonic() < give_up_at:
        time.sleep(0.01)


def compute(watchdog: Watchdog) -> None:
    """Hold the loop as a long computation does."""
    give_up_at = time.monotonic() + AT_MOST_S
    while watchdog._seen is None and time.monotonic() < give_up_at:
        sum(range(1000))


def of(hold: Callable[..., None], stalls: list[Any]) -> list[Any]:
    """The stalls in that function: a busy machine may make others, of slow imports, say."""
    return [stall for stall in stalls if f"{__name__}:{hold.__name__} (" in stall.culprit]


def watchdogs() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "penstock-watchdog"]


def make_runner(agent: Any, folder: Path, **options: Any) -> tuple[ps.StudyRunner, list[Any]]:
    """A runner, and the stalls that will be heard."""
    given = {"replicates": options.pop("replicates", 1)}
    runner = ps.StudyRunner(
        make_study(**given), agent_bindings={"agent-a": agent}, output_dir=folder, **options
    )
    stalls: list[Any] = []
    runner.on(LoopStalled)(stalls.append)
    return runner, stalls


def watchdog_of(runner: ps.StudyRunner) -> Watchdog:
    assert runner._stalls._watchdog is not None
    return runner._stalls._watchdog


@pytest.mark.parametrize("hold", [block, compute])
async def test_an_agent_that_blocks_is_named_with_its_file_line_and_run(
    tmp_path: Path, hold: Callable[[Watchdog], None]
) -> None:
    blocked: list[str] = []

    async def agent(ctx: ps.RunContext) -> str:
        await anyio.lowlevel.checkpoint()
        if not blocked:
            blocked.append(ctx.spec.run_id)
            hold(watchdog_of(runner))

        return "done"

    runner, stalls = make_runner(agent, tmp_path)
    await runner.run()

    (stall,) = of(hold, stalls)
    assert stall.run_id == blocked[0]
    assert stall.subscriber is None
    assert stall.duration_s >= 0.1
    line = hold.__code__.co_firstlineno + 1
    assert HERE in stall.culprit
    assert "in agent\n    hold(watchdog_of(runner))" in stall.stack
    assert line < int(stall.culprit.rpartition(":")[2].rstrip(")")) < line + 5


@pytest.mark.field("studies-B1")
async def test_a_stall_that_lasts_is_logged_while_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_LASTS_S", 0.0)

    def blocked() -> list[Any]:
        return [each for each in logs if each["event"] == "loop.blocked" and HERE in str(each)]

    def hold() -> None:
        give_up_at = time.monotonic() + AT_MOST_S
        while not blocked() and time.monotonic() < give_up_at:
            time.sleep(0.01)

    async def agent(_ctx: ps.RunContext) -> str:
        await anyio.lowlevel.checkpoint()
        if not logged:
            hold()
            logged.extend(blocked())

        return "done"

    logged: list[Any] = []
    with structlog.testing.capture_logs() as logs:
        runner, _ = make_runner(agent, tmp_path)
        await runner.run()

    assert "hold (" in logged[0]["culprit"]
    assert logged[0]["run_id"] in {each.run_id for each in runner.plan}
    assert logged[0]["lasts_s"] >= 0.1


async def test_a_listener_that_blocks_is_named(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        while not of(block, stalls) and ctx.started_order > 1:
            await anyio.lowlevel.checkpoint()

        return "done"

    async def slow(stream: ps.EventStream) -> None:
        async for _ in stream:
            if not of(block, stalls):
                block(watchdog_of(runner))

    runner, stalls = make_runner(agent, tmp_path)
    runner.subscribe(slow, RunsSaved)
    await runner.run()

    stall = of(block, stalls)[0]
    assert (stall.run_id, stall.subscriber) == (None, f"{__name__}.{slow.__qualname__}")


async def test_two_studies_in_one_loop_both_say_so_and_one_of_them_knows_the_run(
    tmp_path: Path,
) -> None:
    first_run: list[str] = []

    async def blocks(ctx: ps.RunContext) -> str:
        await anyio.lowlevel.checkpoint()
        if not first_run:
            first_run.append(ctx.spec.run_id)
            for runner in (first, second):
                block(watchdog_of(runner))

        return "done"

    async def waits(_ctx: ps.RunContext) -> str:
        while not of(block, heard):
            await anyio.lowlevel.checkpoint()

        return "done"

    first, stalls = make_runner(blocks, tmp_path / "first")
    second, heard = make_runner(waits, tmp_path / "second")
    async with anyio.create_task_group() as group:
        group.start_soon(second.run)
        with second.watch(RunStarted) as started:
            await anext(started)

        group.start_soon(first.run)

    assert {stall.run_id for stall in of(block, stalls)} == set(first_run)
    assert {stall.run_id for stall in of(block, heard)} == {None}
    assert watchdogs() == []


async def test_a_quiet_study_says_nothing_and_its_thread_ends_with_it(tmp_path: Path) -> None:
    at_work: list[int] = []

    async def agent(_ctx: ps.RunContext) -> str:
        at_work.append(len(watchdogs()))
        await anyio.sleep(0.01)
        return "done"

    # So long that a machine, however busy, does not take it for a stall.
    runner, stalls = make_runner(agent, tmp_path, replicates=20, stall_threshold_s=AT_MOST_S)
    await runner.run()

    assert stalls == []
    assert set(at_work) == {1}
    assert watchdogs() == []


async def test_no_watch_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    at_work: list[int] = []

    async def agent(_ctx: ps.RunContext) -> str:
        at_work.append(len(watchdogs()))
        return "done"

    runner, stalls = make_runner(agent, tmp_path, stall_threshold_s=None)
    await runner.run()

    assert (stalls, set(at_work)) == ([], {0})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (0, "stall_threshold_s: Input should be greater than 0"),
        (-1, "stall_threshold_s: Input should be greater than 0"),
        (float("nan"), "stall_threshold_s: Input should be greater than 0"),
        (float("inf"), "stall_threshold_s must be > 0 or None, not inf"),
    ],
)
def test_a_threshold_is_a_length_of_time(tmp_path: Path, wrong: float, said: str) -> None:
    with pytest.raises(ps.ValidationError, match=said):
        make_runner(lambda ctx: "done", tmp_path, stall_threshold_s=wrong)


async def test_the_thread_ends_with_a_study_that_is_cancelled(tmp_path: Path) -> None:
    async def agent(_ctx: ps.RunContext) -> None:
        await anyio.sleep_forever()

    runner, _ = make_runner(agent, tmp_path, grace_s=0.01)
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        with runner.watch(RunStarted) as started:
            await anext(started)

        assert len(watchdogs()) == 1
        group.cancel_scope.cancel()

    assert watchdogs() == []


async def test_one_stall_is_said_once_however_long_it_lasts() -> None:
    said: list[float] = []
    watchdog = Watchdog(0.02)
    with watchdog.watching(lambda task: task, lambda duration_s, _: said.append(duration_s)):
        await anyio.lowlevel.checkpoint()
        block(watchdog)
        seen_at = time.monotonic()
        while time.monotonic() - seen_at < 0.1:  # it goes on for a while
            sum(range(1000))

        while not said:
            await anyio.lowlevel.checkpoint()

        for _ in range(100):
            await anyio.lowlevel.checkpoint()

    assert len([each for each in said if each >= 0.1]) == 1


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="garbage waits until a frame is made")
async def test_no_garbage_is_collected_while_frames_of_another_thread_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python 3.11 hangs or crashes otherwise, some time."""
    was_enabled: list[bool] = []
    look = sys._current_frames

    def looked() -> dict[int, Any]:
        was_enabled.append(gc.isenabled())
        return look()

    monkeypatch.setattr(sys, "_current_frames", looked)
    with Watchdog(0.02).watching(lambda task: task, lambda _, __: None):
        while not was_enabled:
            await anyio.lowlevel.checkpoint()

    assert not any(was_enabled)
    assert gc.isenabled()


async def test_a_callback_of_the_host_is_named_too() -> None:
    seen: list[Sight] = []
    watchdog = Watchdog(0.05)
    with watchdog.watching(lambda task: task, lambda _, sight: seen.append(sight)):
        await anyio.lowlevel.checkpoint()
        compute(watchdog)
        while not seen:
            await anyio.lowlevel.checkpoint()

    assert f"{__name__}:compute (" in seen[0].culprit
    assert seen[0].who is not None
    assert seen[0].stack.count("run_forever") == 0, "what runs the loop is left out"


STOPPED = """
import sys, time
import anyio
from penstock.running.watchdog import watching
from penstock.running.watchdog.watching import Watchdog

async def main():
    said = []
    watchdog = Watchdog(0.1)
    with watchdog.watching(lambda task: None, lambda duration_s, sight: said.append(sight.culprit)):
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        for _ in range(20):
            await anyio.sleep(0.02)

    print(said, flush=True)

anyio.run(main)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="POSIX only")
def test_a_process_that_was_stopped_has_not_stalled() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with start_python("-c", STOPPED, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(5):
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(0.3)  # how long it is stopped
            os.kill(process.pid, signal.SIGCONT)

        process.stdin.write("\n")
        process.stdin.close()
        assert process.stdout.readline() == "[]\n"

"""The commands that look at a study which another process, or thread, runs, and act on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import penstock as ps
from penstock.cli import watching
from penstock.cli.watching import Watching
from penstock.control.address import CAN_LISTEN, read_address
from penstock.control.connection import Client, LostStudyError
from penstock.control.protocol import Snapshot
from penstock.store.actions import actions
from penstock.store.reader import StoreReader
from penstock.store.unblinding import is_blind
from penstock.study.hypotheses import Hypothesis
from tests.builders import make_study
from tests.command_line import StudyFolder, json_lines, read_until

pytestmark = pytest.mark.skipif(not CAN_LISTEN, reason="needs sockets of one user")

CLAIM = Hypothesis(hypothesis_id="h", label="h", statement="a beats b")


class Elsewhere:
    """A study that another thread runs; its runs end when it is let go, paused or stopped.

    Where it is held, they end when it is let go alone.
    """

    def __init__(self, results: Path, *, is_held: bool = False, **options: Any) -> None:
        self.is_held = is_held
        self.let_go = threading.Event()
        self.begun = threading.Event()
        self.runner = ps.StudyRunner(
            make_study(replicates=4, hypotheses=(CLAIM,)),
            agent_bindings={"agent-a": self.agent},
            output_dir=results,
            show_progress=False,
            **{"control": True, "concurrency": 2, **options},
        )

    async def agent(self, ctx: ps.RunContext) -> str:
        steering = self.runner.steering
        while not self.let_go.is_set():
            if (steering.is_paused or steering.is_stopped) and not self.is_held:
                break

            if read_address(self.runner.output_dir) or not self.runner.execution.control:
                self.begun.set()

            await anyio.sleep(0.002)

        return "42"

    @contextmanager
    def running(self) -> Iterator[ps.StudyRunner]:
        thread = threading.Thread(target=anyio.run, args=(self.runner.run,))
        thread.start()
        try:
            assert self.begun.wait(30)
            yield self.runner
        finally:
            self.let_go.set()
            thread.join(30)


def kept(results: Path) -> list[tuple[str, str]]:
    with StoreReader(results) as store:
        return [(each.what, each.reason) for each in actions(store)]


def test_what_is_in_flight_is_cancelled_at_once_where_a_person_says_so(
    tmp_path: Path, cli: Any
) -> None:
    study = Elsewhere(tmp_path, concurrency=1)
    begun: list[int] = []

    async def agent(ctx: ps.RunContext) -> str:
        begun.append(ctx.attempt)
        study.begun.set()
        if len(begun) == 1:
            await anyio.sleep_forever()

        return "42"

    runner = ps.StudyRunner(
        make_study(),
        agent_bindings={"agent-a": agent},
        output_dir=tmp_path,
        show_progress=False,
        control=True,
        concurrency=1,
    )
    study.runner = runner
    with study.running():
        while read_address(tmp_path) is None:
            pass

        paused = cli("pause", tmp_path, "--now", "--reason", "the bill")
        assert paused.exit_code == 0
        assert f"penstock resume {tmp_path}" in paused.stderr
        assert cli("resume", tmp_path).exit_code == 0

    assert begun == [1, 2, 1]
    assert kept(tmp_path) == [("pause now", "the bill"), ("resume", "")]


def test_a_study_is_paused_until_nothing_is_in_flight_and_then_goes_on(
    tmp_path: Path, cli: Any
) -> None:
    study = Elsewhere(tmp_path)
    with study.running() as runner:
        paused = cli("pause", tmp_path, "--reason", "the night", "--json")
        (acted,) = json_lines(paused.stdout)

        assert paused.exit_code == 0
        assert (acted["event"], acted["what"], acted["in_flight"]) == ("action", "pause", 0)
        assert acted["is_paused"]
        assert f"penstock resume {tmp_path}" in paused.stderr
        assert runner.summary.succeeded == 2
        told = cli("status", tmp_path).stderr
        assert re.search(r"Paused .* UTC by .*@.* with 0 of 8 runs ended: the night\n", told)
        (standing,) = json_lines(cli("status", tmp_path, "--json").stdout)
        assert standing["state"] == "paused"

        assert cli("resume", tmp_path).exit_code == 0
        (standing,) = json_lines(cli("status", tmp_path, "--json").stdout)
        assert (standing["paused"], standing["state"]) == ("", "running")

    assert runner.summary.succeeded == 8
    assert kept(tmp_path) == [("pause", "the night"), ("resume", "")]


def test_what_is_set_is_told_and_what_cannot_be_set_is_refused(tmp_path: Path, cli: Any) -> None:
    with Elsewhere(tmp_path).running() as runner:
        done = cli("set", tmp_path, "execution.concurrency=3", "execution.retry.on=[TimeoutError]")
        assert done.exit_code == 0
        assert "execution.concurrency is 3 now" in done.stderr
        assert runner.concurrency == 3
        assert runner.execution.retry.on == ("TimeoutError",)

        refused = cli("set", tmp_path, "concurrency=3", "execution.timeout_s=null")
        assert refused.exit_code == 3
        assert "did you mean execution.concurrency?" in refused.stderr

    for wrong in ([tmp_path], [tmp_path, "concurrency"], [tmp_path, "a=[1"], ["=3"]):
        assert cli("set", *wrong).exit_code == 2


def test_a_study_is_watched_until_its_session_ends(tmp_path: Path, cli: Any) -> None:
    study = Elsewhere(tmp_path)
    with study.running() as runner:
        threading.Timer(0.05, study.let_go.set).start()
        watched = cli("watch", tmp_path, "--json")

    lines = json_lines(watched.stdout)
    assert watched.exit_code == 0
    assert lines[0]["event"] == "watch"
    assert lines[0]["pid"] == os.getpid()
    assert (lines[-1]["state"], lines[-1]["succeeded"]) == ("complete", 8)
    assert runner.summary.succeeded == 8


def test_a_study_that_is_watched_by_a_person_shows_what_run_shows(tmp_path: Path, cli: Any) -> None:
    study = Elsewhere(tmp_path)
    with study.running():
        threading.Timer(0.05, study.let_go.set).start()
        watched = cli("watch", tmp_path)

    assert watched.exit_code == 0
    assert "tested: " in watched.stderr
    assert "8/8 done" in watched.stderr
    assert "8 succeeded, 0 failed" in watched.stderr


def test_a_study_that_does_not_listen_is_watched_in_its_store_and_not_acted_on(
    tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.cli.watching._READ_S", 0.01)
    study = Elsewhere(tmp_path, control=False)
    with study.running():
        refused = cli("pause", tmp_path)
        threading.Timer(0.05, study.let_go.set).start()
        watched = cli("watch", tmp_path, "--json")

    assert refused.exit_code == 3
    assert "does not listen" in refused.stderr
    assert watched.exit_code == 0
    assert json_lines(watched.stdout)[-1]["state"] == "complete"


def test_a_study_is_stopped_and_a_stop_for_good_shows_what_conditions_came_to(
    tmp_path: Path, cli: Any
) -> None:
    with Elsewhere(tmp_path).running() as runner:
        stopped = cli("stop", tmp_path, "--for-good", "--reason", "no money")
        assert stopped.exit_code == 0
        assert "tested is stopped; 6 of 8 runs are left" in stopped.stderr

    assert runner.summary.succeeded == 2
    assert kept(tmp_path) == [("stop for good", "no money")]


def test_where_a_study_stands_that_has_ended_before_it_was_told_is_read_from_its_store(
    tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Elsewhere(tmp_path, is_held=True)

    async def lost(_: Client) -> AsyncIterator[Snapshot]:
        study.let_go.set()
        while not study.runner.bus.is_closed:  # noqa: ASYNC110 - it is another loop's
            await anyio.sleep(0.002)

        raise LostStudyError("the connection is lost")
        yield  # type: ignore[unreachable]

    monkeypatch.setattr(Client, "watch", lost)
    with study.running():
        stopped = cli("stop", tmp_path)

    assert stopped.exit_code == 0
    assert "tested is stopped; 6 of 8 runs are left" in stopped.stderr


COMMANDS = (
    ("pause", (), ()),
    ("resume", (), ()),
    ("stop", (), ()),
    ("set", (), ("execution.concurrency=3",)),
    ("watch", (), ()),
)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a study in Python, of which runs are left."""
    results = tmp_path_factory.mktemp("left")
    ps.run_study(
        make_study(replicates=4, hypotheses=(CLAIM,)),
        agent_bindings={"agent-a": lambda ctx: "42"},
        output_dir=results,
        show_progress=False,
        report=False,
        only=ps.Selection(limit=2),
    )
    return results


@pytest.mark.parametrize(("command", "before", "after"), COMMANDS, ids=[c[0] for c in COMMANDS])
def test_where_no_process_runs_a_study_each_command_says_so_and_what_goes_on(
    left: Path, cli: Any, command: str, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    said = cli(command, *before, left, *after)

    assert said.exit_code == 4
    assert f"no process runs the study of {left}" in said.stderr
    assert "2 of 8 runs are made" in said.stderr
    assert "to go on: run the Python code again that made it" in said.stderr


def test_what_needs_no_process_is_done_where_none_runs(left: Path, cli: Any) -> None:
    with StoreReader(left) as store:
        assert is_blind(store, store.study())

    assert cli("unblind", left, "--reason", " ").exit_code == 3
    shown = cli("unblind", left, "--reason", "to see")
    assert shown.exit_code == 0
    assert "shown from now on" in shown.stderr
    assert "not withheld" in cli("unblind", left, "--reason", "again").stderr
    ended = cli("stop", left, "--for-good")
    assert ended.exit_code == 0
    assert "it counts as ended; 6 runs are left" in ended.stderr
    assert kept(left) == [("unblind", "to see"), ("stop for good", "")]


def test_a_directory_that_holds_no_study_is_refused(tmp_path: Path, cli: Any) -> None:
    said = cli("pause", tmp_path)

    assert said.exit_code == 4
    assert "holds no study" in said.stderr


@pytest.fixture
def child(folder: StudyFolder) -> Iterator[subprocess.Popen[str]]:
    """A process whose runs are in flight, and that listens."""
    folder.set_up(free_replicates=0)
    process = folder.start()
    try:
        read_until(process, "held")
        while read_address(folder.results) is None:
            assert process.poll() is None

        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_a_run_that_is_stopped_from_elsewhere_says_who_did_and_ends_with_130(
    folder: StudyFolder, child: subprocess.Popen[str], cli: Any
) -> None:
    assert cli("stop", folder.results, "--now", "--reason", "enough").exit_code == 0
    _, err = child.communicate(timeout=60)

    assert child.returncode == 130
    assert "tones: stopped by " in err
    assert f"to go on: penstock run {folder.results}" in cli("watch", folder.results).stderr


def test_a_process_that_is_killed_while_it_is_watched_is_missed_at_once(
    folder: StudyFolder,
    child: subprocess.Popen[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    show = Watching._show

    def kill(self: Watching, *args: Any) -> None:
        show(self, *args)
        child.kill()
        child.wait(60)

    monkeypatch.setattr(Watching, "_show", kill)
    code = anyio.run(Watching(folder.results, json=True, waits=False).run)

    assert code == 4
    shown = capfd.readouterr()
    assert [each["state"] for each in json_lines(shown.out)][-1] == "killed"
    assert "the process that ran the study has gone" in shown.err
    assert f"to go on: penstock run {folder.results}" in shown.err


def test_three_who_watch_miss_a_runner_that_is_killed_and_see_the_next_one(
    folder: StudyFolder, child: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for how_often in ("_LOOK_S", "_READ_S"):
        monkeypatch.setattr(watching, how_often, 0.01)

    monkeypatch.syspath_prepend(folder.path)
    monkeypatch.delitem(sys.modules, "sibling", raising=False)
    watchers = [Watching(folder.results, json=True, waits=True) for _ in range(3)]
    seen: dict[Watching, list[tuple[str, int | None]]] = {each: [] for each in watchers}
    codes: list[int] = []

    def emit(self: Watching, _: Any, state: str, pid: int | None = None, *__: Any) -> None:
        seen[self].append((state, pid))

    async def watch(watcher: Watching) -> None:
        codes.append(await watcher.run())

    async def until_all_saw(state: str, pid: int | None) -> None:
        with anyio.fail_after(60):
            while not all((state, pid) in each for each in seen.values()):
                await anyio.lowlevel.checkpoint()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for watcher in watchers:
                tasks.start_soon(watch, watcher)

            await until_all_saw("running", child.pid)
            child.kill()
            await until_all_saw("killed", None)
            options: dict[str, Any] = {"control": True, "show_progress": False, "report": False}
            runner = ps.StudyRunner(ps.load_study(folder.file), **options)
            tasks.start_soon(runner.run)
            await until_all_saw("running", os.getpid())
            (folder.path / "open").touch()

    monkeypatch.setattr(Watching, "_emit", emit)
    anyio.run(main)
    assert codes == [0, 0, 0]
    assert {each[-1] for each in seen.values()} == {("complete", os.getpid())}

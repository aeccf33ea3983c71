"""Signals at every phase, a parent that is gone, streams that are closed or full."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.children import run_python
from tests.command_line import StudyFolder, fill
from tests.faults.conftest import IS_LONG, Prove, environment
from tests.faults.study import saved

# Where the signal comes from: the study itself, at a point that it passes. So no test waits.
SIGNALLED = """
import os, signal, sys
from penstock.export import tables
from penstock.store.files import opening
from penstock.store import writer

point, number, times, *arguments = sys.argv[1:]


def before(owner, name):
    function = getattr(owner, name)
    left = [int(times)]

    def signalling(*arguments, **options):
        if left[0]:
            left[0] -= 1
            os.kill(os.getpid(), int(number))

        return function(*arguments, **options)

    setattr(owner, name, signalling)


if point == "import":
    os.kill(os.getpid(), int(number))
elif point == "open":
    before(opening, "_prepare")
elif point == "begin":
    before(writer.Store, "begin")
elif point == "save":
    before(writer.Store, "save")
elif point == "export":
    before(tables, "write_csv")
    before(tables, "_replaced")
elif point == "end":
    before(writer.Store, "end")

sys.argv[1:] = arguments
from penstock.cli import main
main()
"""


PHASES = ("open", "begin", "save", "export", "end")
SIGNALS = ((signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1), (signal.SIGHUP, 1))
EVERY = [(point, *sent) for sent in SIGNALS for point in PHASES]
IN_SHORT = EVERY[::3]  # every phase and every signal


@pytest.mark.parametrize(("point", "number", "times"), EVERY if IS_LONG else IN_SHORT)
def test_a_signal_at_any_phase_loses_nothing_and_the_next_run_goes_on(
    folder: StudyFolder, point: str, number: int, times: int, proved: Prove
) -> None:
    ended = signalled(folder, point, number, times)
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.returncode in (0, 130), ended.stderr
    assert folder.run("--no-progress").returncode == 0
    assert saved(folder.results) == folder.planned
    assert len(folder.calls()) == len(set(folder.calls())) == folder.planned
    proved(
        "SIGINT once and twice, SIGTERM, SIGHUP",
        "at every phase: what runs ends, is saved and exported; exit 130; nothing is lost or "
        "repeated",
        "{cases:.0f} cases",
        cases=1,
    )


def signalled(
    folder: StudyFolder, point: str, number: int, times: int
) -> subprocess.CompletedProcess[str]:
    return run_python(
        *("-c", SIGNALLED, point, int(number), times, "run", folder.file, "--no-progress"),
        cwd=folder.path,
        env=environment(),
    )


def test_a_study_started_with_nohup_ignores_a_hang_up(folder: StudyFolder) -> None:
    ended = subprocess.run(
        [
            *("nohup", sys.executable, "-c", SIGNALLED, "save", str(int(signal.SIGHUP)), "1"),
            *("run", str(folder.file), "--no-progress"),
        ],
        capture_output=True,
        text=True,
        cwd=folder.path,
        timeout=60,
        env=environment(),
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert saved(folder.results) == folder.planned


def test_a_study_whose_parent_is_gone_ends_as_it_should(folder: StudyFolder, proved: Prove) -> None:
    folder.set_up(free_replicates=0)
    command = folder.command("run", str(folder.file), "--json")
    parent = f"import subprocess, sys; subprocess.Popen({command!r}); sys.stdin.readline()"
    with subprocess.Popen(
        [sys.executable, "-c", parent],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder.path,
        env=environment(),
    ) as shell:
        assert shell.stdout is not None
        first = shell.stdout.readline()
        shell.kill()
        shell.wait()
        (folder.path / "open").touch()
        last = shell.stdout.read().splitlines()[-1]

    assert json.loads(first)["event"] == "launch"
    assert json.loads(last)["succeeded"] == 40
    assert saved(folder.results) == folder.planned
    proved("the parent shell is gone", "the study ends as it should", "{n:.0f} case", n=1)


@pytest.mark.parametrize("state", ["closed", "reader gone", "full"])
def test_a_stderr_that_takes_nothing_holds_nothing_up(
    folder: StudyFolder, state: str, proved: Prove
) -> None:
    reader, stderr = os.pipe()
    options: dict[str, Any] = {"stderr": stderr, "stdout": subprocess.DEVNULL}
    if state == "closed":
        options["preexec_fn"] = lambda: os.close(2)
    elif state == "full":
        fill(stderr)
    else:
        os.close(reader)

    folder.set_up(failing=["p2"])  # so that it has much to say
    with folder.start("--progress", **options) as study:
        assert study.wait(timeout=60) == 10

    os.close(stderr)
    if state != "reader gone":
        os.close(reader)

    assert saved(folder.results) == folder.planned // 2
    proved("stderr closed, its reader gone, or full", "the study goes on", "{n:.0f} cases", n=1)

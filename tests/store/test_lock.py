from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from penstock.errors import DirectoryInUseError
from penstock.store.files.lock import hold_directory, move_aside
from penstock.store.files.opening import open_store
from tests.builders import make_plan
from tests.children import start_python

HOLDING = """
import sys
from pathlib import Path
from penstock.store.files.lock import hold_directory

with hold_directory(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.anyio
async def test_a_second_runner_is_refused_with_the_pid_and_host_of_the_first(
    tmp_path: Path,
) -> None:
    async with open_store(tmp_path) as store:
        await store.begin(make_plan())

        with pytest.raises(DirectoryInUseError) as caught:
            async with open_store(tmp_path):
                pytest.fail("two hold one directory")

        await store.end("complete")

    assert f"is in use by process {os.getpid()} on host {socket.gethostname()}" in str(caught.value)


def test_another_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with start_python("-c", HOLDING, tmp_path, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"

        with (
            pytest.raises(DirectoryInUseError, match="another process that has just started"),
            hold_directory(tmp_path),
        ):
            pytest.fail("two hold one directory")

        process.kill()  # it has no chance to let go: the system does

    with hold_directory(tmp_path):
        assert (tmp_path / ".lock").exists()


def test_a_directory_can_be_held_again_and_two_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for _ in range(2):
        with hold_directory(tmp_path / "a"), hold_directory(tmp_path / "b"):
            pass


def test_a_directory_is_let_go_where_its_holder_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold_directory(tmp_path):
        raise ZeroDivisionError

    with hold_directory(tmp_path):
        pass


def test_moving_aside_keeps_everything(tmp_path: Path) -> None:
    directory = tmp_path / "results"
    directory.mkdir()
    (directory / "runs.csv").write_text("paid for")
    move_aside(directory)
    move_aside(directory)  # there is nothing left to move

    (aside,) = tmp_path.iterdir()
    assert aside.name.startswith("results.")
    assert (aside / "runs.csv").read_text() == "paid for"


def test_a_directory_in_use_is_not_moved_aside(tmp_path: Path) -> None:
    directory = tmp_path / "results"
    directory.mkdir()

    with hold_directory(directory), pytest.raises(DirectoryInUseError):
        move_aside(directory)

    assert directory.is_dir()

"""The processes of a job, told their ranks as a launcher tells them: what becomes of the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

from tests.children import COMMAND_LINE, start_python
from tests.engines.studies import write_study

AGENTS = """
import os
from pathlib import Path
from time import sleep

import anyio

here = Path(__file__).parent


async def waits(ctx):
    (here / f"begun-{ctx.spec.position}").write_text(str(os.getpid()))
    while not (here / "go").exists():
        await anyio.sleep(0.01)

    return "at last"


def grade(answer, ctx):
    return 1.0
"""


def until_begun(folder: Path) -> set[str]:
    """Wait until all runs have begun; return in which processes, and forget it."""
    files = [folder / f"begun-{position}" for position in range(4)]
    while not all(file.exists() and file.read_text() for file in files):
        sleep(0.02)

    processes = {file.read_text() for file in files}
    for file in files:
        file.unlink()

    return processes


def test_a_worker_outlives_a_driver_that_is_killed_and_ends_what_it_makes_when_it_is_told_to_leave(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "study"
    write_study(folder, "waits", code=AGENTS)
    command = (*COMMAND_LINE, "run", "study.yaml", "--engine", "dask", "--json")
    environment = {**os.environ, "WORLD_SIZE": "2"}
    # Not forked from a process of the tests: it runs its own command again.
    worker = subprocess.Popen(
        [sys.executable, *command], cwd=folder, env={**environment, "RANK": "1"}
    )
    driver = {"cwd": folder, "env": {**environment, "RANK": "0"}, "stdout": subprocess.PIPE}
    with worker, start_python(*command, **driver) as killed:
        until_begun(folder)
        killed.kill()
        with start_python(*command, **driver) as second:
            assert until_begun(folder) == {str(worker.pid)}
            worker.terminate()
            (folder / "go").touch()
            told, _ = second.communicate()

        assert worker.wait() == -signal.SIGTERM

    done = json.loads(told.splitlines()[-1])
    assert (second.returncode, done["succeeded"], done["session"]["cancelled"]) == (0, 4, 0)

"""A small study on disk, and ways to run the command line on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from penstock.cli import app
from tests.children import COMMAND_LINE, start_python

STUDY = """\
study_id: tones
title: Does tone matter
factors: [{name: tone, levels: [warm, cold]}]
agents: {worker: "agents.py:worker"}
problems: [{problem_id: p1, brief: one}, {problem_id: p2, brief: two}]
run_order: as_designed
run_budget: {replicates: 10, parallelism: 4}
output_dir: results
"""

AGENTS = """\
from pathlib import Path

import anyio

import sibling

HERE = Path(__file__).parent


async def worker(ctx):
    # What a test wants to see in flight: all but the first replicates, until it lets them go.
    if ctx.spec.replicate > sibling.FREE_REPLICATES:
        print("held", flush=True)
        while not (HERE / "open").exists():
            await anyio.sleep(0.01)

    await anyio.sleep(0.002)
    if ctx.problem.problem_id in sibling.FAILING:
        raise ValueError("no [/bold] \\x1b[31manswer")

    with (HERE / "calls").open("a") as calls:
        calls.write(ctx.spec.run_id + "\\n")

    print("answered", flush=True)
    return "yes"
"""


class StudyFolder:
    """A folder with a study file, its agents, and a module that they import."""

    planned = 40

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "study.yaml"
        self.results = path / "results"
        self.file.write_text(STUDY)
        (path / "agents.py").write_text(AGENTS)
        self.set_up()

    def set_up(self, *, failing: Sequence[str] = (), free_replicates: int = 10) -> None:
        text = f"FAILING = {tuple(failing)!r}\nFREE_REPLICATES = {free_replicates}\n"
        (self.path / "sibling.py").write_text(text)

    def calls(self) -> list[str]:
        return (self.path / "calls").read_text().split()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, *COMMAND_LINE, *arguments]

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return start_python(
            *COMMAND_LINE,
            "run",
            self.file,
            *arguments,
            **{**streams, **options},
            cwd=self.path,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StudyFolder]:
    yield StudyFolder(tmp_path)
    sys.modules.pop("sibling", None)  # of this folder: the agents of the next one have their own


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Call the command line in this process; what it changes in the process is undone."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("PENSTOCK_DEBUG", raising=False)
    modules = set(sys.modules)
    yield lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])
    structlog.reset_defaults()
    for name in set(sys.modules) - modules:
        if name == "sibling" or name.startswith("_penstock"):
            del sys.modules[name]


def read_until(process: subprocess.Popen[str], text: str, times: int = 1) -> None:
    assert process.stderr is not None
    seen = 0
    for line in process.stderr:
        seen += text in line
        if seen == times:
            return

    pytest.fail(f"{text!r} was not said {times} times before the end")


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def fill(descriptor: int) -> None:
    """Fill a pipe, so that the next write to it would wait for its reader."""
    os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"x" * 4096)

    os.set_blocking(descriptor, True)

"""What the tests of known defects share: running a small study, and looking at what it wrote."""

from __future__ import annotations

import csv
import os
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import Any

import penstock as ps
from penstock.run import run_study
from tests.children import start_python

ROOT = Path(__file__).parents[2]


def run(study: ps.Study, agent: Any, output_dir: Path, **options: Any) -> ps.StudyResult:
    """Run a study to its end; every agent that it names is the given one."""
    bindings = agent if isinstance(agent, Mapping) else dict.fromkeys(study.agent_specs, agent)
    return run_study(
        study, agent_bindings=bindings, output_dir=output_dir, show_progress=False, **options
    )


def read(path: Path) -> list[dict[str, str]]:
    """Read a table as anybody's script would."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def query(directory: Path, sql: str) -> list[Any]:
    """Ask the store of a study as any SQL tool would."""
    with closing(sqlite3.connect(f"file:{directory}/study.sqlite?mode=ro", uri=True)) as store:
        return store.execute(sql).fetchall()


class Calls:
    """A file in which agents, of whatever process, note their calls."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()

    def note(self, ctx: ps.RunContext) -> None:
        with self.path.open("a") as file:
            file.write(f"{ctx.spec.run_id}\n")

    def note_and(self, answer: str) -> Callable[[ps.RunContext], str]:
        """Make an agent that notes its call and gives an answer."""

        def agent(ctx: ps.RunContext) -> str:
            self.note(ctx)
            return answer

        return agent

    def all(self) -> list[str]:
        return self.path.read_text().split()


def script(path: Path, text: str) -> Path:
    """Write a Python file for a child process."""
    path.write_text(dedent(text))
    return path


def start(
    file: Path, *arguments: object, env: Mapping[str, str] | None = None, stdin: bool = False
) -> subprocess.Popen[str]:
    """Start a Python file as a child process that finds these tests."""
    return start_python(
        file,
        *arguments,
        stdin=subprocess.PIPE if stdin else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
    )


def finish(file: Path, *arguments: object, **options: Any) -> str:
    """Run a Python file as a child process to its good end, and give what it printed."""
    with start(file, *arguments, **options) as child:
        try:
            out, err = child.communicate(timeout=60)
        finally:
            child.kill()

    assert child.returncode == 0, err
    return out

"""What the tests of faults prove, written down as they prove it, for the page on reliability."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.children import run_python
from tests.command_line import StudyFolder, cli

ROOT = Path(__file__).parents[2]
REPORT = "PENSTOCK_FAULTS_REPORT"
"""The variable that names the file to which what was proved is written."""

SERIES = int(os.environ.get("PENSTOCK_FAULT_SERIES", "1"))
"""How many series of kills are made: one in ``make test``, eight in ``make faults``."""

IS_LONG = SERIES > 1
"""Whether every case is tried, or enough of them for every day."""

__all__ = ["IS_LONG", "SERIES", "Prove", "cli", "environment", "run_module"]

Prove = Callable[..., None]
_PROVED = pytest.StashKey[dict[str, dict[str, Any]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_PROVED] = {}


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path)


@pytest.fixture
def proved(request: pytest.FixtureRequest) -> Prove:
    """Write down, at the end of a test, which fault it has shown to keep which promise.

    ``figure`` is a format of the numbers; those of tests that prove the same are added up.
    """

    def prove(fault: str, promise: str, figure: str, **numbers: float) -> None:
        test = request.node.nodeid.partition("[")[0]
        key = f"{fault}: {promise}"
        known = request.config.stash[_PROVED].setdefault(
            key,
            {"fault": fault, "promise": promise, "test": test, "figure": figure, "numbers": {}},
        )
        for name, number in numbers.items():
            known["numbers"][name] = known["numbers"].get(name, 0) + number

    return prove


def pytest_sessionfinish(session: pytest.Session) -> None:
    if path := os.environ.get(REPORT):
        proved = [
            {name: each[name] for name in ("fault", "promise", "test")}
            | {"figure": each["figure"].format(**each["numbers"])}
            for each in session.config.stash[_PROVED].values()
        ]
        Path(path).write_text(json.dumps(proved, indent=1, ensure_ascii=False) + "\n", "utf-8")


def environment(**others: str) -> dict[str, str]:
    """The environment of a child that may be killed; it would tear the files of a coverage."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **others}


def run_module(
    module: str, *arguments: object, timeout_s: float = 120, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a module of these tests as a child process, to its end, whatever that is."""
    return run_python("-m", module, *arguments, timeout=timeout_s, env=environment(**variables))

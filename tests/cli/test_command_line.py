from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "study.yaml", "--concurrency", "0"],
        ["run", "study.yaml", "--timeout", "0"],
        ["run", "study.yaml", "--retries", "-1"],
        ["run", "study.yaml", "--unknown"],
        ["run", "study.yaml", "--fail-fast", "--max-failures", "3"],
        ["walk"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], cli: Any) -> None:
    assert cli(*arguments).exit_code == 2


def test_the_version_is_told(cli: Any) -> None:
    assert cli("--version").stdout.startswith("penstock ")


def test_help_loads_nothing_that_only_commands_need() -> None:
    script = (
        "import sys\nfrom penstock.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('aiosqlite', 'numpy', 'structlog', "
        "'penstock.cli.session', 'penstock.runner') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout.endswith("[]\n")

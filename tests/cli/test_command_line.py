from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import StudyFolder


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


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("--help", "pydantic rich.console numpy structlog aiosqlite asyncio penstock.runner"),
        ("status DONE", "numpy rich.console structlog aiosqlite asyncio penstock.study.model"),
    ],
)
def test_no_command_waits_for_what_it_does_not_need(
    command: str, unwanted: str, folder: StudyFolder, cli: Any
) -> None:
    cli("run", str(folder.file), "--no-report")
    arguments = [str(folder.results) if each == "DONE" else each for each in command.split()]
    script = (
        "import sys\nfrom penstock.cli import app\n"
        f"try:\n    app({arguments})\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {unwanted.split()} if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout.endswith("[]\n")


def test_what_a_command_imports_is_not_searched_for_garbage() -> None:
    script = (
        "import atexit, gc\nfrom penstock.cli import main\n"
        "before = gc.get_stats()\natexit.register(lambda: print(gc.get_stats() == before))\nmain()"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout.endswith("True\n")


def test_python_runs_penstock_as_a_module() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "penstock", "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith("penstock ")


def test_what_stands_in_brackets_in_the_help_is_shown(cli: Any) -> None:
    assert "penstock[dask]" in cli("run", "--help").stdout


@pytest.mark.field("studies-SEC11")
def test_the_docs_say_which_commands_import_the_code_of_a_study(
    folder: StudyFolder, cli: Any
) -> None:
    """What is imported says so in a file; the docs name those commands, and those alone."""
    imported = folder.path / "imported"
    noting = "from pathlib import Path\nPath(__file__).with_name('imported').touch()\n"
    agents = folder.path / "agents.py"
    folder.file.write_text(folder.file.read_text().replace("replicates: 10", "replicates: 1"))
    cli("run", folder.file, "--no-report")

    def imports(*arguments: Any) -> bool:
        imported.unlink(missing_ok=True)
        # A file that has changed is imported again.
        agents.write_text(f"{noting}# {arguments}\nasync def worker(ctx): return 'yes'\n")
        assert cli(*arguments, folder.file).exit_code in (0, 3), arguments
        return imported.exists()

    importing = [["check"], ["plan"], ["preview"], ["run", "--dry-run"], ["rescore"]]
    reading = [["status"], ["export"], ["doctor"], ["validate-study"]]
    docs = Path(__file__).parents[2] / "docs" / "command-line.md"
    told, _, untold = docs.read_text().partition("Some commands import")[2].partition("The others")

    assert [each for each in importing if not imports(*each)] == []
    assert [each for each in reading if imports(*each)] == []
    assert all(f"`{' '.join(each)}`" in told for each in importing)
    assert all(f"`{each[0]}`" in told.split("`validate-study`")[0] for each in importing)
    assert all(f"`{each[0]}`" in told + untold for each in reading)

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from penstock.cli import directory_records
from tests.command_line import StudyFolder, json_lines


def test_status_shows_where_a_study_stands(folder: StudyFolder, cli: Any) -> None:
    folder.set_up(failing=["p2"])
    assert cli("run", folder.file).exit_code == 10
    shown = cli("status", folder.results)
    assert shown.exit_code == 0
    assert "40 planned, 20 succeeded, 20 failed, 0 skipped, 0 remaining" in shown.stderr
    assert "20 x  ValueError: no [/bold] \\x1b[31manswer (agent)" in shown.stderr
    (status,) = json_lines(cli("status", folder.results, "--json").stdout)
    assert (status["event"], status["planned"], status["failed"]) == ("status", 40, 20)
    assert status["failures"][0]["runs"] == 20


def test_a_cost_that_no_agent_recorded_is_not_shown_as_nothing(
    folder: StudyFolder, cli: Any
) -> None:
    assert cli("run", folder.file).exit_code == 0
    (line,) = [
        line for line in cli("status", folder.results).stderr.splitlines() if "attempts:" in line
    ]
    assert line == "attempts: 40"


def test_a_look_at_a_store_imports_neither_what_runs_studies_nor_what_declares_them() -> None:
    code = (
        "import sys, penstock.cli.directory_records, penstock.cli.target\n"
        "heavy = ('numpy', 'ruamel', 'penstock.runner', 'penstock.study.model', 'aiosqlite')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["status", "export"])
def test_a_directory_without_a_study_is_refused(command: str, tmp_path: Path, cli: Any) -> None:
    refused = cli(command, tmp_path)
    assert refused.exit_code == 3
    assert refused.stderr.startswith("error: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["status", "export"])
def test_a_broken_store_is_refused(command: str, folder: StudyFolder, cli: Any) -> None:
    assert cli("run", folder.file).exit_code == 0
    store = folder.results / "study.sqlite"
    whole = store.read_bytes()
    store.write_bytes(whole[:4096] + b"\x5a" * (len(whole) - 4096))
    refused = cli(command, folder.results)
    assert refused.exit_code == 3
    assert "study.sqlite" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_of_a_folder_every_study_below_it_is_shown(folder: StudyFolder, cli: Any) -> None:
    assert cli("run", folder.file).exit_code == 0
    folder.set_up(failing=["p2"])
    elsewhere = folder.path / "archive" / "2026" / "second"
    assert folder.run("--output-dir", str(elsewhere)).returncode == 10
    shown = cli("status", folder.path)
    assert shown.exit_code == 0
    assert [" ".join(line.split()) for line in shown.stderr.splitlines()] == [
        "archive/2026/second 40/40 done 20 failed complete",
        "results 40/40 done 0 failed complete",
    ]
    lines = json_lines(cli("status", folder.path, "--json").stdout)
    assert [line["output_dir"] for line in lines] == [str(elsewhere), str(folder.results)]


@pytest.mark.field("studies-SEC7")
def test_a_store_without_its_tables_ends_in_a_sentence(folder: StudyFolder, cli: Any) -> None:
    assert cli("run", folder.file, "--limit", "1").exit_code == 0
    with closing(sqlite3.connect(folder.results / "study.sqlite")) as store:
        store.execute("DROP TABLE attempt")

    for command in ("status", "export"):
        told = cli(command, folder.results)
        assert told.exit_code == 3
        assert "study.sqlite" in told.stderr
        assert "no such table: " in told.stderr

    assert "study.sqlite has not the layout it says it has" in cli("doctor", folder.results).stderr


@pytest.mark.field("studies-SEC7")
def test_a_log_that_a_reader_keeps_from_being_emptied_is_told(
    folder: StudyFolder, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("run", folder.file, "--limit", "1").exit_code == 0
    assert "study.sqlite-wal" not in cli("status", folder.results).stderr

    monkeypatch.setattr(directory_records, "held_log_bytes", lambda _: 74_000_000)
    assert (
        "study.sqlite-wal has 74 MB and grows: another program stays in a transaction on "
        "study.sqlite; the log is emptied when that one ends"
    ) in cli("status", folder.results).stderr

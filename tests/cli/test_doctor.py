from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from penstock.store.files.ownership import ARTIFACTS
from penstock.store.schema import SCHEMA_VERSION
from tests.command_line import StudyFolder
from tests.older_stores import make_older


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = StudyFolder(tmp_path_factory.mktemp("healthy"))
    assert folder.run("--no-progress").returncode == 0
    return folder.path


@pytest.fixture
def results(healthy: Path, tmp_path: Path) -> Path:
    shutil.copytree(healthy, tmp_path, dirs_exist_ok=True)
    return tmp_path / "results"


def test_a_healthy_directory_is_said_to_be(results: Path, cli: Any) -> None:
    said = cli("doctor", results)
    assert said.exit_code == 0
    assert said.stderr == f"{results}: healthy\n"
    assert json.loads(cli("doctor", results, "--json").stdout)["is_healthy"]


def test_files_that_were_deleted_or_edited_are_named_and_can_be_written_anew(
    results: Path, cli: Any
) -> None:
    (results / "runs.csv").write_text("edited")
    (results / "events.csv").unlink()
    (results / "manifest.json").write_text("[]")
    (results / ".runs.csv.0123abcd.new").write_text("half a fi")
    said = cli("doctor", results)
    assert said.exit_code == 3
    assert "missing: events.csv" in said.stderr
    assert "(edited, or written before): manifest.json, runs.csv" in said.stderr
    assert "left by an export that was killed: .runs.csv.0123abcd.new" in said.stderr
    assert "penstock export DIR writes the files anew" in said.stderr

    cli("export", results)
    assert cli("doctor", results).exit_code == 0


@pytest.mark.field("studies-SEC1")
def test_links_that_writing_would_follow_are_told(results: Path, cli: Any) -> None:
    target = results.parent / "mine"
    target.write_text("mine")
    for name in (".started", "analysis"):
        (results / name).rename(results.parent / f"moved{name}")
        (results / name).symlink_to(target)

    (results / ".events.csv.new").symlink_to(target)  # of a name that nothing is written under
    told = cli("doctor", results)
    assert told.exit_code == 3
    assert "links to elsewhere: .started, analysis" in told.stderr
    refused = cli("export", results)
    assert refused.exit_code == 3
    assert "through a symbolic link" in refused.stderr
    assert target.read_text() == "mine"


def test_parquet_files_that_a_later_run_left_behind_are_told(results: Path, cli: Any) -> None:
    cli("export", results, "--parquet")
    assert "older" not in cli("doctor", results).stderr

    cli("export", results)
    told = cli("doctor", results)
    assert told.exit_code == 0
    assert "older than the tables beside them: conditions.parquet, runs.parquet" in told.stderr


def edit(results: Path, *statements: str) -> None:
    with closing(sqlite3.connect(results / "study.sqlite")) as store, store:
        for statement in statements:
            store.execute(statement)


@pytest.mark.parametrize(
    ("statement", "code", "said"),
    [
        (
            "INSERT INTO evaluation VALUES (99, 0, 0, 'e', 'm', 1, NULL, 'unitless', 'run', '{}')",
            3,
            "1 rows of evaluation belong to no attempt",
        ),
        ("UPDATE attempt SET run_id = 'run-x' WHERE id = 1", 3, "1 results are not where the plan"),
        ("DELETE FROM session", 3, "knows nothing of the last session, which made 40 calls"),
        ("UPDATE session SET ended_at = NULL", 0, "the last session was killed"),
        (
            "UPDATE session SET planned = 7",
            3,
            "planned 7 runs, and what the store declares makes 40",
        ),
    ],
)
def test_a_store_that_was_edited_is_told(
    results: Path, cli: Any, statement: str, code: int, said: str
) -> None:
    edit(results, statement)
    told = cli("doctor", results)
    assert said in told.stderr
    assert told.exit_code == code


@pytest.mark.parametrize("layout", range(1, SCHEMA_VERSION))
def test_an_older_layout_is_told_and_its_files_are_the_same(
    results: Path, cli: Any, layout: int
) -> None:
    make_older(results / "study.sqlite", layout)
    told = cli("doctor", results)
    assert f"layout {layout}, the one of today is" in told.stderr
    assert told.exit_code == 0


@pytest.mark.field("studies-M8")
def test_a_killed_study_that_was_never_exported_has_no_fault(results: Path, cli: Any) -> None:
    for name in ARTIFACTS:
        (results / name).unlink(missing_ok=True)

    ended = cli("doctor", results)
    assert (ended.exit_code, "wrong: missing: " in ended.stderr) == (3, True)
    edit(results, "UPDATE session SET ended_at = NULL")
    killed = cli("doctor", results)
    assert (killed.exit_code, "note: missing: " in killed.stderr) == (0, True)
    assert "the last session was killed" in killed.stderr


@pytest.mark.field("engine-G7")
def test_a_parquet_file_that_cannot_be_read_is_told(results: Path, cli: Any) -> None:
    cli("export", results, "--parquet")
    table = results / "runs.parquet"
    for content in (table.read_bytes()[:-100], b"PAR1....PAR1", b""):
        table.write_bytes(content)
        told = cli("doctor", results)
        assert told.exit_code == 3
        assert "cannot be read: runs.parquet" in told.stderr


def test_runs_without_a_result_are_told(results: Path, cli: Any) -> None:
    edit(results, "DELETE FROM attempt WHERE id > 38", "DELETE FROM observation")
    cli("export", results)
    told = cli("doctor", results)
    assert told.exit_code == 0
    assert "2 of 40 runs have no result yet" in told.stderr


def test_a_damaged_file_is_told(results: Path, cli: Any) -> None:
    store = results / "study.sqlite"
    page = 8192
    content = store.read_bytes()
    store.write_bytes(content[: 2 * page] + b"\xa5" * page * 6 + content[8 * page :])
    told = cli("doctor", results)
    assert told.exit_code == 3
    assert "damaged" in told.stderr
    assert "sqlite3 study.sqlite .recover" in told.stderr


def test_the_crash_test_says_what_this_disk_keeps(results: Path, cli: Any) -> None:
    told = cli("doctor", results, "--crash-test")
    assert told.exit_code == 0, told.stderr
    assert "killed 5 times; 0 saved runs were lost, 0 were run twice, 0 missing" in told.stderr
    assert not [*results.glob(".crash-test-*")]

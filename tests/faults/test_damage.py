"""Files that are damaged, missing, or another's: an error that says so, or a repair that does."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import penstock as ps
from penstock.errors import ForeignDirectoryError, PenstockError, SchemaError
from penstock.store.schema import SCHEMA_VERSION
from tests.artifacts import assert_same_artifacts
from tests.faults.conftest import Prove, run_module
from tests.faults.study import RUNS, Calls, run, saved
from tests.older_stores import make_older


@pytest.fixture
def results(tmp_path: Path) -> Path:
    run(tmp_path / "results", Calls().agent)
    return tmp_path / "results"


def truncated(store: Path) -> None:
    os.truncate(store, store.stat().st_size // 2)


def emptied(store: Path) -> None:
    os.truncate(store, 0)


def garbage(store: Path) -> None:
    store.write_bytes(os.urandom(100_000))


def garbage_inside(store: Path) -> None:
    content = store.read_bytes()
    store.write_bytes(content[:16384] + b"\xa5" * (len(content) - 16384))


def deleted(store: Path) -> None:
    store.unlink()


def foreign(store: Path) -> None:
    store.unlink()
    with closing(sqlite3.connect(store)) as other, other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")


@pytest.mark.parametrize(
    "damage",
    [truncated, emptied, garbage, garbage_inside, deleted, foreign],
    ids=lambda f: f.__name__,
)
def test_a_damaged_store_is_refused_by_name_and_never_started_from_nothing(
    damage: Callable[[Path], None], results: Path, proved: Prove
) -> None:
    store = results / "study.sqlite"
    (results / "manifest.json").unlink()  # the store alone must tell
    damage(store)
    before = store.read_bytes() if store.exists() else b""
    calls = Calls()
    with pytest.raises(PenstockError) as caught:
        run(results, calls.agent)

    assert str(results) in str(caught.value)
    assert calls.run_ids == []
    if damage is not deleted:
        assert store.read_bytes()[: len(before)] == before

    run(results, calls.agent, fresh=True)
    assert saved(results) == RUNS
    proved(
        "a damaged store",
        "refused with its path; never a silent start from nothing; `--fresh` moves it aside",
        "{ways:.0f} ways of damage",
        ways=1,
    )


def test_a_deleted_write_ahead_log_is_told_and_not_passed_over(
    tmp_path: Path, proved: Prove
) -> None:
    results = tmp_path / "results"
    killed = run_module("tests.faults.child", results, tmp_path, PENSTOCK_FAULT="said:4:0")
    assert killed.returncode == -signal.SIGKILL
    (results / "study.sqlite-wal").unlink()
    calls = Calls()
    with pytest.raises(ForeignDirectoryError, match=r"study\.sqlite-wal was deleted") as caught:
        run(results, calls.agent)

    assert "calls were made" in str(caught.value)
    assert calls.run_ids == []
    proved(
        "a write-ahead log that was deleted",
        "refused: the store has fewer sessions than have made calls",
        "{ways:.0f} case",
        ways=1,
    )


def test_an_older_copy_of_the_store_is_told_and_not_passed_over(results: Path) -> None:
    older = results.with_name("older.sqlite")
    shutil.copy(results / "study.sqlite", older)
    run(results, Calls().agent)
    shutil.copy(older, results / "study.sqlite")
    with pytest.raises(ForeignDirectoryError, match="is an older copy"):
        run(results, Calls().agent)

    (results / ".started").unlink()  # as it says
    run(results, Calls().agent)


def test_files_that_were_deleted_or_edited_are_written_anew(results: Path, proved: Prove) -> None:
    whole = results.with_name("whole")
    shutil.copytree(results, whole)
    (results / "runs.csv").unlink()
    (results / "events.csv").write_text("edited")
    shutil.rmtree(results / "analysis")
    calls = Calls()
    run(results, calls.agent)
    assert calls.run_ids == []
    assert_same_artifacts(results, whole)
    assert (results / "analysis" / "runs.csv").exists()
    proved(
        "a file that was deleted or edited",
        "`doctor` names it; running or exporting again writes it anew and calls nothing",
        "{calls:.0f} calls",
        calls=len(calls.run_ids),
    )


def keep_twenty(store: Path) -> None:
    """Leave twenty results."""
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("DELETE FROM observation WHERE attempt_id > 20")
        connection.execute("DELETE FROM attempt WHERE id > 20")


@pytest.mark.parametrize("layout", range(1, SCHEMA_VERSION))
def test_an_older_layout_is_brought_up_to_date_and_a_copy_kept(
    results: Path, layout: int, proved: Prove
) -> None:
    keep_twenty(results / "study.sqlite")
    make_older(results / "study.sqlite", layout)
    assert [len(result.observations) for result in ps.StudyResult.open(results)] == [1] * 20
    calls = Calls()
    run(results, calls.agent)
    assert len(calls.run_ids) == RUNS - 20
    assert saved(results) == RUNS
    with closing(sqlite3.connect(results / "study.sqlite")) as store:
        assert store.execute("SELECT count(*) FROM events").fetchone() == (RUNS,)

    for name, has in (("study.sqlite", SCHEMA_VERSION), (f"study.layout-{layout}.sqlite", layout)):
        with closing(sqlite3.connect(results / name)) as store:
            assert store.execute("PRAGMA user_version").fetchone() == (has,)

    proved(
        "a store of an older layout",
        "brought up to date in one transaction, a copy kept, every result kept",
        "{kept:.0f} of 20 results kept",
        kept=RUNS - len(calls.run_ids),
    )


def test_a_newer_layout_is_refused_and_left_alone(results: Path, proved: Prove) -> None:
    with closing(sqlite3.connect(results / "study.sqlite")) as store:
        store.execute("PRAGMA user_version = 99")

    with pytest.raises(SchemaError, match="upgrade penstock"):
        run(results, Calls().agent)

    proved("a store of a newer layout", "refused, and left as it is", "{n:.0f} case", n=1)

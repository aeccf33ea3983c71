"""A study that is looked at: while it runs elsewhere, when it is killed, and what it costs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from penstock.control.address import CAN_LISTEN
from penstock.page.live_view import LiveView
from penstock.store.files.lock import hold_directory
from penstock.store.reader import StoreReader
from penstock.web import counting, paging, saved
from penstock.web.looking import LiveStudy
from penstock.web.saved import Saved
from tests.command_line import StudyFolder
from tests.page.studies import run_part, run_study

pytestmark = pytest.mark.anyio


async def seen(study: LiveStudy, state: str, ended: int = 0) -> LiveView:
    """Look until a study is in a state, and its process, if there is one, has answered in time."""
    with anyio.fail_after(240):
        while True:
            view = await study.look()
            if view.state == state and view.succeeded >= ended and not view.note:
                return view

            await anyio.sleep(0.05)


@pytest.mark.skipif(not CAN_LISTEN, reason="needs sockets of one user")
async def test_a_process_that_is_killed_is_missed_at_once_and_the_next_one_is_found(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder.path))
    folder.set_up(free_replicates=3)
    study = LiveStudy(folder.results, control=True)
    first = folder.start("--no-progress")
    running = await seen(study, "running", ended=6)
    first.kill()
    first.wait()
    study.look_anew()
    killed = await study.look()

    (folder.path / "open").touch()
    second = folder.start("--no-progress")
    complete = await seen(study, "complete")
    second.communicate(timeout=240)
    first.communicate()

    assert running.can_act
    assert running.in_flight == running.limit == 4
    assert (killed.is_running, killed.can_act, killed.in_flight) == (False, False, None)
    assert killed.succeeded >= 6
    assert complete.succeeded == 40
    assert sum(complete.ended) == 40


async def test_a_study_that_listens_to_nobody_is_read_from_its_store(tmp_path: Path) -> None:
    results = await anyio.to_thread.run_sync(run_part, tmp_path)
    with closing(sqlite3.connect(results / "study.sqlite")) as connection, connection:
        connection.execute("UPDATE session SET ended_at = NULL, ending = NULL")

    with hold_directory(results):
        view = await LiveStudy(results, control=True).look()

    assert "does not listen" in view.note
    assert (view.state, view.is_running, view.can_act) == ("running", True, False)
    assert view.in_flight is None
    assert view.succeeded + view.failed == 30


def test_looking_leaves_no_transaction_that_would_keep_the_log_from_being_emptied(
    tmp_path: Path,
) -> None:
    results = run_part(tmp_path)
    with closing(sqlite3.connect(results / "study.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        looked_at = Saved(results)
        for _ in range(3):
            connection.execute("UPDATE study SET created_at = created_at")
            connection.commit()
            looked_at.read(counts_only=False)

        busy, left, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()

    assert (busy, left) == (0, 0)
    assert mode == ("delete",)
    assert looked_at.counts.done == 30


@pytest.mark.parametrize(
    "query",
    [
        counting._ADDED,
        counting._AGAIN.format("?, ?"),
        saved._NEWEST,
        saved._SESSION,
        paging._ROWS.format("?, ?"),
    ],
)
def test_no_look_and_no_page_reads_every_run(query: str, tmp_path: Path) -> None:
    with StoreReader(run_study(tmp_path)) as store:
        steps = store.rows(f"EXPLAIN QUERY PLAN {query}", (1,) * query.count("?"))
        plan = [str(step["detail"]) for step in steps]

    assert plan
    assert not [step for step in plan if step == "SCAN attempt"]


async def test_a_store_that_is_moved_aside_is_looked_at_anew(tmp_path: Path) -> None:
    results = await anyio.to_thread.run_sync(run_study, tmp_path)
    study = LiveStudy(results)
    before = await study.look()
    results.rename(tmp_path / "aside")
    study.look_anew()
    gone = await study.look()
    await anyio.to_thread.run_sync(run_part, tmp_path)
    study.look_anew()
    after = await study.look()

    assert before.succeeded == 47
    assert gone.state == "not begun"
    assert "holds no study" in gone.note
    assert after.state == "stopped: enough"
    assert after.succeeded + after.failed == 30 == sum(after.ended)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE session DROP COLUMN unpriced", "cannot be read"),
        ("DROP TABLE attempt", "cannot be read"),
        ("DELETE FROM session", "never begun"),
    ],
)
async def test_a_store_that_is_broken_is_said_to_be(change: str, said: str, tmp_path: Path) -> None:
    results = await anyio.to_thread.run_sync(run_part, tmp_path)
    with closing(sqlite3.connect(results / "study.sqlite")) as connection, connection:
        for shown in ("sessions", "runs", "events", "evaluations", "attempts"):
            connection.execute(f"DROP VIEW {shown}")

        connection.execute(change)

    view = await LiveStudy(results).look()

    assert view.state == "not begun"
    assert said in view.note or "no such" in view.note

"""Power is lost at any moment: what `RunsSaved` said is on the disk, and the study goes on.

A study is recorded as it is run, killed and run to its end; then the disk is made as it may be
found after a loss of power at many moments of the recording, see `tests.faults.disk`.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

import penstock as ps
from penstock.errors import StoreError
from penstock.store.reader import StoreReader
from tests.artifacts import assert_same_artifacts
from tests.faults import child
from tests.faults.conftest import IS_LONG, Prove, environment
from tests.faults.disk import Call, Disk, calls_of, recorder, why_not_recorded

REPLICATES = 3
RUNS = 48 * REPLICATES
MOMENTS = 400 if IS_LONG else 12
DRAWS = 12
RESULTS = Path("artifacts") / "killed"
SETTINGS = {"PENSTOCK_REPLICATES": str(REPLICATES), "PENSTOCK_AUTOCHECKPOINT": "12"}
KINDS = ("study.sqlite", "study.sqlite-wal", "study.sqlite-journal", ".started", "", "others")
"""What was being written when power was lost; each is tried as often, "" are names alone."""


class Recording(NamedTuple):
    """What a study wrote, and where it and its notes are."""

    calls: list[Call]
    disk: Path
    notes: Path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A study that was killed once and then run to its end, every write recorded."""
    folder = tmp_path_factory.mktemp("power")
    disk, notes = folder / "disk", folder / "notes"
    disk.mkdir()
    notes.mkdir()
    calls: list[Call] = []
    for session, fault in enumerate(("said:9:0", "")):
        trace = record(
            folder / f"trace-{session}",
            *("-m", "tests.faults.child", disk / RESULTS, notes),
            fault=fault,
            **SETTINGS,
        )
        calls += calls_of(trace)

    return Recording(calls, disk, notes)


def test_what_was_said_to_be_saved_survives_a_loss_of_power(
    recording: Recording, tmp_path: Path, proved: Prove
) -> None:
    random = Random(0)
    survived = 0
    for number, (disk, heard) in enumerate(moments(recording, random)):
        after = tmp_path / str(number)
        disk.after_a_loss(after, random)
        look(after / RESULTS, heard, recording.disk / RESULTS)
        survived += len(heard)
        shutil.rmtree(after)

    assert survived > MOMENTS
    proved(
        "power is lost",
        "what `RunsSaved` said is on the disk unchanged; no saved run is repeated; the study goes "
        "on, and its files are those of an uninterrupted one",
        "{moments:.0f} moments of a recorded study, {survived:,.0f} saved runs looked at",
        moments=MOMENTS,
        survived=survived,
    )


def test_nothing_is_missing_in_a_recording(recording: Recording) -> None:
    disk = Disk(recording.disk)
    for call in recording.calls:
        disk.has_seen(call)

    there = {path for path in recording.disk.rglob("*") if path.is_file()}
    files = disk.files()
    assert files.keys() == {path for path in there if path.suffix != ".sqlite-shm"}
    assert all(path.read_bytes() == content for path, content in files.items())


def test_the_files_of_a_study_that_has_ended_survive_a_loss_of_power(
    recording: Recording, tmp_path: Path, proved: Prove
) -> None:
    disk, random = Disk(recording.disk), Random(0)
    for call in recording.calls:
        disk.has_seen(call)

    for draw in range(DRAWS):
        after = tmp_path / str(draw)
        disk.after_a_loss(after, random)
        assert_same_artifacts(after / RESULTS, recording.disk / RESULTS)

    proved(
        "power is lost after a study's end",
        "its files are on the disk, whole and under their names",
        "{draws:.0f} disks",
        draws=DRAWS,
    )


def test_results_that_are_not_synced_may_be_lost_but_not_the_store_that_they_are_in(
    tmp_path: Path, proved: Prove
) -> None:
    random, disk = Random(0), tmp_path / "disk"
    disk.mkdir()
    trace = record(
        tmp_path / "trace",
        *("-m", "tests.faults.child", disk / RESULTS, tmp_path),
        PENSTOCK_CHECKPOINT="0",
        **SETTINGS,
    )
    lost = 0
    recording = Recording([*calls_of(trace)], disk, tmp_path)
    for number, (found, heard) in enumerate(moments(recording, random)):
        after = tmp_path / str(number)
        found.after_a_loss(after, random)
        lost += len(heard.items() - read(after / RESULTS).items())

    assert lost > 0 or not IS_LONG  # luck may have it that of a few nothing is lost
    proved(
        "power is lost with `checkpoint=False`",
        "the last results may be lost, the store never",
        "{lost:,.0f} results lost at {moments:.0f} moments, 0 stores",
        lost=lost,
        moments=MOMENTS,
    )


OLDER = """
import sqlite3, sys
from pathlib import Path
from penstock.store import migration

path = Path(sys.argv[1])
store = sqlite3.connect(path)
store.executescript(
    "PRAGMA journal_mode = WAL; CREATE TABLE session (id INTEGER PRIMARY KEY);"
    "INSERT INTO session VALUES (7); PRAGMA user_version = 1;"
)
path.with_name("begun").mkdir()
migration._steps = lambda *_: ["ALTER TABLE session ADD started;"]
migration.migrate(path, 1, 2)
"""
"""Makes a store of an older layout, says so with a directory, and brings it up to date.

Its write-ahead log is there, as after a kill: where SQLite makes one it syncs the names itself.
"""


def test_an_older_store_or_the_copy_of_it_survives_a_loss_of_power(tmp_path: Path) -> None:
    random, root = Random(0), tmp_path / "disk"
    root.mkdir()
    calls = [*calls_of(record(tmp_path / "trace", "-c", OLDER, root / "study.sqlite"))]
    disk, layouts = Disk(root), set()
    for index, call in enumerate(calls):
        if not disk.has_seen(call) or str(root / "begun") not in disk.names:
            continue

        for draw in range(4):
            after = tmp_path / f"{index}-{draw}"
            disk.after_a_loss(after, random)
            layout = what_layout(after / "study.sqlite")
            layouts.add(layout)
            assert layout == 1 or what_layout(after / "study.layout-1.sqlite") == 1

    assert layouts == {1, 2}


def what_layout(path: Path) -> int:
    assert path.exists()
    with closing(sqlite3.connect(path)) as store:
        assert store.execute("SELECT id FROM session").fetchall() == [(7,)]
        ((layout,),) = store.execute("PRAGMA user_version")
        return int(layout)


def record(trace: Path, *arguments: object, fault: str = "", **settings: str) -> Path:
    """Record what Python writes when it is run with these arguments, to its end or a fault."""
    if reason := why_not_recorded():
        pytest.skip(reason)

    ended = subprocess.run(
        [*recorder(trace), sys.executable, *map(str, arguments)],
        env=environment(PENSTOCK_FAULT=fault, **settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == (-signal.SIGKILL if fault else 0), ended.stderr[-3000:]
    return trace


def moments(recording: Recording, random: Random) -> Iterator[tuple[Disk, dict[str, str]]]:
    """Lose power at moments of the recording, evenly among what was being written."""
    kinds: dict[str, list[int]] = defaultdict(list)
    disk = Disk(recording.disk)
    for index, call in enumerate(recording.calls):
        if disk.has_seen(call):
            name = Path(call.paths[0]).name if call.data else ""
            kinds[name if name in KINDS else "others"].append(index)

    assert set(kinds) == set(KINDS)
    chosen = sorted(random.choice(kinds[KINDS[each % len(KINDS)]]) for each in range(MOMENTS))
    disk, heard = Disk(recording.disk), {}
    for index, call in enumerate(recording.calls):
        disk.has_seen(call)
        if call.name == "write" and call.paths == (str(recording.notes / "heard"),):
            _, run_id, digest = call.data.decode().split()
            heard[run_id] = digest

        for _ in range(chosen.count(index)):
            yield disk, dict(heard)


def look(results: Path, heard: dict[str, str], whole: Path) -> None:
    """See that what was heard is there, and that the study goes on to its end from it."""
    saved = read(results)
    assert heard.items() <= saved.items()
    agent = child.make_agent(results.parent, child.Fault(results.parent, ""))
    ended = ps.run_study(
        child.build_study(REPLICATES),
        agent_bindings={"one": agent, "two": agent},
        output_dir=results,
        parallelism=child.CONCURRENCY,
        retry=ps.Retry(attempts=3, wait_s=0.001),
        show_progress=False,
    )
    assert ended.summary.succeeded == RUNS
    called = (results.parent / "calls").read_text() if ended.summary.session.started else ""
    assert saved.keys().isdisjoint(line.split()[1] for line in called.splitlines())
    assert saved.items() <= read(results).items()
    assert_same_artifacts(results, whole)


def read(results: Path) -> dict[str, str]:
    """Read what is saved, in a copy, so that the study finds what the loss left."""
    if not (results / "study.sqlite").exists():
        return {}

    copy = results.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(results, copy)
    try:
        store = StoreReader(copy)
    except StoreError as error:  # power was lost as it was made
        assert "never begun" in str(error)  # noqa: PT017 - it must say nothing else
        return {}

    with store:
        assert [*store.table("PRAGMA integrity_check")] == [("ok",)]
        return {each.run_id: child.digest(each) for each in store.results() if not each.error}

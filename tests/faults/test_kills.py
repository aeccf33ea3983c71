"""``kill -9`` at any moment: nothing that was saved is lost, repeated or changed.

``PENSTOCK_FAULT_SERIES`` says how many series of kills are made: one in ``make test``, eight, of 16
kills each, in ``make faults``.
"""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from penstock.errors import StoreError
from penstock.store.reader import StoreReader
from tests.artifacts import assert_same_artifacts
from tests.faults import child
from tests.faults.conftest import SERIES, Prove, run_module

# The phase, and at which of its passages the child is killed, at most so many microseconds later.
POINTS = {
    "launch": ("start-up", 1, 120_000),
    "lock": ("start-up", 1, 0),
    "startup": ("start-up", 1, 3_000),
    "begin": ("start-up", 1, 3_000),
    "describe": ("resume", 1, 2_000),
    "restore": ("resume", 1, 1_000),
    "call": ("calls in flight", 60, 0),
    "group": ("group commit", 100, 300),
    "commit": ("group commit", 3, 0),
    "checkpoint": ("WAL checkpoint", 3, 1_500),
    "said": ("the moment after a commit", 3, 300),
}
AT_THE_END = {
    "export": ("export", 1, 15_000),
    "file": ("export", 12, 500),
    "end": ("shutdown", 1, 300),
    "close": ("shutdown", 1, 500),
}
WITHOUT_DELAY = 0.3


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the same study, never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert run_module("tests.faults.child", folder / "results", folder).returncode == 0
    return folder / "results"


@pytest.mark.parametrize("seed", range(SERIES))
def test_a_study_that_is_killed_again_and_again_loses_repeats_and_changes_nothing(
    seed: int, whole: Path, tmp_path: Path, proved: Prove
) -> None:
    series = Series(tmp_path, Random(seed))
    series.run()
    series.look_at_the_end()
    assert_same_artifacts(series.results, whole)

    for phase, kills in series.kills.items():
        proved(
            f"kill -9 during {phase}",
            "every run once; what `RunsSaved` said is there unchanged; no saved call is repeated; "
            "the files are those of an uninterrupted study",
            "{kills:.0f} kills",
            kills=kills,
        )

    proved(
        "calls in flight at a kill",
        "counted before they are made, and told at the next start",
        "{lost:.0f} calls lost in {kills:.0f} kills, {told:.0f} told",
        kills=series.kills.total(),
        lost=series.lost,
        told=series.told,
    )
    assert series.kills.total() >= 12, series.kills


class Series:
    """One study, killed at every point in turn, and looked at after each kill."""

    def __init__(self, folder: Path, random: Random) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.random = random
        self.session = 0
        self.kills: Counter[str] = Counter()
        self.lost = self.told = self.untold = self.told_before = 0
        self.attempts = 0
        self.saved: set[str] = set()

    def run(self) -> None:
        early, late = [*POINTS], [*AT_THE_END]
        self.random.shuffle(early)
        self.random.shuffle(late)
        for point in [*early, "commit", *late, ""]:
            fault = self.fault(point)
            self.session += 1
            ended = run_module(
                "tests.faults.child",
                self.results,
                self.folder,
                PENSTOCK_SESSION=str(self.session),
                PENSTOCK_FAULT=fault,
            )
            assert ended.returncode in (0, -signal.SIGKILL), f"{fault}: {ended.stderr[-3000:]}"
            if ended.returncode:
                self.kills[(POINTS | AT_THE_END)[point][0]] += 1

            self.look(fault)

        assert ended.returncode == 0

    def fault(self, point: str) -> str:
        if not point:
            return ""

        _, most, most_us = (POINTS | AT_THE_END)[point]
        delay_us = 0 if self.random.random() < WITHOUT_DELAY else self.random.randint(0, most_us)
        return f"{point}:{self.random.randint(1, most)}:{delay_us}"

    def look(self, fault: str) -> None:
        """See that this session called nothing that was saved, and count what it lost."""
        called = [words[1] for words in self.notes("calls") if words[0] == str(self.session)]
        repeated = self.saved.intersection(called)
        assert not repeated, f"{fault}: paid twice: {sorted(repeated)[:3]}"

        told = [int(words[2]) for words in self.notes("started") if words[0] == str(self.session)]
        if told:
            # A start is counted before its call: one may have been counted and not made.
            assert self.untold <= told[0] <= self.untold + self.session, (
                f"{fault}: told {told[0]}, lost {self.untold}"
            )
            self.told += told[0] - self.told_before
            self.told_before = told[0]

        attempts = self.attempts
        self.saved = self.read_store()
        lost = len(called) - (self.attempts - attempts)
        assert lost >= 0
        self.lost += lost
        self.untold += lost

    def read_store(self) -> set[str]:
        """Read which runs are saved, in a copy, so that the study finds what the kill left."""
        if not (self.results / "study.sqlite").exists():
            return set()

        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        # A socket that a killed session has left is no file that can be copied.
        shutil.copytree(self.results, copy, ignore=shutil.ignore_patterns(".control"))
        try:
            store = StoreReader(copy)
        except StoreError as error:  # killed as it was made
            assert "never begun" in str(error)  # noqa: PT017 - it must say nothing else
            return set()

        with store:
            ((self.attempts,),) = store.table("SELECT count(*) FROM attempt")
            return {
                run_id
                for (run_id,) in store.table(
                    "SELECT run_id FROM attempt WHERE final AND status <> 'failed'"
                )
            }

    def look_at_the_end(self) -> None:
        with StoreReader(self.results) as store:
            digests = {each.run_id: child.digest(each) for each in store.results()}
            ((cost_usd, tokens),) = store.table(
                "SELECT sum(cost_usd), sum(input_tokens) FROM attempt"
            )
            ((once, runs),) = store.table("SELECT count(DISTINCT run_id), count(*) FROM runs")
            assert [*store.table("PRAGMA integrity_check")] == [("ok",)]

        assert once == runs == child.RUNS
        heard = [words[1:] for words in self.notes("heard")]
        assert all(digests[run_id] == digest for run_id, digest in heard)
        assert max(Counter(run_id for run_id, _ in heard).values()) == 1
        assert round(cost_usd / child.COST_USD) == self.attempts
        assert tokens == self.attempts * child.INPUT_TOKENS
        assert len([*self.notes("calls")]) == self.attempts + self.lost

    def notes(self, name: str) -> Iterator[list[str]]:
        path = self.folder / name
        for line in path.read_text().splitlines() if path.exists() else ():
            yield line.split()

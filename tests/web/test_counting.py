"""Counts that are kept up to date piece by piece say what the store says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.store.ledger import read_ledger
from penstock.store.reader import StoreReader
from penstock.web import counting
from penstock.web.counting import FAILED, Counts
from penstock.web.saved import Saved
from tests.page.studies import run_study


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_study(tmp_path_factory.mktemp("counted"))


def change(results: Path, *statements: str) -> None:
    with closing(sqlite3.connect(results / "study.sqlite")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_counts_are_the_same_in_pieces_of_any_size(
    results: Path, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_PIECE", piece)
    monkeypatch.setattr(counting, "_ADDED", counting._ADDED.replace("20000", str(piece)))
    saved = Saved(results)
    for _ in range(60):
        saved.read(counts_only=False)

    assert saved.matrix is not None
    counts, ledger = saved.counts, saved.ledger
    assert ledger is not None
    assert not counts.is_behind
    assert counts.done == ledger.summary.done == 48
    assert sum(counts.failed) == ledger.summary.failed == 1
    assert counts.failures == {"RuntimeError": 1}
    assert sum(counts.ended) == sum(saved.matrix.planned) == 48
    assert sum(counts.per_second.values()) == 48
    assert counts.costs[0] == 48
    assert counts.costs[1] == pytest.approx(0.47)
    assert [*counts.latencies_s] == ["median", "90 %", "99 %"]


def test_an_answer_is_counted_when_it_has_been_scored(tmp_path: Path) -> None:
    results = run_study(tmp_path)
    change(results, "UPDATE attempt SET status = 'scoring', final = 0 WHERE id = 5")
    saved = Saved(results)
    saved.read(counts_only=False)
    before = saved.counts.done
    change(results, "UPDATE attempt SET status = 'success', final = 1 WHERE id = 5")
    saved.read(counts_only=False)

    assert (before, saved.counts.done) == (47, 48)


def test_a_run_that_is_made_again_is_one_run(tmp_path: Path) -> None:
    results = run_study(tmp_path)
    saved = Saved(results)
    saved.read(counts_only=False)
    (failed,) = [at for at, status in enumerate(saved.counts.statuses) if status == FAILED]
    columns = "session_id, number, planned_order, started_order, run_id, condition_id, problem_id"
    rest = (
        "agent_id, replicate, seed, started_at, ended_at, latency_s, outputs, metrics, provenance, "
        "trace_refs"
    )
    change(
        results,
        f"UPDATE attempt SET final = 0 WHERE position = {failed}",
        f"INSERT INTO attempt (position, final, status, {columns}, {rest}) "
        f"SELECT position, 1, 'success', {columns}, {rest} FROM attempt WHERE position = {failed}",
    )
    saved.read(counts_only=False)

    assert saved.counts.done == 48
    assert sum(saved.counts.failed) == 0
    assert saved.counts.failures == {"RuntimeError": 1}  # the attempt has failed all the same


def test_refusals_and_classes_of_errors_are_counted_over_all_attempts(tmp_path: Path) -> None:
    results = run_study(tmp_path)
    change(
        results,
        "UPDATE attempt SET status = 'failed', final = 0, error_kind = 'RateLimitError', "
        "error_http_status = 429 WHERE id IN (1, 2)",
    )
    saved = Saved(results)
    saved.read(counts_only=False)

    assert saved.counts.refused == 2
    assert saved.counts.failures == {"RateLimitError": 2, "RuntimeError": 1}
    assert saved.counts.done == 46


def test_latencies_are_right_to_a_few_percent() -> None:
    counts = Counts(0, None)
    for latency_s in range(1, 1001):
        counts._take([(1, None, 0, "success", "", latency_s / 100, None, None, None)])

    assert counts.latencies_s["median"] == pytest.approx(5, rel=0.03)
    assert counts.latencies_s["90 %"] == pytest.approx(9, rel=0.03)
    assert counts.latencies_s["99 %"] == pytest.approx(9.9, rel=0.03)


def test_a_plan_that_has_changed_is_counted_anew(tmp_path: Path) -> None:
    results = run_study(tmp_path)
    saved = Saved(results)
    saved.read(counts_only=False)
    before = saved.counts.done, saved.planned
    run_study(tmp_path, replicates=4)
    saved.read(counts_only=False)

    with StoreReader(results) as store:
        summary = read_ledger(store).summary

    assert before == (48, 48)
    assert (saved.counts.done, saved.planned) == (summary.done, summary.planned) == (64, 64)


def test_what_only_python_knows_is_counted_without_a_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = run_study(tmp_path)

    def unknown(self: Any) -> ps.Study:
        raise ValueError("only Python knows it")

    monkeypatch.setattr(StoreReader, "study", unknown)
    saved = Saved(results)
    saved.read(counts_only=False)

    assert saved.matrix is None
    assert saved.counts.done == 48
    assert not saved.is_blind

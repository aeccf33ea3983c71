"""What has ended is saved by a process that ends although its event loop stands still."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from penstock.results import RunResult, RunStatus
from penstock.store.files.opening import open_store
from penstock.store.reader import StoreReader
from tests.builders import make_error, make_plan, make_result

pytestmark = pytest.mark.anyio

PLAN = make_plan(replicates=3)


def paid(position: int, **fields: Any) -> RunResult:
    metrics = {"cost_usd": 0.5, "input_tokens": 1, "output_tokens": 2}
    return make_result(PLAN[position], metrics=metrics, **fields)


def counted(directory: Path) -> tuple[Any, ...]:
    with closing(sqlite3.connect(directory / "study.sqlite")) as plain:
        (row,) = plain.execute(
            "SELECT started, attempts, succeeded, failed, agent_cost_usd FROM session"
        ).fetchall()
        return tuple(row)


@pytest.mark.field("studies-SEC3")
async def test_what_is_saved_already_is_not_saved_again_and_the_rest_is_counted(
    tmp_path: Path,
) -> None:
    async with open_store(tmp_path) as store:
        await store.begin(PLAN)
        store.note_start(4)
        await store.save([(paid(0), True)])
        failed = paid(2, error=make_error())
        ended = [(paid(0), True), (paid(1), True), (failed, True)]

        assert store.save_at_once(ended) == 2
        assert store.save_at_once(ended) == 0

    with StoreReader(tmp_path) as reader:
        assert [each.run_id for each in reader.results()] == [PLAN[at].run_id for at in range(3)]

    assert counted(tmp_path) == (4, 3, 2, 1, 1.5)


async def test_an_answer_that_waits_for_its_scores_is_saved_and_scored_in_its_place(
    tmp_path: Path,
) -> None:
    async with open_store(tmp_path) as store:
        await store.begin(PLAN)
        store.note_start(2)
        await store.save([(paid(0, status=RunStatus.SCORING), False)])
        ended = [(paid(0), True), (paid(1, status=RunStatus.SCORING), False)]

        assert store.save_at_once(ended) == 2

    assert counted(tmp_path) == (2, 2, 1, 0, 1.0)
    with closing(sqlite3.connect(tmp_path / "study.sqlite")) as plain:
        rows = plain.execute("SELECT position, status FROM attempt ORDER BY position").fetchall()

    assert rows == [(0, "success"), (1, "scoring")]


async def test_one_that_cannot_be_stored_keeps_no_other_from_it(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.begin(PLAN)
        unstorable = paid(0).model_copy(update={"trace_refs": (object(),)})

        assert store.save_at_once([(unstorable, True), (paid(1), True)]) == 1

    with StoreReader(tmp_path) as reader:
        assert [each.run_id for each in reader.results()] == [PLAN[1].run_id]

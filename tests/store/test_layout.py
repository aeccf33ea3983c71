"""Stores of others: their views are not looked through, and their tables must be tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import penstock as ps
from penstock.errors import ForeignDirectoryError, StoreError
from penstock.store.files.opening import open_store
from penstock.store.ledger import read_ledger
from penstock.store.reader import StoreReader
from penstock.store.views import VIEWS
from tests.builders import make_plan, make_result, make_study

pytestmark = pytest.mark.anyio

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"


def forge(directory: Path, *statements: str) -> None:
    with closing(sqlite3.connect(directory / "study.sqlite", isolation_level=None)) as store:
        for each in statements:
            store.execute(each)


async def made(directory: Path) -> Path:
    plan = make_plan()
    async with open_store(directory) as store:
        await store.begin(plan)
        await store.save([(make_result(spec), True) for spec in plan])
        await store.end("complete")

    return directory


@pytest.mark.field("studies-SEC7")
async def test_views_of_a_store_that_say_something_else_are_not_believed(tmp_path: Path) -> None:
    directory = await made(tmp_path / "results")
    names = [view.split()[2] for view in VIEWS]
    for name in names:
        forge(directory, f"DROP VIEW {name}", f"CREATE VIEW {name} AS {ENDLESS}")

    with StoreReader(directory) as store:
        assert read_ledger(store).summary.succeeded == 2
        assert [each.spec for each in store.results()] == list(make_plan())
        assert len(list(store.table("SELECT * FROM runs"))) == 2


async def test_views_of_one_s_own_stay_and_are_seen(tmp_path: Path) -> None:
    directory = await made(tmp_path / "results")
    forge(directory, "CREATE VIEW mine AS SELECT run_id FROM runs")

    with StoreReader(directory) as store:
        assert len(list(store.table("SELECT * FROM mine"))) == 2


@pytest.mark.field("studies-SEC7")
@pytest.mark.parametrize("name", ["attempt", "session", "study"])
async def test_a_view_in_the_place_of_a_table_is_refused(tmp_path: Path, name: str) -> None:
    directory = await made(tmp_path / "results")
    forge(directory, f"DROP TABLE {name}", f"CREATE VIEW {name} AS {ENDLESS}")
    said = f"was edited: {name} should be a table, and is a view"

    with pytest.raises(StoreError, match=said):
        StoreReader(directory)

    bindings = {"agent-a": lambda ctx: "42"}
    with pytest.raises(ForeignDirectoryError, match=said):
        await ps.StudyRunner(make_study(), agent_bindings=bindings, output_dir=directory).run()

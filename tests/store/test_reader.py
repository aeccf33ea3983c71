from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from penstock.errors import SchemaError, StoreError
from penstock.planning.plan import Plan
from penstock.store.files.opening import open_store
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION
from penstock.store.wide_rows import wide_rows
from tests.builders import make_error, make_observation, make_plan, make_result

pytestmark = pytest.mark.anyio


async def stored(directory: Path, plan: Plan, *positions: int) -> None:
    """Store a result for some runs of a plan, last first."""
    async with open_store(directory) as store:
        await store.begin(plan)
        await store.save(
            [
                (
                    make_result(
                        plan[position],
                        scores={"score": position},
                        metrics={"cost_usd": 0.5, "latency_s": 9.0, "mine": position},
                        reported=(make_observation(plan[position], text=f"said {position}"),),
                    ),
                    True,
                )
                for position in sorted(positions, reverse=True)
            ]
        )
        await store.end("complete")


async def test_results_come_in_plan_order_with_what_belongs_to_them(tmp_path: Path) -> None:
    plan = make_plan(list(range(7)))
    await stored(tmp_path, plan, 0, 2, 3, 6)

    with StoreReader(tmp_path) as store:
        results = list(store.results())
        assert store.study_id == "tested"
        assert store.count() == 4

    assert [result.spec for result in results] == [plan[i] for i in (0, 2, 3, 6)]
    assert [result.evaluations[0].metric_value for result in results] == [0, 2, 3, 6]
    assert [result.observations[0].text for result in results] == [
        f"said {i}" for i in (0, 2, 3, 6)
    ]


@pytest.mark.parametrize(
    ("start", "stop", "positions"),
    [
        (0, None, [0, 2, 3, 6]),
        (1, None, [2, 3, 6]),
        (1, 3, [2, 3]),
        (3, 4, [6]),
        (4, 5, []),
        (2, 2, []),
        (3, 1, []),
    ],
)
async def test_a_part_of_the_results_can_be_read(
    tmp_path: Path, start: int, stop: int | None, positions: list[int]
) -> None:
    plan = make_plan(list(range(7)))
    await stored(tmp_path, plan, 0, 2, 3, 6)

    with StoreReader(tmp_path) as store:
        assert [result.spec.position for result in store.results(start, stop)] == positions


async def test_more_results_than_one_chunk_are_read_to_the_end(tmp_path: Path) -> None:
    plan = make_plan(replicates=600)
    await stored(tmp_path, plan, *range(1200))

    with StoreReader(tmp_path) as store:
        read = [result.spec.position for result in store.results()]
        part = [result.spec.position for result in store.results(499, 1001)]

    assert read == list(range(1200))
    assert part == list(range(499, 1001))


async def test_a_result_is_read_by_its_position(tmp_path: Path) -> None:
    plan = make_plan(list(range(7)))
    await stored(tmp_path, plan, 0, 2, 3)

    with StoreReader(tmp_path) as store:
        assert store.result_at(2).spec == plan[2]


async def test_run_rows_hold_columns_assignments_and_metrics(tmp_path: Path) -> None:
    plan = make_plan(["polite", None])
    await stored(tmp_path, plan, 0, 1)

    with StoreReader(tmp_path) as store:
        first, second = wide_rows(store)

    assert first["tone"] == "polite"
    assert second["tone"] is None
    assert (first["run_id"], first["seed"], first["status"]) == (
        plan[0].run_id,
        plan[0].seed,
        "success",
    )
    assert (first["mine"], second["mine"]) == (0, 1)
    assert (first["cost_usd"], first["latency_s"]) == (0.5, 0.25)  # the column, not the metric


async def test_runs_are_counted_by_how_they_ended(tmp_path: Path) -> None:
    plan = make_plan(["a", "b", "c"])
    await stored(tmp_path, plan, 0, 1)
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        await store.save([(make_result(plan[2], error=make_error()), True)])

    with StoreReader(tmp_path) as reader:
        assert reader.status_counts() == {"failed": 1, "success": 2}


async def test_an_answer_s_text_is_read_where_the_agent_reported_nothing(tmp_path: Path) -> None:
    plan = make_plan(["a", "b"])
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        await store.save(
            [
                (make_result(plan[0], outputs_json='{"text":"the answer"}'), True),
                (make_result(plan[1], outputs_json='{"answer":7}'), True),
            ]
        )

    with StoreReader(tmp_path) as reader:
        texts = [result.observations[0].text for result in reader.results()]
        assert [row["text"] for row in reader.rows("SELECT text FROM events")] == [
            "the answer",
            "",
        ]

    assert texts == ["the answer", ""]


@pytest.mark.field("engine-G9")
async def test_a_result_is_found_without_a_look_at_all_conditions(tmp_path: Path) -> None:
    await stored(tmp_path, make_plan(), 0, 1)
    asked: list[str] = []
    with StoreReader(tmp_path) as reader:
        reader._connection.set_trace_callback(asked.append)
        reader.result_at(1)
        reader._connection.set_trace_callback(None)
        steps = [row[-1] for each in asked for row in reader.table(f"EXPLAIN QUERY PLAN {each}")]

    assert any("condition USING INDEX condition_by_id" in step for step in steps)
    assert not [step for step in steps if "AUTOMATIC" in step]


@pytest.mark.field("engine-G16")
@pytest.mark.parametrize("view", ["runs", "events", "evaluations", "attempts"])
async def test_one_run_is_found_in_the_views_without_a_look_at_the_others(
    tmp_path: Path, view: str
) -> None:
    plan = make_plan()
    await stored(tmp_path, plan, 0, 1)
    query = f"SELECT * FROM {view} WHERE run_id = '{plan[1].run_id}'"
    with StoreReader(tmp_path) as reader:
        steps = [row[-1] for row in reader.table(f"EXPLAIN QUERY PLAN {query}")]
        assert {row["run_id"] for row in reader.rows(query)} == {plan[1].run_id}

    of_attempts = [step for step in steps if "INDEX attempt_by_run" in step]
    assert len(of_attempts) == (2 if view == "events" else 1)
    assert not [step for step in steps if step.startswith(("SCAN attempt", "SCAN a "))]


async def test_a_reader_does_not_write(tmp_path: Path) -> None:
    await stored(tmp_path, make_plan(), 0)

    with (
        StoreReader(tmp_path) as store,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        list(store.rows("DELETE FROM attempt"))


async def test_a_snapshot_is_of_one_moment(tmp_path: Path) -> None:
    plan = make_plan()
    await stored(tmp_path, plan, 0)
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        with StoreReader(tmp_path) as reader:
            with reader.snapshot():
                assert reader.count() == 1
                await store.save([(make_result(plan[1]), True)])
                assert reader.count() == 1

            assert reader.count() == 2


async def test_a_copy_is_whole(tmp_path: Path) -> None:
    await stored(tmp_path, make_plan(), 0, 1)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "study.sqlite").write_text("an older file")

    with StoreReader(tmp_path) as store:
        store.copy_to(tmp_path / "copy" / "study.sqlite")

    with StoreReader(tmp_path / "copy") as copy:
        assert copy.count() == 2


def test_a_directory_without_a_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"holds no study: there is no study\.sqlite in it"):
        StoreReader(tmp_path)


def test_a_store_that_was_never_begun_says_so(tmp_path: Path) -> None:
    from penstock.store.views import SCHEMA

    with closing(sqlite3.connect(tmp_path / "study.sqlite")) as connection:
        connection.executescript(SCHEMA)

    with StoreReader(tmp_path) as store, pytest.raises(StoreError, match="never begun"):
        store.definition()


def test_files_that_are_no_store_of_ours_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.sqlite"
    path.write_text("notes, and not short ones " * 100)
    with pytest.raises(StoreError, match="cannot be read: file is not a database"):
        StoreReader(tmp_path)

    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")

    with pytest.raises(StoreError, match="SQLite file of another program"):
        StoreReader(tmp_path)


async def test_a_newer_layout_is_refused(tmp_path: Path) -> None:
    await stored(tmp_path, make_plan(), 0)
    with closing(sqlite3.connect(tmp_path / "study.sqlite")) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    with pytest.raises(SchemaError, match="upgrade penstock"):
        StoreReader(tmp_path)

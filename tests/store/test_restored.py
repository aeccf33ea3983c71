from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import StoreError
from penstock.planning.plan import Plan
from penstock.store.continuing import restored
from penstock.store.continuing.beginning import declared_problems
from penstock.store.files.opening import open_store
from penstock.store.reader import StoreReader, holds_plan
from penstock.store.schema import UNFINISHED
from tests.builders import make_error, make_plan, make_result, make_study

pytestmark = pytest.mark.anyio


async def session(directory: Path, plan: Plan, *positions: int) -> list[int]:
    """Save results at some positions, and say which were kept from earlier sessions."""
    async with open_store(directory) as store:
        left = await store.begin(plan)
        await store.save([(make_result(plan[at]), True) for at in positions])
        await store.end("complete")

    return list(left.done)


def query(directory: Path, text: str) -> list[Any]:
    with closing(sqlite3.connect(directory / "study.sqlite")) as plain:
        return plain.execute(text).fetchall()


async def test_what_was_done_is_known_from_indexes_alone(tmp_path: Path) -> None:
    await session(tmp_path, make_plan())

    for looked_at, index in (
        (restored._FINISHED, "INDEX result_by_position"),
        (f"{restored._ATTEMPTED} WHERE {UNFINISHED}", "COVERING INDEX unfinished_by_"),
    ):
        ((*_, step),) = query(tmp_path, f"EXPLAIN QUERY PLAN {looked_at}")
        assert index in step


async def test_an_order_is_followed_to_the_last_run_that_is_made_and_no_further() -> None:
    def order() -> Iterator[int]:
        yield from (2, 0)
        pytest.fail("what is done is walked to the end")

    async def recall(position: int) -> Any:
        pytest.fail(f"{position} wants no scoring")

    left = restored.Restored.nothing(3)
    jobs = left.jobs(order(), bytearray(b"\x01\x00\x01"), recall, lambda _: None)
    assert [(job.position, job.planned_order) for job in jobs] == [(2, 0), (0, 1)]
    assert not list(left.jobs(order(), bytearray(3), recall, lambda _: None))


async def test_levels_that_change_their_places_take_their_results_along(tmp_path: Path) -> None:
    await session(tmp_path, make_plan(["a", "b", "c"]), 0, 1)
    other = make_plan(["b", "c", "a", "d"])

    assert await session(tmp_path, other, 3) == [1, 0, 1, 0]

    with StoreReader(tmp_path) as store:
        assert [each.run_id for each in store.results()] == [other[i].run_id for i in (0, 2, 3)]


async def test_a_run_has_one_result_also_after_it_was_moved(tmp_path: Path) -> None:
    await session(tmp_path, make_plan(), 0, 1)
    wider = make_plan(["new", "a", "b"])

    with pytest.raises(StoreError, match="UNIQUE constraint failed"):
        await session(tmp_path, wider, 1)

    assert await session(tmp_path, wider) == [0, 1, 1]


@pytest.mark.field("engine-G13")
async def test_attempts_that_are_no_results_go_with_their_run_and_are_counted_on(
    tmp_path: Path,
) -> None:
    plan = make_plan()
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        await store.save([(make_result(plan[0], error=make_error(), attempt=3), False)])

    wider, without, other_seeds = (
        make_plan(["new", "a", "b"]),
        make_plan(["new", "b"]),
        make_plan(["new", "a"], base_seed=5),
    )
    for each, expected in ((wider, {1: 3}), (without, {}), (wider, {1: 3}), (other_seeds, {})):
        async with open_store(tmp_path) as store:
            forecast = would_restore(tmp_path, each)
            left = await store.begin(each)

        assert left.attempts == forecast.attempts == expected


def would_restore(directory: Path, plan: Plan) -> restored.Restored:
    with StoreReader(directory) as store:
        bindings = declared_problems(plan.study)
        return restored.would_restore(store.connection, directory, plan, bindings, rescore=False)


async def test_a_large_plans_ids_are_compared_once_and_not_in_every_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("penstock.planning.plan", "penstock.runner"):
        monkeypatch.setattr(f"{module}.COMPARED_AT_ONCE", 1)

    async def run(*levels: str, **options: Any) -> ps.StudySummary:
        agents = {"agent-a": lambda: "x"}
        study = make_study(levels)
        return await ps.StudyRunner(
            study, agent_bindings=agents, output_dir=tmp_path / "out", **options
        ).run()

    await run("a", "b")
    monkeypatch.setattr("penstock.planning.plan.run_id", lambda *_, **__: "run-0123456789ab")
    monkeypatch.setattr("penstock.planning.plan.run_numbers", lambda *_: [0x0123456789AB])

    assert (await run("a", "b")).session.restored == 2  # they would be found to collide
    for levels, is_fresh in (("abc", False), ("ab", True)):
        with pytest.raises(ps.ValidationError, match="run-0123456789ab by chance"):
            await run(*levels, fresh=is_fresh)


@pytest.mark.parametrize("what", ["nothing", "no store"])
async def test_where_there_is_no_store_no_plan_was_begun(tmp_path: Path, what: str) -> None:
    if what == "no store":
        (tmp_path / "study.sqlite").write_bytes(b"something else, and long enough" * 40)

    plan = make_plan()
    assert not holds_plan(tmp_path, plan)

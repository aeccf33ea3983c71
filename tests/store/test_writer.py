from __future__ import annotations

import asyncio  # noqa: TID251 - the cancellations that pass every shield
import json
import math
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import penstock as ps
from penstock.errors import ForeignDirectoryError, SchemaError, StoreError, SubscriberError
from penstock.planning.plan import Plan
from penstock.results import RunResult, RunStage, RunStatus
from penstock.store.continuing.restored import Restored
from penstock.store.files import opening
from penstock.store.files.opening import open_store
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION
from penstock.store.writer import Store
from penstock.study.problem import Problem
from tests.builders import make_error, make_observation, make_plan, make_result, make_study
from tests.children import ROOT, start_python

pytestmark = pytest.mark.anyio


def query(directory: Path, text: str) -> list[tuple[Any, ...]]:
    """Read as any SQL tool would."""
    with closing(sqlite3.connect(f"file:{directory / 'study.sqlite'}?mode=ro", uri=True)) as plain:
        return plain.execute(text).fetchall()


def store_files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("study.sqlite*"))


async def session(
    directory: Path, plan: Plan, *results: RunResult, final: bool = True, **options: Any
) -> Restored:
    """Open the store, save results, and close it."""
    async with open_store(directory) as store:
        restored = await store.begin(plan, **options)
        if results:
            await store.save([(result, final) for result in results])

        await store.end("complete")

    return restored


async def test_a_new_store_is_empty_and_knows_who_writes(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "er"
    restored = await session(directory, make_plan())

    assert (restored.kept, restored.attempts, restored.answered) == (0, {}, set())
    assert query(directory, "SELECT pid, host, ending, planned FROM session") == [
        (os.getpid(), socket.gethostname(), "complete", 2)
    ]


@pytest.mark.field("studies-B5")
async def test_readers_are_in_nobody_s_way_while_a_study_runs_and_then_one_file_is_left(
    tmp_path: Path,
) -> None:
    async with open_store(tmp_path) as store:
        await store.begin(make_plan())
        assert query(tmp_path, "PRAGMA journal_mode") == [("wal",)]
        with closing(sqlite3.connect(tmp_path / "study.sqlite")) as reader:
            reader.execute("SELECT count(*) FROM attempt").fetchall()
            await store.end("complete")

    assert query(tmp_path, "PRAGMA journal_mode") == [("delete",)]
    assert store_files(tmp_path) == ["study.sqlite"]


async def test_a_log_that_somebody_reads_is_left_as_it_is(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.begin(make_plan())
        reader = sqlite3.connect(tmp_path / "study.sqlite")
        reader.execute("SELECT count(*) FROM attempt").fetchall()

    with closing(reader):
        assert query(tmp_path, "PRAGMA journal_mode") == [("wal",)]


async def test_a_study_does_not_begin_beside_a_program_that_holds_its_finished_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_TIMEOUT_S", 0.0)
    await session(tmp_path, make_plan())
    with closing(sqlite3.connect(tmp_path / "study.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM attempt").fetchall()
        with pytest.raises(StoreError, match="another program holds it in a transaction"):
            await session(tmp_path, make_plan())

    assert (await session(tmp_path, make_plan())).kept == 0


async def test_what_is_saved_is_read_back_as_it_was(tmp_path: Path) -> None:
    plan = make_plan()
    spec = plan[1]
    result = make_result(
        spec,
        outputs_json='{"text":"42","n":[1,2.5,null,true]}',
        metrics={"cost_usd": 0.25, "input_tokens": 7, "primary_outcome": 0.5, "note": "n"},
        scores={"a": 1, "b": 0.5, "c": "good", "d": None},
        reported=(make_observation(spec), make_observation(spec, tool_name="web", level="run")),
        trace_refs=("t.json",),
        provenance={"model_name": "m", "problem_family": "unknown"},
        planned_order=5,
        started_order=3,
    )
    await session(tmp_path, plan, result)

    with StoreReader(tmp_path) as store:
        assert list(store.results()) == [result]


async def test_a_failure_is_read_back_as_it_was(tmp_path: Path) -> None:
    plan = make_plan()
    error = make_error(traceback="Traceback: ...", stage=RunStage.OUTPUT, retryable=False)
    result = make_result(plan[0], error=error)
    await session(tmp_path, plan, result)

    with StoreReader(tmp_path) as store:
        assert list(store.results()) == [result]


async def test_what_succeeded_is_kept_and_what_failed_runs_again(tmp_path: Path) -> None:
    plan = make_plan(["a", "b", "c", "d", "e"])
    skipped = make_result(plan[3], error=make_error()).model_copy(
        update={"status": RunStatus.SKIPPED}
    )
    unscored = make_result(plan[4], error=make_error(stage=RunStage.EVALUATOR))
    await session(
        tmp_path,
        plan,
        make_result(plan[0]),
        make_result(plan[1], error=make_error(), attempt=3),
        skipped,
        unscored,
    )

    restored = await session(tmp_path, plan)

    assert list(restored.done) == [1, 0, 0, 1, 0]
    assert restored.kept == 2
    assert restored.attempts == {1: 3, 4: 1}
    assert restored.answered == {4}


async def test_answers_can_be_scored_again_where_that_is_asked_for(tmp_path: Path) -> None:
    plan = make_plan()
    await session(tmp_path, plan, make_result(plan[0], scores={"old": 1}))

    async with open_store(tmp_path) as store:
        restored = await store.begin(plan, rescore=True)
        assert (restored.kept, restored.answered) == (0, {0})

        recalled = await store.recall(0)
        assert recalled.outputs == {"text": "42"}
        assert [row.metric_name for row in recalled.evaluations] == ["old"]
        again = make_result(plan[0], scores={"new": 2}, metrics={"primary_outcome": 2})
        await store.save([(again.model_copy(update={"is_rescored": True}), True)])

    assert query(tmp_path, "SELECT metric_name, metric_value FROM evaluations") == [("new", 2)]
    assert query(tmp_path, "SELECT primary_outcome, attempts FROM runs") == [(2, 1)]


async def test_a_score_whose_error_holds_half_a_surrogate_pair_is_saved(tmp_path: Path) -> None:
    plan = make_plan()
    await session(tmp_path, plan, make_result(plan[0]))
    bad = make_result(plan[0], error=make_error(message="half \ud83d", stage=RunStage.EVALUATOR))

    await session(tmp_path, plan, bad.model_copy(update={"is_rescored": True}))

    assert query(tmp_path, "SELECT error_info FROM runs") == [("ValueError: half \\ud83d",)]


async def test_a_run_has_one_result_and_keeps_its_earlier_attempts(tmp_path: Path) -> None:
    plan = make_plan()
    await session(tmp_path, plan, make_result(plan[0], error=make_error()))
    async with open_store(tmp_path) as store:
        restored = await store.begin(plan)
        assert restored.attempts == {0: 1}
        await store.save([(make_result(plan[0], error=make_error(), attempt=2), False)])
        await store.save([(make_result(plan[0], attempt=3, metrics={"cost_usd": 2.0}), True)])

    assert query(tmp_path, "SELECT attempt, final, status, session_id FROM attempts") == [
        (1, 0, "failed", 1),
        (2, 0, "failed", 2),
        (3, 1, "success", 2),
    ]
    assert query(tmp_path, "SELECT run_id, status, cost_usd, attempts FROM runs") == [
        (plan[0].run_id, "success", 2.0, 3)
    ]


async def test_attempts_of_a_run_that_was_to_be_tried_again_are_counted(tmp_path: Path) -> None:
    plan = make_plan()
    await session(tmp_path, plan, make_result(plan[1], error=make_error(), attempt=2), final=False)

    restored = await session(tmp_path, plan)

    assert (list(restored.done), restored.attempts) == ([0, 0], {1: 2})


async def test_two_results_of_one_run_are_an_error_and_nothing_of_the_group_is_kept(
    tmp_path: Path,
) -> None:
    plan = make_plan()
    with pytest.raises(
        StoreError, match=r"UNIQUE constraint failed.*what was saved before is kept"
    ):
        await session(tmp_path, plan, *[make_result(plan[i]) for i in (1, 0, 0)])

    assert query(tmp_path, "SELECT * FROM attempt") == []


async def test_a_group_that_fails_leaves_the_store_usable(tmp_path: Path) -> None:
    plan = make_plan()
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        with pytest.raises(StoreError, match="UNIQUE"):
            await store.save([(make_result(plan[0]), True)] * 2)

        await store.save([(make_result(plan[0]), True)])

    assert query(tmp_path, "SELECT count(*) FROM runs") == [(1,)]


SAVING = """
import sys, anyio
from pathlib import Path
from penstock.store.files.opening import open_store
from tests.builders import make_plan, make_result

async def main():
    plan = make_plan(replicates=50_000)
    async with open_store(Path(sys.argv[1])) as store:
        await store.begin(plan)
        for first in range(0, len(plan), 50):
            await store.save([(make_result(plan[i]), True) for i in range(first, first + 50)])
            print(first + 50, flush=True)

anyio.run(main)
"""


@pytest.fixture
def saving(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that saves results and says how many are safe."""
    process = start_python("-c", SAVING, tmp_path, stdout=subprocess.PIPE, cwd=ROOT)
    yield process
    process.kill()
    process.communicate()


async def test_what_was_said_to_be_saved_survives_a_kill(
    tmp_path: Path, saving: subprocess.Popen[str]
) -> None:
    assert saving.stdout is not None
    told = [int(saving.stdout.readline()) for _ in range(5)][-1]
    saving.send_signal(signal.SIGKILL)
    saving.wait()

    plan = make_plan(replicates=50_000)
    restored = await session(tmp_path, plan)

    assert restored.kept >= told == 250
    assert restored.kept % 50 == 0  # whole groups only
    assert query(tmp_path, "SELECT ending FROM session ORDER BY id") == [(None,), ("complete",)]
    assert query(tmp_path, "PRAGMA integrity_check") == [("ok",)]


async def test_any_sql_tool_reads_the_views_while_another_process_writes(
    tmp_path: Path, saving: subprocess.Popen[str]
) -> None:
    assert saving.stdout is not None
    for _ in range(3):
        told = int(saving.stdout.readline())
        ((runs,),) = query(tmp_path, "SELECT count(*) FROM runs")
        ((events,),) = query(tmp_path, "SELECT count(*) FROM events")
        assert told <= runs <= events
        assert query(tmp_path, "SELECT text FROM events LIMIT 1") == [("42",)]

    with StoreReader(tmp_path) as store, store.snapshot():
        before = store.count()
        int(saving.stdout.readline())
        int(saving.stdout.readline())
        assert store.count() == before


async def test_a_row_prepended_to_the_design_is_one_new_run(tmp_path: Path) -> None:
    """The ids of conditions do not depend on their place (a matrix of 6 rows gets a seventh)."""
    old = make_plan(["a", "b", "c", "d", "e", "f"])
    await session(tmp_path, old, *map(make_result, old))
    new = make_plan(["new", "a", "b", "c", "d", "e", "f"])

    restored = await session(tmp_path, new)

    assert list(restored.done) == [0, 1, 1, 1, 1, 1, 1]
    assert query(tmp_path, "SELECT run_id FROM runs") == [(spec.run_id,) for spec in old]
    assert query(tmp_path, "SELECT condition_id FROM conditions") == [
        (condition.condition_id,) for condition in new.conditions
    ]


async def test_results_outside_the_plan_are_kept_and_not_shown(tmp_path: Path) -> None:
    full, part = make_plan(["a", "b", "c"]), make_plan(["c"])
    await session(tmp_path, full, *map(make_result, full))

    restored = await session(tmp_path, part)
    assert list(restored.done) == [1]
    assert query(tmp_path, "SELECT run_id, position FROM runs") == [(part[0].run_id, 0)]
    assert query(tmp_path, "SELECT count(*) FROM attempts") == [(3,)]
    with StoreReader(tmp_path) as store:
        assert (store.count(), store.status_counts()) == (1, {"success": 1})
        assert [result.run_id for result in store.results()] == [part[0].run_id]

    restored = await session(tmp_path, full)
    assert list(restored.done) == [1, 1, 1]
    assert query(tmp_path, "SELECT run_id FROM runs") == [(spec.run_id,) for spec in full]


async def test_another_seed_policy_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    plan = make_plan()
    await session(tmp_path, plan, make_result(plan[0]))

    with pytest.raises(ForeignDirectoryError, match="another seed policy; restore base_seed"):
        await session(tmp_path, make_plan(base_seed=1))

    assert (await session(tmp_path, plan)).kept == 1


async def test_another_seed_policy_is_accepted_where_nothing_has_been_run(tmp_path: Path) -> None:
    await session(tmp_path, make_plan())

    assert (await session(tmp_path, make_plan(base_seed=1))).kept == 0


async def test_another_study_is_refused(tmp_path: Path) -> None:
    await session(tmp_path, make_plan())

    with pytest.raises(ForeignDirectoryError, match="holds study 'tested', not 'other'; run in"):
        await session(tmp_path, make_plan(study_id="other"))


async def test_what_is_declared_now_is_what_is_exported(tmp_path: Path) -> None:
    await session(
        tmp_path, make_plan(notes="old", problems=(Problem(problem_id="p", brief="old"),))
    )
    await session(
        tmp_path, make_plan(notes="new", problems=(Problem(problem_id="p", brief="new"),))
    )

    with StoreReader(tmp_path) as store:
        assert store.definition()["notes"] == "new"
        assert [json.loads(line)["brief"] for line in store.problems()] == ["new"]


async def test_a_problem_whose_payload_holds_an_object_is_kept_without_it(tmp_path: Path) -> None:
    payload = {"problem_object": object(), "expected": 1}
    problem = Problem(problem_id="p", brief="b", payload=payload)
    await session(tmp_path, make_plan(problems=(problem,)))

    with StoreReader(tmp_path) as store:
        (line,) = store.problems()

    assert json.loads(line)["brief"] == "b"
    assert json.loads(line)["payload"] == {"expected": 1}


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


async def test_an_sqlite_file_of_something_else_is_refused_and_untouched(tmp_path: Path) -> None:
    foreign(tmp_path / "study.sqlite")
    before = (tmp_path / "study.sqlite").read_bytes()

    with pytest.raises(ForeignDirectoryError, match="is an SQLite file of another program"):
        await session(tmp_path, make_plan())

    assert (tmp_path / "study.sqlite").read_bytes() == before


async def test_a_file_that_is_no_sqlite_file_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "study.sqlite").write_text("my notes, and not short ones " * 100)

    with pytest.raises(ForeignDirectoryError, match="is not a store that can be read"):
        await session(tmp_path, make_plan())

    assert (tmp_path / "study.sqlite").read_text().startswith("my notes")


async def test_a_newer_layout_is_refused(tmp_path: Path) -> None:
    await session(tmp_path, make_plan())
    newer(tmp_path / "study.sqlite")

    with pytest.raises(SchemaError, match=rf"layout {SCHEMA_VERSION + 1}, .*; upgrade penstock"):
        await session(tmp_path, make_plan())


@pytest.mark.parametrize("kept", [50, 0.5])
async def test_a_truncated_file_is_refused(tmp_path: Path, kept: float) -> None:
    plan = make_plan(list(range(200)))
    await session(tmp_path, plan, *map(make_result, plan))
    path = tmp_path / "study.sqlite"
    data = path.read_bytes()
    path.write_bytes(data[: int(kept if kept > 1 else kept * len(data))])

    with pytest.raises(StoreError, match=r"study\.sqlite.*(malformed|not a database)"):
        await session(tmp_path, plan)


@pytest.mark.parametrize("is_there", [True, False])
async def test_results_without_a_store_are_refused(tmp_path: Path, is_there: bool) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    if is_there:
        (tmp_path / "study.sqlite").touch()

    with pytest.raises(ForeignDirectoryError, match="another tool's, or the file was emptied"):
        await session(tmp_path, make_plan())

    assert (tmp_path / "manifest.json").read_text() == "{}"


async def test_a_directory_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="file"):
        await session(tmp_path / "file" / "inside", make_plan())


HALF = "half \ud83d of a pair"
WRITTEN = "half \\ud83d of a pair"


async def test_half_a_surrogate_pair_is_kept_wherever_it_stands(tmp_path: Path) -> None:
    plan = make_plan(["a", "b", "c", "d"])
    results = [
        make_result(plan[0]),  # the group is written again as a whole, not twice
        make_result(plan[1], outputs_json=json.dumps({"text": HALF})),
        make_result(
            plan[2],
            reported=(make_observation(plan[2], text=HALF),),
            scores={HALF: HALF},
            metrics={"primary_outcome": HALF},
            provenance={"problem_family": "f", "model_name": HALF, "deep": [{HALF: HALF}]},
            trace_refs=(HALF,),
        ),
        make_result(plan[3], error=make_error(message=HALF, traceback=HALF)),
    ]
    await session(tmp_path, plan, *results)

    texts = "SELECT text FROM events WHERE event_type <> 'run_failed' ORDER BY position, number"
    assert query(tmp_path, texts) == [("42",), (WRITTEN,), (WRITTEN,), ("42",)]
    assert query(tmp_path, "SELECT metric_name, metric_value FROM evaluations") == [
        (WRITTEN, WRITTEN)
    ]
    assert query(tmp_path, "SELECT model_name, trace_path, error_info FROM runs")[2:] == [
        (WRITTEN, WRITTEN, None),
        ("unknown", "", f"ValueError: {WRITTEN}"),
    ]
    with StoreReader(tmp_path) as store:
        assert [result.outputs for result in store.results()][1] == {"text": HALF}


async def test_nan_and_infinity_are_kept_in_outputs(tmp_path: Path) -> None:
    plan = make_plan()
    result = make_result(
        plan[0],
        outputs_json='{"text":"said","loss":NaN,"bound":-Infinity}',
        scores={"loss": float("nan"), "bound": float("-inf")},
        metrics={"loss": float("nan")},
        provenance={"problem_family": "f", "loss": float("nan")},
    )
    await session(tmp_path, plan, result)

    assert query(tmp_path, "SELECT text FROM events") == [("said",)]
    assert query(tmp_path, "SELECT metric_value FROM evaluations") == [(None,), (-math.inf,)]
    assert query(tmp_path, "SELECT problem_family FROM runs")
    with StoreReader(tmp_path) as store:
        (read,) = store.results()

    assert math.isnan(read.outputs["loss"])
    assert read.outputs["bound"] == -math.inf
    assert math.isnan(read.metrics["loss"])


async def test_numbers_too_large_for_sqlite_are_kept_as_text(tmp_path: Path) -> None:
    plan = make_plan()
    large = 2**70
    await session(
        tmp_path,
        plan,
        make_result(plan[0], scores={"n": large}, metrics={"primary_outcome": large}),
    )

    assert query(tmp_path, "SELECT metric_value FROM evaluations") == [(str(large),)]
    assert query(tmp_path, "SELECT primary_outcome FROM runs") == [(str(large),)]
    with StoreReader(tmp_path) as store:
        assert [result.primary_outcome for result in store.results()] == [large]


async def test_true_and_false_are_kept_apart_from_one_and_zero(tmp_path: Path) -> None:
    plan = make_plan()
    await session(tmp_path, plan, make_result(plan[0], scores={"a": True, "b": 1, "c": 2.0}))

    assert query(tmp_path, "SELECT metric_value FROM evaluations") == [("True",), (1,), (2.0,)]


async def test_a_text_of_200_000_characters_is_kept_whole(tmp_path: Path) -> None:
    plan = make_plan()
    text = "x" * 199_999 + "é"
    await session(tmp_path, plan, make_result(plan[0], outputs_json=json.dumps({"text": text})))

    assert query(tmp_path, "SELECT text FROM events") == [(text,)]


def slowly(directory: Path) -> sqlite3.Connection:
    """Hold the file, so that whoever writes must wait."""
    connection = sqlite3.connect(directory / "study.sqlite", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


async def cancelled_while_saving(
    store: Store, directory: Path, results: Sequence[RunResult], *, scoped: bool
) -> bool:
    """Cancel a save that is under way; tell whether the one who waited was cancelled."""
    was_cancelled = False

    async def save() -> None:
        nonlocal was_cancelled
        try:
            await store.save([(result, True) for result in results])
            await anyio.lowlevel.checkpoint()
        except asyncio.CancelledError:
            was_cancelled = True
            raise

    with closing(slowly(directory)) as holder:
        async with anyio.create_task_group() as group:
            if scoped:
                group.start_soon(save)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await anyio.wait_all_tasks_blocked()
            else:
                task = asyncio.create_task(save())
                await anyio.wait_all_tasks_blocked()
                task.cancel()
                await anyio.wait_all_tasks_blocked()

            holder.execute("ROLLBACK")
            if not scoped:
                await asyncio.wait([task])

    return was_cancelled


@pytest.mark.parametrize("scoped", [True, False])
async def test_a_cancellation_while_a_commit_is_under_way_tears_nothing(
    tmp_path: Path, scoped: bool
) -> None:
    plan = make_plan(list(range(6)))
    results = [make_result(spec) for spec in plan]
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        await store.save([(result, True) for result in results[:2]])
        # asyncio's own cancellation has no effect: whoever waits for a commit hears how it ended
        was_cancelled = await cancelled_while_saving(store, tmp_path, results[2:4], scoped=scoped)
        assert was_cancelled is scoped
        await store.save([(result, True) for result in results[4:]])
        await store.end("stopped")

    assert (await session(tmp_path, plan)).kept == 6
    assert query(tmp_path, "SELECT ending FROM session WHERE id = 1") == [("stopped",)]


async def test_two_studies_are_stored_side_by_side(tmp_path: Path) -> None:
    plans = {name: make_plan(study_id=name) for name in ("one", "two")}
    async with open_store(tmp_path / "one") as one, open_store(tmp_path / "two") as two:
        for store, plan in zip((one, two), plans.values(), strict=True):
            await store.begin(plan)
            await store.save([(make_result(plan[0]), True)])

    for name in plans:
        assert query(tmp_path / name, "SELECT study_id FROM runs") == [(name,)]


async def test_an_answer_that_was_saved_before_its_scores_is_one_attempt_and_costs_once(
    tmp_path: Path,
) -> None:
    plan = make_plan()
    spec = plan[0]
    seen = (make_observation(spec),)
    result = make_result(spec, metrics={"cost_usd": 0.25}, scores={"a": 1}, reported=seen)
    judged = result.model_copy(update={"metrics": {**result.metrics, "judge_cost_usd": 0.5}})
    scoring = make_result(spec, metrics={"cost_usd": 0.25}, reported=seen).model_copy(
        update={"status": RunStatus.SCORING, "error": make_error(stage=RunStage.EVALUATOR)}
    )
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        await store.save([(scoring, False)])
        at_work = store.summary()
        await store.save([(judged, True)])
        summary = await store.end("complete")

    with StoreReader(tmp_path) as reader:
        assert list(reader.results()) == [judged]

    assert (at_work.attempts, at_work.cost_usd, at_work.succeeded) == (1, 0.25, 0)
    assert (summary.attempts, summary.cost_usd, summary.succeeded) == (1, 0.75, 1)
    assert query(tmp_path, "SELECT count(*) FROM attempt") == [(1,)]
    assert query(tmp_path, "SELECT count(*) FROM observation") == [(1,)]


@pytest.mark.field("studies-SEC7")
async def test_a_process_that_may_open_too_few_files_is_told_so_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "lack_of_files", lambda: "this process may have 10 files open")

    with pytest.raises(StoreError, match="results: this process may have 10 files open"):
        await session(tmp_path / "results", make_plan())

    assert not (tmp_path / "results").exists()


def remove(directory: Path) -> None:
    shutil.rmtree(directory)


def move(directory: Path) -> None:
    directory.rename(directory.with_name("moved"))


def replace(directory: Path) -> None:
    copy = directory.with_name("copy")
    shutil.copytree(directory, copy)
    move(directory)
    copy.rename(directory)


def remove_log(directory: Path) -> None:
    (directory / "study.sqlite-wal").unlink()


@pytest.mark.field("studies-SEC8")
@pytest.mark.parametrize("displace", [remove, move, replace, remove_log])
async def test_a_store_that_nobody_could_find_takes_no_more_results(
    tmp_path: Path, displace: Callable[[Path], None]
) -> None:
    plan, directory = make_plan(), tmp_path / "results"
    async with open_store(directory) as store:
        await store.begin(plan)
        await store.save([(make_result(plan[0]), True)])
        displace(directory)

        said = "was moved, removed or replaced while the study ran"
        with pytest.raises(StoreError, match=said):
            await store.save([(make_result(plan[1]), True)])

        with pytest.raises(StoreError, match=said):
            store.save_at_once([(make_result(plan[1]), True)])

        await store.end("failed")


@pytest.mark.field("studies-SEC8")
async def test_a_study_whose_directory_is_removed_stops_at_the_next_group(tmp_path: Path) -> None:
    directory, calls = tmp_path / "results", []

    async def agent(ctx: ps.RunContext) -> str:
        calls.append(ctx.spec.run_id)
        if len(calls) == 5:
            shutil.rmtree(directory)

        return "42"

    runner = ps.StudyRunner(
        make_study(replicates=1000), agent_bindings={"agent-a": agent}, output_dir=directory
    )
    with pytest.raises(SubscriberError, match=r"moved, removed or replaced.*the study stops"):
        await runner.run()

    assert len(calls) < 2000


async def test_a_judge_of_unknown_price_counts_also_where_its_answer_was_saved_before(
    tmp_path: Path,
) -> None:
    plan = make_plan()
    metrics = {"cost_usd": 0.5, "input_tokens": 1, "output_tokens": 2}
    answer = make_result(plan[0], metrics=metrics, status=RunStatus.SCORING)
    judged = make_result(plan[0], metrics={**metrics, "judge_cost_usd": None})
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        await store.save([(answer, False)])
        assert store.summary().unpriced == 0

        await store.save([(judged, True)])
        assert store.summary().unpriced == 1

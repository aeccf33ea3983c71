from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.errors import StoreError
from penstock.events import LimitChanged, StudyFinished
from penstock.events.bus import EventBus
from penstock.export.artifacts import export_artifacts
from penstock.planning.plan import Plan
from penstock.results import RunResult
from penstock.store.files.opening import open_store
from penstock.store.reader import StoreReader
from penstock.study.factors import Block, Constraint, Factor, Level
from penstock.study.files import load_study
from penstock.study.problem import Problem
from penstock.subscribers.export import EVENTS, export
from penstock.summary import StudySummary
from tests.builders import make_error, make_event, make_observation, make_plan, make_result

pytestmark = pytest.mark.anyio

CONDITION_COLUMNS = [
    "study_id", "condition_id", "admissible", "constraint_messages", "assignment_meta_json",
]  # fmt: skip
RUN_COLUMNS = [
    "study_id", "condition_id", "run_id", "problem_id", "problem_family", "agent_id", "agent_kind",
    "pattern_name", "model_name", "seed", "replicate", "status", "start_time", "end_time",
    "latency_s", "input_tokens", "output_tokens", "cost_usd", "primary_outcome", "trace_path",
    "manifest_path", "error_info",
]  # fmt: skip
EVENT_COLUMNS = [
    "timestamp", "record_id", "text", "session_id", "actor_id", "event_type", "meta_json", "level",
    "study_id", "run_id", "condition_id", "trial_id", "step_id", "tool_name", "evaluation_id",
]  # fmt: skip
EVALUATION_COLUMNS = [
    "run_id", "evaluator_id", "metric_name", "metric_value", "metric_unit", "aggregation_level",
    "notes_json",
]  # fmt: skip
FILES = [
    "manifest.json", "study.yaml", "problems.jsonl", "hypotheses.json", "analysis_plan.json",
    "conditions.csv", "runs.csv", "events.csv", "evaluations.csv",
]  # fmt: skip


async def store_results(directory: Path, plan: Plan, results: Iterable[RunResult] = ()) -> None:
    async with open_store(directory) as store:
        await store.begin(plan)
        await store.save([(result, True) for result in results])
        await store.end("complete")


@contextmanager
def long_cells() -> Iterator[None]:
    """Let the csv module read cells of any length, for as long as it is needed."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file, long_cells():
        return list(csv.DictReader(file))


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def header(path: Path) -> list[str]:
    return path.read_bytes().split(b"\r\n")[0].decode().split(",")


async def test_every_file_of_the_contract_is_there_with_its_columns_in_order(
    tmp_path: Path,
) -> None:
    plan = make_plan(blocks=(Block(name="cohort", levels=("novice", "expert")),))
    await store_results(tmp_path, plan, map(make_result, plan))

    assert export_artifacts(tmp_path) == tmp_path

    assert {*FILES} <= names_in(tmp_path)
    assert header(tmp_path / "conditions.csv") == [*CONDITION_COLUMNS, "tone", "block_cohort"]
    assert header(tmp_path / "runs.csv") == RUN_COLUMNS
    assert header(tmp_path / "events.csv") == EVENT_COLUMNS
    assert header(tmp_path / "evaluations.csv") == EVALUATION_COLUMNS
    assert not [name for name in names_in(tmp_path) if name.endswith(".new")]


async def test_the_tables_of_a_study_without_results_have_their_headers(tmp_path: Path) -> None:
    await store_results(tmp_path, make_plan())
    export_artifacts(tmp_path)

    assert header(tmp_path / "runs.csv") == RUN_COLUMNS
    assert table(tmp_path / "runs.csv") == []
    assert len(table(tmp_path / "conditions.csv")) == 2


async def test_rows_are_in_plan_order_whenever_they_were_saved(tmp_path: Path) -> None:
    plan = make_plan(list(range(20)))
    order = [*range(19, 9, -1), *range(10)]
    await store_results(
        tmp_path,
        plan,
        [
            make_result(
                plan[i],
                reported=(
                    make_observation(plan[i], text="first"),
                    make_observation(plan[i], text="second"),
                ),
                scores={"z": 1, "a": 2},
            )
            for i in order
        ],
    )
    export_artifacts(tmp_path)

    run_ids = [spec.run_id for spec in plan]
    events, scores = table(tmp_path / "events.csv"), table(tmp_path / "evaluations.csv")
    assert [row["run_id"] for row in table(tmp_path / "runs.csv")] == run_ids
    assert [(row["run_id"], row["text"]) for row in events] == [
        (run_id, text) for run_id in run_ids for text in ("first", "second", "42")
    ]
    assert [(row["run_id"], row["metric_name"]) for row in scores] == [
        (run_id, name) for run_id in run_ids for name in ("z", "a")
    ]


async def test_the_same_results_are_the_same_bytes_in_whatever_order_they_came(
    tmp_path: Path,
) -> None:
    plan = make_plan(["a", {"deep": [1, None]}, None], replicates=4)
    for name, step in (("one", 1), ("two", -1)):
        await store_results(tmp_path / name, plan, [make_result(spec) for spec in plan[::step]])
        export_artifacts(tmp_path / name)

    for file in set(FILES) - {"manifest.json"}:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


async def test_exporting_again_changes_nothing_but_the_manifest_s_stamp(tmp_path: Path) -> None:
    plan = make_plan()
    await store_results(tmp_path, plan, map(make_result, plan))
    export_artifacts(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in FILES}
    export_artifacts(tmp_path, tmp_path / "elsewhere" / "deep", sqlite=True)

    for name in set(FILES) - {"manifest.json"}:
        assert (tmp_path / "elsewhere" / "deep" / name).read_bytes() == before[name]

    with StoreReader(tmp_path / "elsewhere" / "deep") as copy:
        assert copy.count() == 2


async def test_cells_say_what_they_hold(tmp_path: Path) -> None:
    plan = make_plan([{"b": [1, None], "a": "é"}, [True], None, 1.0])
    results = [
        make_result(
            spec,
            scores={"none": None, "true": True, "nan": math.nan, "text": 'said "so",\nthen'},
            metrics={"primary_outcome": False},
            provenance={"problem_family": "math", "model_name": "m-1", "agent_kind": "k"},
            trace_refs=("t.json", "u.json"),
        )
        for spec in plan
    ]
    await store_results(tmp_path, plan, results)
    export_artifacts(tmp_path)

    conditions = table(tmp_path / "conditions.csv")
    assert [row["tone"] for row in conditions] == [
        '{"a": "\\u00e9", "b": [1, null]}',
        "[true]",
        "",
        "1.0",
    ]
    assert {row["admissible"] for row in conditions} == {"True"}
    assert {row["constraint_messages"] for row in conditions} == {"[]"}
    assert json.loads(conditions[0]["assignment_meta_json"])
    scores = {
        row["metric_name"]: row["metric_value"] for row in table(tmp_path / "evaluations.csv")
    }
    assert scores == {"none": "", "true": "True", "nan": "", "text": 'said "so",\nthen'}
    run = table(tmp_path / "runs.csv")[0]
    assert (
        run
        | {
            "problem_family": "math",
            "model_name": "m-1",
            "agent_kind": "k",
            "pattern_name": "unknown",
            "primary_outcome": "False",
            "trace_path": "t.json",
            "manifest_path": "manifest.json",
            "error_info": "",
            "start_time": "2026-01-02T03:04:05.678901+00:00",
            "latency_s": "0.25",
            "cost_usd": "0.0",
            "input_tokens": "0",
        }
        == run
    )


async def test_conditions_that_are_left_out_are_in_the_table_with_their_reasons(
    tmp_path: Path,
) -> None:
    rule = Constraint(constraint_id="c1", description="no b", expression="tone != 'b'")
    plan = make_plan(["a", "b"], constraints=(rule,))
    await store_results(tmp_path, plan, map(make_result, plan))
    export_artifacts(tmp_path)

    first, second = table(tmp_path / "conditions.csv")
    assert (first["admissible"], second["admissible"]) == ("True", "False")
    assert json.loads(second["constraint_messages"]) == ["c1: no b"]
    assert len(table(tmp_path / "runs.csv")) == 1


async def test_a_factor_may_have_the_name_of_a_column_or_of_a_word_of_sql(tmp_path: Path) -> None:
    factors = tuple(
        Factor(name=name, description="d", levels=(Level(name="l", value=f"level of {name}"),))
        for name in ("group", "my factor", 'quo"te')
    )
    plan = make_plan(factors=factors)
    await store_results(tmp_path, plan, map(make_result, plan))
    export_artifacts(tmp_path)

    (row,) = table(tmp_path / "conditions.csv")
    assert (row["group"], row["my factor"], row['quo"te']) == (
        "level of group",
        "level of my factor",
        'level of quo"te',
    )


async def test_a_failed_run_has_its_error_and_an_event(tmp_path: Path) -> None:
    plan = make_plan()
    failed = make_result(plan[0], error=make_error(message="no"), metrics={"cost_usd": 2.0})
    await store_results(tmp_path, plan, [failed])
    export_artifacts(tmp_path)

    (run,), (event,) = table(tmp_path / "runs.csv"), table(tmp_path / "events.csv")
    assert (run["status"], run["error_info"], run["cost_usd"]) == (
        "failed",
        "ValueError: no",
        "2.0",
    )
    assert (event["event_type"], event["text"]) == ("run_failed", "ValueError: no")
    assert event["session_id"] == event["run_id"] == plan[0].run_id


@pytest.mark.parametrize("beside", [{}, {"nan": math.nan}])
async def test_texts_that_files_find_hard_are_written_all_the_same(
    tmp_path: Path, beside: dict[str, float]
) -> None:
    plan = make_plan(list(range(5)))
    long = "x" * 200_000
    texts = [long, "half \ud83d", "whole \U0001f600", "nul \x00 and tab \t", "line\r\nbreak"]
    results = [
        make_result(spec, outputs_json=json.dumps({"text": text, **beside}))
        for spec, text in zip(plan, texts, strict=True)
    ]
    await store_results(tmp_path, plan, results)
    export_artifacts(tmp_path)

    assert [row["text"] for row in table(tmp_path / "events.csv")] == [
        long,
        "half \\ud83d",
        *texts[2:],
    ]


async def test_the_manifest_counts_runs_and_names_models(tmp_path: Path) -> None:
    plan = make_plan(["a", "b", "c"])
    results = [
        make_result(plan[0], provenance={"problem_family": "f", "model_name": "m-2"}),
        make_result(plan[1], provenance={"problem_family": "f", "model_name": "m-1"}),
        make_result(plan[2], error=make_error()),
    ]
    await store_results(tmp_path, plan, results)
    export_artifacts(tmp_path)

    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["schema_version"] == "0.2.0"
    assert (manifest["study_id"], manifest["run_count"]) == ("tested", 3)
    assert manifest["status_counts"] == {"success": 2, "failed": 1}
    assert manifest["model_ids"] == ["m-1", "m-2"]
    assert manifest["provenance"]["package_versions"]["penstock"]


async def test_provenance_that_the_study_states_is_written_as_it_is(tmp_path: Path) -> None:
    plan = make_plan(provenance_metadata={"lab": "ours"})
    await store_results(tmp_path, plan)
    export_artifacts(tmp_path)

    assert json.loads((tmp_path / "manifest.json").read_text())["provenance"] == {"lab": "ours"}


async def test_the_exported_study_is_a_study_file_that_loads(tmp_path: Path) -> None:
    plan = make_plan(["no", "1e-3"], problems=(Problem(problem_id="p1", brief="é: 'x'\n- y"),))
    await store_results(tmp_path, plan)
    export_artifacts(tmp_path)

    study = load_study(tmp_path / "study.yaml")
    assert study.problems == plan.study.problems
    assert study.factors == plan.study.factors


async def test_an_export_that_fails_leaves_the_files_of_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan()
    await store_results(tmp_path, plan, [make_result(plan[0])])
    export_artifacts(tmp_path)
    before = (tmp_path / "runs.csv").read_bytes()
    await store_results(tmp_path, plan, [make_result(plan[1])])

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space left"):
            export_artifacts(tmp_path)

    assert (tmp_path / "runs.csv").read_bytes() == before
    assert not [name for name in names_in(tmp_path) if name.endswith(".new")]

    export_artifacts(tmp_path)
    assert len(table(tmp_path / "runs.csv")) == 2


async def test_a_reader_of_the_old_file_keeps_it_while_it_is_replaced(tmp_path: Path) -> None:
    plan = make_plan()
    await store_results(tmp_path, plan, [make_result(plan[0])])
    export_artifacts(tmp_path)
    with (tmp_path / "runs.csv").open("rb") as old:
        inode = os.fstat(old.fileno()).st_ino
        await store_results(tmp_path, plan, [make_result(plan[1])])
        export_artifacts(tmp_path)

        assert (tmp_path / "runs.csv").stat().st_ino != inode
        assert old.read().count(b"\r\n") == 2


def test_a_directory_without_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no study"):
        export_artifacts(tmp_path)


async def test_the_subscriber_exports_when_every_result_is_durable(tmp_path: Path) -> None:
    plan = make_plan()
    await store_results(tmp_path, plan, map(make_result, plan))
    bus = EventBus()
    stream = bus.open(*EVENTS)
    bus.publish(make_event(LimitChanged, limit=1, reason="unheard"))
    bus.publish(make_event(StudyFinished, summary=StudySummary(study_id="tested")))
    bus.close()

    await export(tmp_path)(stream)

    assert len(table(tmp_path / "runs.csv")) == 2

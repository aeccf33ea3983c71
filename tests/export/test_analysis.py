from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import SkipRun
from penstock.store.reader import StoreReader
from penstock.store.schema import EVALUATION_COLUMNS, EVENT_COLUMNS, RUN_COLUMNS
from penstock.study.policies import RunBudget


def run(agent: Any, tmp_path: Path, evaluator: Any = float, **fields: Any) -> Path:
    declared = {"problem_ids": ("p",), "agent_specs": ("a",), **fields}
    study = ps.Study(
        study_id="s", title="Analysable", run_budget=RunBudget(replicates=4), **declared
    )
    ps.run_study(
        study,
        agent_bindings={"a": agent},
        problem_registry={"p": ps.Problem(problem_id="p", evaluator=evaluator)},
        output_dir=tmp_path / "out",
    )
    return tmp_path / "out"


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def some_of_each(ctx: ps.RunContext) -> dict[str, Any]:
    ctx.observe("step", "began")
    if ctx.spec.replicate == 2:
        raise RuntimeError("boom")

    if ctx.spec.replicate == 3:
        raise SkipRun("not this one")

    return {"answer": math.nan if ctx.spec.replicate == 4 else 0.5}


def test_runs_that_cannot_be_analysed_are_left_out_and_listed_with_the_reason(
    tmp_path: Path,
) -> None:
    out = run(some_of_each, tmp_path)

    assert [row["replicate"] for row in table(out / "runs.csv")] == ["1", "2", "3", "4"]
    assert [row["replicate"] for row in table(out / "analysis/runs.csv")] == ["1"]
    assert [(row["status"], row["reason"]) for row in table(out / "analysis/excluded.csv")] == [
        ("failed", "RuntimeError: boom"),
        ("skipped", "SkipRun: not this one"),
        ("success", "its primary outcome is not a finite number"),
    ]
    (kept,) = {row["run_id"] for row in table(out / "analysis/runs.csv")}
    for name in ("events", "evaluations"):
        assert {row["run_id"] for row in table(out / f"analysis/{name}.csv")} == {kept}


def test_its_manifest_counts_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    out = run(some_of_each, tmp_path)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    analysable = json.loads((out / "analysis/manifest.json").read_text(encoding="utf-8"))

    assert analysable["status_counts"] == {"success": 1}
    assert (analysable["run_count"], analysable["excluded_count"]) == (1, 3)
    assert {**manifest, **analysable}.keys() == {*manifest, "excluded_count"}


def test_it_has_the_columns_of_the_full_tables(tmp_path: Path) -> None:
    out = run(some_of_each, tmp_path)
    expected = {"runs": RUN_COLUMNS, "events": EVENT_COLUMNS, "evaluations": EVALUATION_COLUMNS}

    for name, columns in expected.items():
        (row, *_) = table(out / f"analysis/{name}.csv")
        assert tuple(row) == columns


def test_where_no_outcome_is_a_number_every_success_is_analysable(tmp_path: Path) -> None:
    out = run(lambda ctx: {"answer": "fine"}, tmp_path, evaluator=None)

    assert len(table(out / "analysis/runs.csv")) == 4
    assert table(out / "analysis/excluded.csv") == []


def test_a_study_without_any_success_has_empty_tables(tmp_path: Path) -> None:
    def fail(ctx: ps.RunContext) -> str:
        raise RuntimeError("boom")

    out = run(fail, tmp_path)

    assert table(out / "analysis/runs.csv") == table(out / "analysis/events.csv") == []
    assert len(table(out / "analysis/excluded.csv")) == 4


def test_true_and_false_are_numbers(tmp_path: Path) -> None:
    out = run(
        lambda ctx: {"answer": ctx.spec.replicate}, tmp_path, evaluator=lambda answer: answer > 2
    )

    assert [row["primary_outcome"] for row in table(out / "runs.csv")] == [
        "False",
        "False",
        "True",
        "True",
    ]
    for name, column in (("runs", "primary_outcome"), ("evaluations", "metric_value")):
        cells = [row[column] for row in table(out / f"analysis/{name}.csv")]
        assert cells == ["0", "0", "1", "1"]


def test_levels_that_look_like_no_level_are_written_out(tmp_path: Path) -> None:
    values: tuple[Any, ...] = (None, "", "  ", False, 0, [], "a level")
    levels = tuple(ps.Level(name=str(i), value=value) for i, value in enumerate(values))
    factor = ps.Factor(name="f", description="levels", levels=levels)
    out = run(lambda ctx: {"answer": 1.0}, tmp_path, factors=(factor,))

    assert [row["f"] for row in table(out / "conditions.csv")][:3] == ["", "", "  "]
    assert [row["f"] for row in table(out / "analysis/conditions.csv")] == [
        "null",
        '""',
        '"  "',
        "False",
        "0",
        "[]",
        "a level",
    ]


def test_a_metric_of_several_evaluators_is_told_apart(tmp_path: Path) -> None:
    scores = [
        {"evaluator_id": "judge", "metric_name": "score", "metric_value": 1},
        {"evaluator_id": "crowd", "metric_name": "score", "metric_value": 2},
        {"evaluator_id": "crowd", "metric_name": "votes", "metric_value": 3},
    ]
    out = run(lambda ctx: {"answer": 1.0}, tmp_path, evaluator=lambda answer: scores)

    names = [row["metric_name"] for row in table(out / "analysis/evaluations.csv")]
    assert names == ["judge.score", "crowd.score", "votes"] * 4


def test_an_event_at_no_readable_time_has_the_time_its_run_started(tmp_path: Path) -> None:
    def odd_times(ctx: ps.RunContext) -> dict[str, Any]:
        said = ("yesterday", "2024-02-30", "2024-02-29T10:00:00+00:00")
        events = [{"event_type": "step", "timestamp": each} for each in said]
        return {"output": {"answer": 1.0}, "events": events}

    out = run(odd_times, tmp_path)

    started_at = table(out / "runs.csv")[0]["start_time"]
    assert [row["timestamp"] for row in table(out / "events.csv")][:2] == [
        "yesterday",
        "2024-02-30",
    ]
    assert [row["timestamp"] for row in table(out / "analysis/events.csv")][:3] == [
        started_at,
        started_at,
        "2024-02-29T10:00:00+00:00",
    ]


def test_text_too_long_for_readers_of_csv_is_cut_and_says_so(tmp_path: Path) -> None:
    def talk(ctx: ps.RunContext) -> dict[str, Any]:
        ctx.observe("step", "x" * 200_000, data="y" * 200_000)
        return {"answer": 1.0}

    out = run(talk, tmp_path)

    row = table(out / "analysis/events.csv")[0]
    assert len(row["text"]) <= 131_072
    assert row["text"].endswith("(cut: 200000 characters, in full in the table of all runs)")
    assert json.loads(row["meta_json"])["cut"] is True
    with pytest.raises(csv.Error, match="field larger than field limit"):
        table(out / "events.csv")


def test_a_run_that_did_not_succeed_leaves_an_event_that_says_so(tmp_path: Path) -> None:
    out = run(some_of_each, tmp_path)
    events = [row for row in table(out / "events.csv") if row["actor_id"] == "penstock"]

    said = [(row["event_type"], row["text"], row["level"]) for row in events]
    assert said == [
        ("run_failed", "RuntimeError: boom", "run"),
        ("run_skipped", "SkipRun: not this one", "run"),
    ]
    ids = [row["run_id"] for row in table(out / "runs.csv")]
    order = [ids.index(row["run_id"]) for row in table(out / "events.csv")]
    assert order == [0, 0, 1, 1, 2, 2, 3, 3], "in plan order, after what the agent reported"
    texts = [row["text"] for row in table(out / "events.csv") if row["run_id"] == ids[1]]
    assert texts[-1] == "RuntimeError: boom"


def test_an_answer_that_holds_nan_keeps_its_text_in_the_table_of_events(tmp_path: Path) -> None:
    out = run(lambda ctx: {"answer": 1.0, "text": "not a number", "x": math.nan}, tmp_path)

    assert {row["text"] for row in table(out / "events.csv")} == {"not a number"}


def test_a_baseline_level_that_is_infinite_can_be_written_and_read_back(tmp_path: Path) -> None:
    level = ps.Level(name="unbounded", value=math.inf, metadata={"is_baseline": True})
    factor = ps.Factor(name="budget", description="how much", levels=(level,))
    out = run(lambda ctx: {"answer": 1.0}, tmp_path, factors=(factor,))

    assert [row["budget"] for row in table(out / "analysis/conditions.csv")] == ["inf"]
    with StoreReader(out) as store:
        fingerprints = {result.spec.condition_fingerprint for result in store.results()}

    assert fingerprints == {'{"blocks":{},"factors":{"budget":Infinity}}'}

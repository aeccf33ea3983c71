from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from tests.artifacts import rows_without_times
from tests.builders import make_study

RUNS = {"source_table": "runs", "aggregation": "mean", "primary": True}
SCORED = {"source_table": "evaluations", "aggregation": "mean", "primary": True}
EVALUATORS = {"correct": "number", "talks": {"regex": {"pattern": "answer"}}}


def outcome(column: str, **fields: Any) -> list[ps.Outcome]:
    return [ps.Outcome(name="o", column=column, **fields)]


def run(
    folder: Path, outcomes: Sequence[ps.Outcome], *, own: Any = None, **options: Any
) -> ps.StudyResult:
    def agent(ctx: ps.RunContext) -> str:
        ctx.record(words=5)
        if own is not None:
            ctx.record(primary_outcome=own)

        return "The answer is 41."

    study = make_study(("a",), evaluators=EVALUATORS, outcomes=outcomes)
    return ps.run_study(study, agent_bindings={"agent-a": agent}, output_dir=folder, **options)


def shown(results: ps.StudyResult) -> set[Any]:
    """What the primary outcome is wherever it is shown."""
    (result,), (row,) = results, results.to_rows()
    with closing(sqlite3.connect(results.output_dir / "study.sqlite")) as plain:
        ((cell,),) = plain.execute("SELECT primary_outcome FROM runs")

    (exported,) = rows_without_times(results.output_dir / "runs.csv")
    written = exported["primary_outcome"]
    return {
        result.primary_outcome,
        result.metrics.get("primary_outcome"),
        row["primary_outcome"],
        cell,
        float(written) if written else None,
    }


@pytest.mark.field("studies-N1")
@pytest.mark.parametrize("rescore", [False, True])
def test_the_primary_outcome_follows_its_declaration_wherever_it_is_shown(
    tmp_path: Path, *, rescore: bool
) -> None:
    for outcomes, expected in (
        ([], 0.0),
        (outcome("talks", **SCORED), 1.0),
        (outcome("correct", **SCORED), 0.0),
        (outcome("words", **RUNS), 5),
        (outcome("primary_outcome", **RUNS), 0.0),
    ):
        assert shown(run(tmp_path, outcomes, rescore=rescore)) == {expected}, outcomes


@pytest.mark.parametrize("own", [7, 0.0, 1.0])
def test_an_agents_own_primary_outcome_outlives_every_declaration(
    tmp_path: Path, own: float
) -> None:
    for outcomes in ([], outcome("talks", **SCORED), outcome("correct", **SCORED)):
        for rescore in (False, True):
            assert shown(run(tmp_path, outcomes, own=own, rescore=rescore)) == {own}


@pytest.mark.field("studies-P1")
@pytest.mark.parametrize("own", [None, 7])
def test_the_canonical_declaration_is_the_agents_own_outcome_else_the_first_score(
    tmp_path: Path, own: float | None
) -> None:
    results = run(tmp_path, outcome("primary_outcome", **RUNS), own=own)

    assert shown(results) == {0.0 if own is None else own}


def test_a_store_of_before_follows_too(tmp_path: Path) -> None:
    run(tmp_path, outcome("talks", **SCORED))
    with closing(sqlite3.connect(tmp_path / "study.sqlite")) as plain, plain:
        plain.execute("UPDATE study SET definition = replace(definition, '_follows', '_followed')")

    assert shown(run(tmp_path, outcome("correct", **SCORED))) == {0.0}

"""What kept answers lack, and which outcomes are made anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import penstock as ps


def run(folder: Path, *problems: str, evaluators: dict[str, str], **options: Any) -> ps.StudyResult:
    study = ps.Study(
        study_id="scored",
        title="Scored",
        agent_specs=("agent",),
        problems=[
            ps.Problem(problem_id=name, brief="x", payload={"expected": "yes"}) for name in problems
        ],
        evaluators=evaluators,
        execution={"report": False},
    )
    agents = {"agent": lambda: "yes, it is"}
    return ps.run_study(
        study, agent_bindings=agents, output_dir=folder, show_progress=False, **options
    )


def changed(folder: Path, *sessions: tuple[str, ...]) -> list[str]:
    """Run a study once for each list of problems, and say which results the last one rewrote."""
    for problems in sessions[:-1]:
        run(folder, *problems, evaluators={"right": "exact"})

    with closing(sqlite3.connect(folder / "study.sqlite")) as store:
        store.execute("CREATE TABLE rewritten (problem_id)")
        store.execute(
            "CREATE TRIGGER noticed AFTER UPDATE OF metrics ON attempt "
            "BEGIN INSERT INTO rewritten VALUES (new.problem_id); END"
        )
        store.commit()

    run(folder, *sessions[-1], evaluators={"right": "exact"})
    with closing(sqlite3.connect(folder / "study.sqlite")) as store:
        return [name for (name,) in store.execute("SELECT problem_id FROM rewritten ORDER BY 1")]


def test_a_problem_more_rewrites_no_result_of_the_others(tmp_path: Path) -> None:
    assert changed(tmp_path, ("a", "b"), ("new", "a", "b")) == []


def test_a_problem_that_leaves_the_plan_and_comes_back_keeps_its_outcomes(tmp_path: Path) -> None:
    assert changed(tmp_path, ("a", "b"), ("b",)) == ["a"]  # no score of it counts any more

    results = run(tmp_path, "a", "b", evaluators={"right": "exact"})
    assert [each.metrics["primary_outcome"] for each in results] == [0.0, 0.0]
    assert results.summary.session.attempts == 0


def test_the_first_score_is_the_outcome_also_where_evaluators_change_their_order(
    tmp_path: Path,
) -> None:
    first, other = {"right": "exact"}, {"has": "contains"}
    run(tmp_path, "a", evaluators={**first, **other})

    (result,) = run(tmp_path, "a", evaluators={**other, **first})

    assert result.metrics["primary_outcome"] == 1.0
    assert result.evaluations[0].metric_name == "has"

"""Whatever changes between sessions: nothing runs twice, nothing is lost, nothing lacks scores."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.planning.plan import plan

LEVELS, AGENTS, PROBLEMS = ("terse", "polite", "rude"), ("one", "other"), ("a", "b", "c")
EVALUATORS = {"right": "exact", "has": "contains"}

_RESULTS = """
SELECT run_id, position, status, (
    SELECT json_group_array(evaluator_id) FROM scored
    JOIN scoring ON scoring.id = scored.scoring_id
    JOIN evaluator ON evaluator.id = scoring.evaluator
    WHERE attempt_id = attempt.id AND place IS NOT NULL
) FROM attempt WHERE final AND position IS NOT NULL
"""


def some(names: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, unique=True)


SESSIONS = st.lists(
    st.fixed_dictionaries(
        {
            "levels": some(LEVELS),
            "agents": some(AGENTS),
            "problems": some(PROBLEMS),
            "evaluators": some(tuple(EVALUATORS)),
            "replicates": st.integers(1, 3),
            "limit": st.sampled_from([None, None, 3]),
        }
    ),
    min_size=2,
    max_size=4,
)


def declared(session: dict[str, Any]) -> ps.Study:
    """Return the study of a session."""
    problems = [
        ps.Problem(problem_id=name, brief="x", payload={"expected": "yes"})
        for name in session["problems"]
    ]
    return ps.Study(
        study_id="changed",
        title="Changed",
        factors=[ps.Factor(name="tone", levels=session["levels"])],
        agent_specs=tuple(session["agents"]),
        problems=problems,
        evaluators={name: EVALUATORS[name] for name in session["evaluators"]},
        replicates=session["replicates"],
        execution={"report": False, "concurrency": 8},
    )


ALL: dict[str, Any] = {
    "levels": list(LEVELS),
    "agents": list(AGENTS),
    "problems": list(PROBLEMS),
    "evaluators": list(EVALUATORS),
    "replicates": 3,
    "limit": None,
}
"""What a session declares that leaves nothing out."""


# What comes back has been out of the plan while the others were scored.
@example([{**ALL, "evaluators": ["right"]}, *[{**ALL, "replicates": 1}] * 2, ALL])
@example([{**ALL, "problems": ["b", "a"]}, {**ALL, "limit": 3}, ALL])
@settings(max_examples=10, deadline=None)
@given(SESSIONS)
def test_runs_keep_their_results_whatever_is_planned_beside_them(
    sessions: list[dict[str, Any]],
) -> None:
    called = Counter[str]()
    failed: set[str] = set()

    async def agent(ctx: ps.RunContext) -> str:
        called[ctx.spec.run_id] += 1
        if ctx.spec.seed % 5 == 0 and ctx.spec.run_id not in failed:
            failed.add(ctx.spec.run_id)
            raise ValueError("once")

        return "yes"

    with TemporaryDirectory() as folder:
        for session in sessions:
            study = declared(session)
            summary = ps.run_study(
                study,
                agent_bindings=dict.fromkeys(session["agents"], agent),
                output_dir=Path(folder),
                only=ps.Selection(limit=session["limit"]),
                show_progress=False,
            ).summary

            planned = {spec.run_id: spec.position for spec in plan(study)}
            with closing(sqlite3.connect(Path(folder, "study.sqlite"))) as store:
                results = store.execute(_RESULTS).fetchall()

            assert {run_id: planned.get(run_id) for run_id, *_ in results} == {
                run_id: position for run_id, position, *_ in results
            }
            ended = Counter(status for *_, status, _ in results)
            assert summary.succeeded == ended["success"]
            assert summary.failed == ended["failed"]
            for *_, status, scored_by in results:
                # What a limited session leaves to do may be an answer to score.
                if status == "success" and session["limit"] is None:
                    assert sorted(json.loads(scored_by)) == sorted(session["evaluators"])

            made = {run_id for run_id in planned if called[run_id]}
            assert made == {run_id for run_id, *_ in results}

    assert all(count <= 1 + (run_id in failed) for run_id, count in called.items())

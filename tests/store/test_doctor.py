"""Unusual studies are healthy: nothing is called a fault that a study may be."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

import penstock as ps
from penstock.agents import RunOutput
from penstock.errors import SkipRun
from penstock.store.files.doctor import Finding, examine_store
from penstock.study.conditions import Condition, conditions
from penstock.study.factors import Constraint
from tests.builders import make_study


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "out"
    assert run(folder, make_study(replicates=3)) == []
    return folder


NOT_THERE = "results are not where the plan has them, or not of the run"
OTHER_PLAN = "are not those of the plan that its results were made in"


@pytest.mark.field("engine-G7")
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE attempt SET condition_id = (SELECT max(condition_id) FROM condition)", NOT_THERE),
        ("UPDATE attempt SET problem_id = 'other'", NOT_THERE),
        ("UPDATE attempt SET agent_id = 'other'", NOT_THERE),
        ("UPDATE attempt SET seed = seed + 1 WHERE id = 2", NOT_THERE),
        ("UPDATE attempt SET replicate = 9 WHERE id = 2", NOT_THERE),
        ("UPDATE attempt SET status = 'great' WHERE id = 2", NOT_THERE),
        ("UPDATE attempt SET position = 99 WHERE id = 2", NOT_THERE),
        ("UPDATE condition SET factors = '{}'", "2 conditions are not what their ids say: cond-"),
        ("DELETE FROM condition WHERE position = 0", OTHER_PLAN),
        ("UPDATE study SET definition = replace(definition, 'agent-a', 'agent-z')", OTHER_PLAN),
        ("UPDATE session SET planned = 7", "planned 7 runs, and what the store declares makes 6"),
        ("UPDATE attempt SET metrics = '{' WHERE id = 2", "the metrics of 1 attempts cannot be"),
        ("UPDATE attempt SET outputs = '' WHERE id = 2", "the outputs of 1 attempts cannot be"),
        ("DROP VIEW runs", "has not the layout it says it has: view runs"),
        ("DROP INDEX result_by_position", "it says it has: index result_by_position"),
        ("DROP TABLE scored", "it says it has: table scored"),
    ],
)
def test_a_store_that_was_edited_is_told(
    tmp_path: Path, made: Path, statement: str, said: str
) -> None:
    findings = examined(tmp_path, made, statement)
    assert any(finding.is_wrong and said in finding.what for finding in findings), findings


def test_what_is_no_fault_is_not_called_one(tmp_path: Path, made: Path) -> None:
    assert examined(tmp_path, made, "CREATE VIEW mine AS SELECT * FROM runs") == []
    unmade = "UPDATE study SET definition = json_set(definition, '$.factors', json('[7]'))"
    (told,) = examined(tmp_path, made, unmade)
    assert not told.is_wrong
    assert "made in Python" in told.what


def examined(folder: Path, made: Path, statement: str) -> list[Finding]:
    copy = copytree(made, folder / "copy", dirs_exist_ok=True)
    with closing(sqlite3.connect(copy / "study.sqlite")) as store, store:
        store.execute(statement)

    return [*examine_store(copy)]


def agent(ctx: ps.RunContext) -> Any:
    if ctx.spec.replicate == 2:
        raise SkipRun("not this one")

    return {"score": float("nan")}


def run(folder: Path, study: ps.Study, **options: Any) -> list[Finding]:
    given = {} if "condition_runner" in options else {"agent_bindings": {"agent-a": agent}}
    ps.run_study(study, output_dir=folder, show_progress=False, **(given | options))
    return [*examine_store(folder)]


def studies() -> list[Any]:
    """Unusual studies, each with what else it is run with."""
    infinite = ps.Factor(name="tone", levels=(float("nan"), float("inf"), 10**30, "\ud800"))
    never = Constraint(constraint_id="c", description="d", expression="tone == 'a'")
    by_agent = ps.Factor(name="agent_id", levels=("agent-a",))
    problem = ps.Problem(problem_id="p1", brief="x", payload={"o": object(), "n": float("nan")})
    own = [Condition(condition_id="mine", factor_assignments={"tone": "a"})]
    sampled = ps.Factor(name="x", levels=(0.0, 1.0))
    return [
        pytest.param(make_study(), {"condition_runner": _made}, id="a condition runner"),
        pytest.param(
            make_study(agent_specs=(), problems=()),
            {"condition_runner": _made},
            id="no agent and no problem",
        ),
        pytest.param(make_study(factors=(infinite,)), {}, id="levels that are no JSON"),
        pytest.param(make_study(constraints=(never,)), {}, id="inadmissible conditions"),
        pytest.param(make_study(factors=(by_agent,)), {}, id="an agent as a factor"),
        pytest.param(make_study(), {"conditions": own}, id="a condition with an id of its own"),
        pytest.param(
            make_study(), {"conditions": conditions([{"tone": "z"}] * 3)}, id="given conditions"
        ),
        pytest.param(make_study(replicates=3), {}, id="skipped runs"),
        pytest.param(make_study(problems=(problem,)), {}, id="a payload that no file holds"),
        pytest.param(
            make_study(problems=(), problem_ids=("p9", "p1")),
            {"problem_registry": {"p1": problem, "p9": ps.Problem(problem_id="p9", brief="y")}},
            id="problems of a registry",
        ),
        pytest.param(
            make_study(seed_policy={"strategy": "paired", "base_seed": 4}), {}, id="paired seeds"
        ),
        pytest.param(
            make_study(
                factors=(sampled,),
                design_spec={"kind": "lhs", "n_samples": 4, "center_points": 2},
            ),
            {},
            id="a sampled design",
        ),
        pytest.param(
            make_study(study_id="s\u00fcd", agent_specs=("agent-a", "\u00e4")),
            {"agent_bindings": {"agent-a": agent, "\u00e4": agent}},
            id="names that are not ASCII",
        ),
    ]


def _made(run_spec: Any, condition: Any) -> RunOutput:
    return RunOutput(outputs={"text": "x"})


@pytest.mark.field("engine-G7")
@pytest.mark.field("engine-G8")
@pytest.mark.parametrize(("study", "options"), studies())
def test_unusual_studies_are_healthy(
    tmp_path: Path, study: ps.Study, options: dict[str, Any]
) -> None:
    assert run(tmp_path / "out", study, **options) == []


def test_a_study_that_shrinks_and_grows_is_healthy(tmp_path: Path) -> None:
    for levels in ("ab", "abcd", "a", "bca"):
        assert run(tmp_path / "out", make_study(tuple(levels))) == []

"""Scores follow the study as it is declared, and answers stay with what they were made by."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ForeignDirectoryError
from penstock.events import StudyStarted
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION
from penstock.study.policies import RunBudget, SeedPolicy
from tests.older_stores import make_older

pytestmark = pytest.mark.anyio

Called = list[str]


def agent_that_notes(called: Called) -> Callable[[Any], Any]:
    async def agent(ctx: Any) -> str:
        called.append(ctx.spec.run_id)
        return f"answer to {ctx.problem.brief}"

    return agent


def study_of(directory: Path, **fields: Any) -> ps.Study:
    problems = {"p": "one", "q": "two"}
    given: dict[str, Any] = {
        "study_id": "follows",
        "title": "t",
        "agent_specs": ("a",),
        "problems": [
            ps.Problem(problem_id=name, brief=brief, payload={"expected": f"answer to {brief}"})
            for name, brief in problems.items()
        ],
        "output_dir": str(directory),
    }
    return ps.Study(**(given | fields))


class Told:
    """What a session said of kept results, and where the study stood after it."""

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ()
        self.warnings: tuple[str, ...] = ()
        self.summary = ps.StudySummary(study_id="")


async def run(directory: Path, called: Called | None = None, **fields: Any) -> Told:
    names = ("rescore", "fresh", "agent_bindings", "problem_registry")
    options: dict[str, Any] = {name: fields.pop(name) for name in names if name in fields}
    bound = {"a": agent_that_notes(called if called is not None else [])}
    options = {"agent_bindings": bound, "show_progress": False, **options}
    runner = ps.StudyRunner(study_of(directory, **fields), **options)
    told = Told()

    @runner.on(StudyStarted)
    def hear(event: StudyStarted) -> None:
        told.notes, told.warnings = event.notes, event.warnings

    told.summary = await runner.run()
    return told


def scores(directory: Path) -> list[tuple[Any, ...]]:
    with StoreReader(directory) as store:
        shown = [row[0] for row in store.table("SELECT metric_value FROM evaluations")]
        read = [
            (result.spec.problem_id, each.metric_name, each.metric_value)
            for result in store.results()
            for each in result.evaluations
        ]
        assert [value for _, _, value in read] == shown
        return read


def outcomes(directory: Path) -> list[Any]:
    with StoreReader(directory) as store:
        return [value for (value,) in store.table("SELECT primary_outcome FROM runs")]


@pytest.mark.field("engine-G1")
@pytest.mark.parametrize("what", ["problem", "agent"])
async def test_what_comes_back_into_the_plan_otherwise_is_refused(
    tmp_path: Path, what: str
) -> None:
    def declared(brief: str, call: str) -> dict[str, Any]:
        problem = ps.Problem(problem_id="p", brief=brief)
        return {
            "agent_bindings": {},
            "agents": {"a": call, "b": f"{__name__}:other_agent"},
            "problems": [problem, ps.Problem(problem_id="q", brief="x")],
        }

    first = declared("OLD", f"{__name__}:some_agent")
    await run(tmp_path, **first)
    without = {**first, "problems": first["problems"][1:], "agent_specs": ("b",)}
    without["agents"] = {"b": first["agents"]["b"]}
    await run(tmp_path, **without)
    changed = ("NEW", f"{__name__}:some_agent")
    if what == "agent":
        changed = ("OLD", f"{__name__}:other_agent")

    with pytest.raises(ForeignDirectoryError, match=f"{what} '[ap]' "):
        await run(tmp_path, **declared(*changed))

    await run(tmp_path, **first)


async def some_agent(ctx: Any) -> str:
    return f"answer to {ctx.problem.brief}"


async def other_agent(ctx: Any) -> str:
    return f"other answer to {ctx.problem.brief}"


@pytest.mark.field("engine-G2")
async def test_an_answer_whose_evaluator_failed_is_not_scored_as_another_problems(
    tmp_path: Path,
) -> None:
    is_broken = True

    def judge(answer: str) -> float:
        if is_broken:
            raise RuntimeError(answer)

        return 1.0

    def of(brief: str) -> dict[str, Any]:
        return {"problems": [ps.Problem(problem_id="p", brief=brief)], "evaluators": {"j": judge}}

    failed = await run(tmp_path, **of("OLD"))
    assert failed.summary.failed == 1
    is_broken = False
    with pytest.raises(ForeignDirectoryError, match="another brief"):
        await run(tmp_path, **of("NEW"))

    called: Called = []
    again = await run(tmp_path, called, **of("OLD"))
    assert (again.summary.succeeded, called) == (1, [])


@pytest.mark.field("engine-G3")
async def test_problems_of_a_registry_are_compared_as_others_are(tmp_path: Path) -> None:
    def of(brief: str, **payload: Any) -> dict[str, Any]:
        problem = ps.Problem(problem_id="p", brief=brief, payload={"o": object(), **payload})
        return {"problems": (), "problem_ids": ("p",), "problem_registry": {"p": problem}}

    await run(tmp_path, **of("OLD", expected=1), evaluators={"e": "exact"})
    with pytest.raises(ForeignDirectoryError, match="another brief"):
        await run(tmp_path, **of("NEW", expected=1), evaluators={"e": "exact"})

    called: Called = []
    await run(tmp_path, called, **of("OLD", expected="answer to OLD"), evaluators={"e": "exact"})
    assert (called, scores(tmp_path)) == ([], [("p", "e", 1.0)])


@pytest.mark.field("engine-G12")
async def test_a_seed_policy_that_kept_runs_outside_the_plan_have_not_is_refused(
    tmp_path: Path,
) -> None:
    only = ps.Problem(problem_id="p", brief="x")
    other = ps.Problem(problem_id="q", brief="x")
    await run(tmp_path, problems=[only], seed_policy=SeedPolicy(base_seed=0))
    with pytest.raises(ForeignDirectoryError, match="another seed policy"):
        await run(tmp_path, problems=[other], seed_policy=SeedPolicy(base_seed=1))


@pytest.mark.field("engine-G2b")
async def test_a_rescoring_that_was_interrupted_is_gone_on_with_and_mixes_no_rules(
    tmp_path: Path,
) -> None:
    value, scored = 1.0, 0

    def read(answer: str) -> float:
        nonlocal scored
        scored += 1
        if scored == 5:
            runner.stop()

        return value

    def runner_of(**options: Any) -> ps.StudyRunner:
        study = study_of(
            tmp_path,
            evaluators={"m": read},
            run_budget=RunBudget(replicates=10, parallelism=1),
        )
        agent = agent_that_notes(called)
        return ps.StudyRunner(study, agent_bindings={"a": agent}, show_progress=False, **options)

    called: Called = []
    scored = 100
    runner = runner_of()
    await runner.run()
    value, scored = 3.0, 0
    runner = runner_of(rescore=True)
    await runner.run()
    shown = [score for _, _, score in scores(tmp_path)]
    assert 0 < len(shown) < 20
    assert set(shown) == {3.0}

    runner = runner_of()
    await runner.run()
    assert [score for _, _, score in scores(tmp_path)] == [3.0] * 20
    assert outcomes(tmp_path) == [3.0] * 20
    assert len(called) == 20


@pytest.mark.field("studies-N2")
async def test_kept_and_new_answers_are_scored_by_one_rule(tmp_path: Path) -> None:
    called: Called = []
    wrong = [ps.Problem(problem_id="p", brief="one", payload={"expected": "answer"})]
    first = {"problems": wrong, "evaluators": {"correct": "contains"}}
    await run(tmp_path, called, **first)
    assert scores(tmp_path) == [("p", "correct", 1.0)]
    second = {"evaluators": {"correct": "exact"}, "run_budget": RunBudget(replicates=3)}
    told = await run(tmp_path, called, **{**first, **second})
    assert scores(tmp_path) == [("p", "correct", 0.0)] * 3
    assert (outcomes(tmp_path), len(called)) == ([0.0] * 3, 3)
    assert told.notes == (
        "kept answers are scored by what is declared now; no agent is called: 1 by 'correct'",
        (
            "declared otherwise than when the 1 result so far was made: replicates changed from 1 "
            "to 3; evaluators.correct.contains dropped; evaluators.correct.exact added. The report "
            "says so, with the date"
        ),
    )


async def test_an_evaluator_that_comes_back_has_its_own_scores_again(tmp_path: Path) -> None:
    asked: list[str] = []

    def mine(answer: str) -> float:
        asked.append(answer)
        return 0.25

    await run(tmp_path, evaluators={"e": mine})
    await run(tmp_path, evaluators={"e": "exact"})
    assert outcomes(tmp_path) == [1.0, 1.0]
    await run(tmp_path, evaluators={"e": mine})
    assert (outcomes(tmp_path), len(asked)) == ([0.25, 0.25], 2)


async def test_who_may_cost_is_not_asked_again_until_told_to(tmp_path: Path) -> None:
    asked: list[str] = []

    async def dear(answer: str, ctx: Any) -> float:
        asked.append(answer)
        ctx.record(judge_cost_usd=0.5)
        return 0.5

    async def dearer(answer: str) -> float:
        asked.append(answer)
        return 0.75

    await run(tmp_path, evaluators={"e": dear})
    told = await run(tmp_path, evaluators={"e": dearer})
    assert (scores(tmp_path), outcomes(tmp_path), len(asked)) == ([], [None, None], 2)
    (said,) = told.warnings
    assert "2 kept answers are not scored by 'e'" in said
    assert "about $1.0000" in said
    assert "--rescore" in said

    await run(tmp_path, evaluators={"e": dearer}, rescore=True)
    assert (outcomes(tmp_path), len(asked)) == ([0.75, 0.75], 4)
    declared = {"e": {"call": dear, "free": True}}
    await run(tmp_path, evaluators=declared)
    assert (outcomes(tmp_path), len(asked)) == ([0.5, 0.5], 4)


async def test_what_is_added_beside_a_dear_evaluator_does_not_ask_it_again(tmp_path: Path) -> None:
    asked: list[str] = []

    async def dear(answer: str) -> float:
        asked.append(answer)
        return 0.5

    await run(tmp_path, evaluators={"d": dear})
    await run(tmp_path, evaluators={"x": "exact", "d": dear})
    assert [name for _, name, _ in scores(tmp_path)] == ["x", "d", "x", "d"]
    assert len(asked) == 2


AGENT = """\
import helpers

async def a(ctx):
    return helpers.word()  # WORD
"""
STUDY = """\
study_id: s
title: t
agents: {a: "agents.py:a"}
problems: [{problem_id: p, brief: x}]
evaluators: {e: "scores.py:e"}
run_budget: {replicates: 2}
"""


def folder_of(tmp_path: Path, word: str, score: str, comment: str = "") -> ps.Study:
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "agents.py").write_text(AGENT.replace("WORD", comment))
    (tmp_path / "helpers.py").write_text(f"def word():\n    return {word!r}\n")
    (tmp_path / "scores.py").write_text(f"LIMIT = {score}\n\ndef e(answer):\n    return LIMIT\n")
    return ps.load_study(tmp_path / "study.yaml")


@pytest.mark.field("studies-N14", "studies-B4")
def test_an_agent_that_was_edited_is_noticed_also_where_another_file_of_its_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    ps.run_study(folder_of(tmp_path, "old", "1.0"), show_progress=False)
    ps.run_study(folder_of(tmp_path, "old", "1.0", "another comment"), show_progress=False)
    for name in ("agents", "helpers", "scores"):
        forget(name)

    edited = folder_of(tmp_path, "new", "2.0")
    with pytest.warns(UserWarning, match="made by other code.*2 of agent 'a'.*--fresh"):
        results = ps.run_study(edited, show_progress=False)

    assert [result.outputs["text"] for result in results] == ["old", "old"]
    assert outcomes(results.output_dir) == [2.0, 2.0]
    assert ps.run_study(edited, fresh=True, show_progress=False)[0].outputs["text"] == "new"


def forget(name: str) -> None:
    for known in [*sys.modules]:
        if known == name or known.startswith(f"{name}_"):
            del sys.modules[known]


@pytest.mark.field("studies-B4")
def test_an_edited_file_is_read_again_in_the_same_process(tmp_path: Path) -> None:
    study = "study_id: s\ntitle: t\nagents: {a: agents.py:a}\nproblems: [{problem_id: p}]\n"
    (tmp_path / "study.yaml").write_text(study)
    said = []
    for word in ("old", "newer"):
        (tmp_path / "agents.py").write_text(f"async def a(ctx):\n    return {word!r}\n")
        loaded = ps.load_study(tmp_path / "study.yaml")
        said.append(ps.run_study(loaded, fresh=True, show_progress=False)[0].outputs["text"])

    assert said == ["old", "newer"]


RULES: dict[str, Any] = {
    "exact": "exact",
    "contains": "contains",
    "nothing": {"regex": {"pattern": "^$"}},
    "words": {"regex": {"pattern": "answer"}},
    "length": len,
}
CHANGES = st.fixed_dictionaries(
    {
        "evaluators": st.dictionaries(
            st.sampled_from(["e", "f"]), st.sampled_from([*RULES]), max_size=2
        ),
        "expected": st.sampled_from(["answer to one", "to one", "other"]),
        "outcome": st.sampled_from([None, "e", "f"]),
        "replicates": st.integers(1, 3),
        "problems": st.sampled_from([("p",), ("q",), ("p", "q")]),
        "rescore": st.booleans(),
        "stops_after": st.none() | st.integers(1, 3),
    }
)


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=st.lists(CHANGES, min_size=1, max_size=4))
async def test_after_any_changes_the_tables_are_those_of_a_fresh_study(
    tmp_path_factory: pytest.TempPathFactory, changes: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("study")

    async def make(directory: Path, change: dict[str, Any], stops_after: int | None) -> None:
        problems = [
            ps.Problem(problem_id=name, brief="one", payload={"expected": change["expected"]})
            for name in change["problems"]
        ]
        study = study_of(
            directory,
            problems=problems,
            evaluators={name: RULES[rule] for name, rule in change["evaluators"].items()},
            run_budget=RunBudget(replicates=change["replicates"], parallelism=1),
        )
        if change["outcome"] in change["evaluators"]:
            declared = {"source_table": "evaluations", "aggregation": "mean", "primary": True}
            outcome = ps.Outcome(name="o", column=change["outcome"], **declared)
            study = study.model_copy(update={"outcomes": (outcome,)})

        rescore = change["rescore"]
        bound = {"a": agent_that_notes([])}
        runner = ps.StudyRunner(study, agent_bindings=bound, rescore=rescore, show_progress=False)
        ended = 0

        @runner.on(ps.RunFinished)
        def stop(_: ps.RunFinished) -> None:
            nonlocal ended
            ended += 1
            if ended == stops_after:
                runner.stop()

        await runner.run()

    for change in changes:
        await make(folder / "changed", change, change["stops_after"])

    await make(folder / "changed", changes[-1], None)
    await make(folder / "fresh", changes[-1], None)
    assert scores(folder / "changed") == scores(folder / "fresh")
    assert outcomes(folder / "changed") == outcomes(folder / "fresh")


@pytest.mark.parametrize("layout", range(1, SCHEMA_VERSION))
async def test_scores_of_an_older_store_count_where_their_evaluator_is_declared_still(
    tmp_path: Path, layout: int
) -> None:
    called: Called = []
    await run(tmp_path, called, evaluators={"e": "exact", "f": "contains"})
    make_older(tmp_path / "study.sqlite", layout)
    told = await run(tmp_path, called, evaluators={"e": "exact", "f": "contains"})
    assert (told.notes, told.warnings, len(called)) == ((), (), 2)
    assert scores(tmp_path) == [(p, name, 1.0) for p in "pq" for name in "ef"]

    make_older(tmp_path / "study.sqlite", layout)
    nothing = {"regex": {"pattern": "^$"}}
    told = await run(tmp_path, called, evaluators={"e": nothing, "f": "contains"})
    assert told.notes[0].endswith("no agent is called: 2 by 'e'")
    assert scores(tmp_path) == [("p", "e", 0.0), ("p", "f", 1.0), ("q", "e", 0.0), ("q", "f", 1.0)]
    changed = ps.Problem(problem_id="p", brief="NEW")
    with pytest.raises(ForeignDirectoryError, match="another brief"):
        await run(tmp_path, problems=[changed])

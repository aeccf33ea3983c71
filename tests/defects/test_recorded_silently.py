"""Known defects of such tools, part 1: wrong results that nobody notices."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

import penstock as ps
from penstock.agents import per_condition
from penstock.results import RunStatus
from penstock.study.identity import hash_identifier, run_id
from tests.builders import make_study
from tests.defects.situations import finish, query, read, run, script


def test_global_random_numbers_are_the_same_at_any_concurrency_and_the_hosts_are_left_alone(
    tmp_path: Path,
) -> None:
    """D01"""

    async def agent(ctx: ps.RunContext) -> dict[str, float]:
        first = random.random()
        await anyio.sleep(ctx.seed % 3 / 1000)
        return {"first": first, "second": random.random(), "numpy": float(np.random.random())}

    study = make_study(replicates=10)
    random.seed(7)
    np.random.seed(7)
    before, numpy_before = random.getstate(), np.random.get_state(legacy=False)["state"]["key"]
    alone, beside = (
        [dict(result.outputs) for result in run(study, agent, tmp_path / name, parallelism=many)]
        for name, many in (("alone", 1), ("beside", 8))
    )
    assert alone == beside
    assert len({answer["first"] for answer in alone}) == 20
    assert random.getstate() == before
    assert (np.random.get_state(legacy=False)["state"]["key"] == numpy_before).all()


def test_an_async_agent_is_awaited(tmp_path: Path) -> None:
    """D02"""

    async def agent(ctx: ps.RunContext) -> str:
        await anyio.lowlevel.checkpoint()
        return f"said {ctx.condition['tone']}"

    results = run(make_study(), agent, tmp_path)
    assert [result.outputs["text"] for result in results] == ["said a", "said b"]


def test_a_result_that_says_it_failed_is_a_failure_and_keeps_what_it_carries(
    tmp_path: Path,
) -> None:
    """D18"""

    def agent(ctx: ps.RunContext) -> Any:
        return SimpleNamespace(
            success=False,
            output={"error": "503 provider down", "usage": {"prompt_tokens": 12}},
            metadata={"model_name": "small-1"},
        )

    (row, _) = run(make_study(), agent, tmp_path)
    assert row.status is RunStatus.FAILED
    assert row.error_info == "AgentReportedFailure: 503 provider down"
    assert row.metrics["input_tokens"] == 12
    assert row.provenance["model_name"] == "small-1"
    assert {each["status"] for each in read(tmp_path / "runs.csv")} == {"failed"}


class Remembering:
    """An agent with a state of its own, which an await gives others time to overwrite."""

    def __init__(self, tone: str = "") -> None:
        self.tone = tone
        self.message = ""

    async def run(self, ctx: ps.RunContext) -> dict[str, str]:
        self.message = ctx.spec.run_id
        await anyio.sleep(0.001)
        return {"message": self.message, "expected": ctx.spec.run_id, "tone": self.tone}


def test_a_builder_that_could_be_an_agent_is_refused_until_it_is_marked(tmp_path: Path) -> None:
    """D46"""
    asked: list[ps.Condition] = []

    def build(condition: ps.Condition) -> Remembering:
        asked.append(condition)
        return Remembering(condition["tone"])

    with pytest.raises(ps.ValidationError, match=r"could be an agent or a builder.*per_condition"):
        run(make_study(), build, tmp_path)

    assert not asked
    results = run(make_study(), per_condition(build), tmp_path)
    assert [result.outputs["tone"] for result in results] == ["a", "b"]
    assert {result.status for result in results} == {RunStatus.SUCCESS}


def test_every_agents_shape_is_known_before_the_first_run(tmp_path: Path) -> None:
    """D17"""

    def takes_a_task(task: Any) -> str:
        return type(task).__name__

    with pytest.raises(ps.ValidationError, match=r"takes_a_task\(task.* agent\(\.\.\.\)"):
        run(make_study(), takes_a_task, tmp_path / "refused")

    assert not (tmp_path / "refused").exists()
    agents = {
        "marked": ps.agent(takes_a_task),
        "keywords": lambda **given: given["brief"],
        "nothing": lambda: "nothing asked",
    }
    results = run(make_study(("a",), agent_specs=tuple(agents)), agents, tmp_path / "run")
    assert [result.outputs["text"] for result in results] == [
        "RunContext",
        "What is 6 x 7?",
        "nothing asked",
    ]


def test_a_type_error_inside_an_agent_is_its_own_and_calls_it_once(tmp_path: Path) -> None:
    """D16"""
    calls: list[str] = []

    def agent(ctx: ps.RunContext) -> str:
        calls.append(ctx.spec.run_id)
        return str("a" + ctx.seed)  # type: ignore[operator]

    (result,) = run(make_study(("a",)), agent, tmp_path)
    assert calls == [result.run_id]
    assert result.error_info is not None
    assert result.error_info.startswith("TypeError: can only concatenate str")
    assert result.error is not None
    assert '"a" + ctx.seed' in result.error.traceback


def _paid(**others: Any) -> dict[str, Any]:
    return {"output": {"text": "paid for"}, "metrics": {"cost_usd": 5.0}} | others


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (_paid(), "score is down"),
        (_paid(metrics={"cost_usd": 5.0, "input_tokens": "n/a"}), "metrics.input_tokens"),
        (_paid(events=[{"event_type": "step", "level": "turn"}]), "'turn'"),
    ],
)
def test_what_goes_wrong_after_the_answer_keeps_the_answer_and_its_cost(
    tmp_path: Path, answer: dict[str, Any], wrong: str
) -> None:
    """D15"""

    def score(text: str) -> float:
        raise RuntimeError("score is down")

    problem = ps.Problem(problem_id="p1", evaluator=score)
    (result,) = run(make_study(("a",), problems=(problem,)), lambda: answer, tmp_path)
    assert result.status is RunStatus.FAILED
    assert wrong in str(result.error)
    assert result.outputs == {"text": "paid for"}
    assert result.cost_usd == 5.0
    assert query(tmp_path, "SELECT cost_usd FROM runs") == [(5.0,)]


def test_the_primary_outcome_is_the_declared_one(tmp_path: Path) -> None:
    """D32"""

    def score(answer: Any) -> dict[str, Any]:
        return {"is_feasible": True, "score": 3.5}

    outcome = ps.Outcome(
        name="quality",
        source_table="evaluations",
        column="score",
        aggregation="mean",
        primary=True,
    )
    study = make_study(
        ("a",), problems=(ps.Problem(problem_id="p1", evaluator=score),), outcomes=(outcome,)
    )
    (result,) = run(study, lambda: "x", tmp_path)
    assert result.primary_outcome == 3.5
    assert [row["primary_outcome"] for row in read(tmp_path / "runs.csv")] == ["3.5"]


def test_outputs_are_stored_as_they_are_or_refused_with_their_place(tmp_path: Path) -> None:
    """D19"""
    answers: dict[str, dict[str, Any]] = {
        "numbers": {"n": np.int64(5), "yes": np.bool_(True), "many": np.arange(2000)},
        "odd": {"nan": float("nan"), "inf": float("-inf")},
        "bytes": {"parts": [{"raw": b"\xff\x00"}]},
        "set": {"seen": {1, 2}},
        "keys": {"by": {1: "one", "1": "another"}},
    }

    def score(answer: Any) -> dict[str, Any]:
        return {"n": np.int64(7), "share": np.float32(0.5)}

    study = make_study(
        ("a",),
        agent_specs=tuple(answers),
        problems=(ps.Problem(problem_id="p1", evaluator=score),),
    )
    agents = {name: (lambda answer=answer: {"output": answer}) for name, answer in answers.items()}
    results = {result.spec.agent_id: result for result in run(study, agents, tmp_path)}
    assert results["numbers"].outputs == {"n": 5, "yes": True, "many": list(range(2000))}
    assert [each.metric_value for each in results["numbers"].evaluations] == [7, 0.5]
    assert str(results["odd"].outputs) == "{'nan': nan, 'inf': -inf}"
    for name, place in (("bytes", "parts[0].raw"), ("set", "seen"), ("keys", "by")):
        assert results[name].status is RunStatus.FAILED
        assert f"output.{place}" in str(results[name].error)


def test_runs_of_a_stateful_agent_do_not_see_each_others_state(tmp_path: Path) -> None:
    """D38: a class or a builder is bound, of which each run gets an instance of its own.

    One object bound for all runs is shared by all, as its author says by binding it.
    """
    agents = {"class": Remembering, "built": per_condition(lambda condition: Remembering())}
    study = make_study(agent_specs=tuple(agents), replicates=10)
    results = run(study, agents, tmp_path, parallelism=8)
    assert len(results) == 40
    assert all(each.outputs["message"] == each.outputs["expected"] for each in results)


def test_an_agent_cannot_change_the_condition_or_the_run_of_others(tmp_path: Path) -> None:
    """D41"""

    def edits_condition(ctx: ps.RunContext) -> str:
        ctx.condition.factor_assignments["tone"] = "HACKED"  # type: ignore[index]
        return "done"

    def edits_spec(ctx: ps.RunContext) -> str:
        ctx.spec.agent_id = "other"  # type: ignore[misc]
        return "done"

    agents = {"one": edits_condition, "two": edits_spec}
    results = run(make_study(agent_specs=tuple(agents)), agents, tmp_path)
    errors = {result.error.kind for result in results if result.error}
    assert errors == {"TypeError", "ValidationError"}
    assert [row["tone"] for row in read(tmp_path / "conditions.csv")] == ["a", "b"]
    assert {row["agent_id"] for row in read(tmp_path / "runs.csv")} == {"one", "two"}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"agent_specs": ("a", "a")}, "Duplicate agent_specs name detected: 'a'."),
        ({"problem_ids": ("p", "p")}, "Duplicate problem_ids name detected: 'p'."),
        ({"levels": ("x", "x")}, "Factor 'tone' has two levels of the value \"x\"."),
        (
            {"agent_specs": ("a", "a:b"), "problem_ids": ("b:c", "c")},
            "Agent 'a:b' with problem 'c' would have the seed of agent 'a' with problem 'b:c'",
        ),
    ],
)
def test_runs_that_could_not_be_told_apart_are_refused(
    tmp_path: Path, fields: dict[str, Any], error: str
) -> None:
    """D24"""
    given = {"levels": ("a", "b"), "problem_ids": ("p",), "problems": (), **fields}
    study = make_study(given.pop("levels"), **given)
    (found,) = ps.validate_study(study)
    assert found.startswith(error)
    with pytest.raises(ps.ValidationError) as refused:
        run(study, lambda: "never called", tmp_path / "out")

    assert refused.value.errors == (found,)
    assert not (tmp_path / "out").exists()
    condition = ps.build_design(make_study())[0]
    with pytest.raises(ps.ValidationError, match=condition.condition_id):
        ps.plan(make_study(), [condition, condition])


@pytest.mark.parametrize("name", ["condition_id", "Condition_ID", "TONE", "block_cohort"])
def test_a_name_that_would_take_another_column_is_refused(name: str) -> None:
    """D25"""
    study = make_study(blocks=(ps.Block(name="cohort", levels=("x",)),))
    clashing = study.model_copy(
        update={"factors": (*study.factors, ps.Factor(name=name, levels=["A", "B"]))}
    )
    (error,) = ps.validate_study(clashing)
    assert f"'{name}'" in error
    assert not ps.validate_study(study)


def test_levels_that_are_mappings_null_or_empty_stay_apart_in_the_files(tmp_path: Path) -> None:
    """More of D25: how levels are written."""
    levels = ({"b": 1, "a": [2]}, None, "")
    run(make_study(levels), lambda: "x", tmp_path)
    cells = [row["tone"] for row in read(tmp_path / "analysis" / "conditions.csv")]
    assert cells == ['{"a": [2], "b": 1}', "null", '""']
    factors = [row[0] for row in query(tmp_path, "SELECT factors FROM conditions")]
    assert factors == ['{"tone":{"a":[2],"b":1}}', '{"tone":null}', '{"tone":""}']


def test_two_runs_under_one_id_are_found_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D30"""
    study = make_study(("a",), replicates=3)
    unlucky, lucky, _ = (spec.run_id for spec in ps.plan(study))

    def collides(*run: Any, **named: Any) -> str:
        return run_id(*run, **named).replace(unlucky, lucky)

    def numbers(study: str, condition: str, replicates: int, *who: Any) -> list[int]:
        ids = (collides(study, condition, each + 1, *who) for each in range(replicates))
        return [int(each.removeprefix("run-"), 16) for each in ids]

    monkeypatch.setattr("penstock.planning.plan.run_id", collides)
    monkeypatch.setattr("penstock.planning.plan.run_numbers", numbers)
    with pytest.raises(ps.ValidationError, match=r"Two runs have the id run-.* by chance") as found:
        run(study, lambda: "never called", tmp_path / "out")

    one, other = found.value.errors
    assert "replicate 1 of" in one
    assert "replicate 2 of" in other
    assert not (tmp_path / "out").exists()


@pytest.mark.anyio
async def test_a_large_plans_ids_are_compared_before_it_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of D30: a plan too large to compare its ids whenever it is made."""
    for module in ("penstock.planning.plan", "penstock.runner"):
        monkeypatch.setattr(f"{module}.COMPARED_AT_ONCE", 1)

    monkeypatch.setattr("penstock.planning.plan.run_id", lambda *_, **__: "run-0123456789ab")
    monkeypatch.setattr("penstock.planning.plan.run_numbers", lambda *_: [0x0123456789AB])
    runner = ps.StudyRunner(
        make_study(), agent_bindings={"agent-a": lambda: "x"}, output_dir=tmp_path / "out"
    )
    with pytest.raises(ps.ValidationError, match="run-0123456789ab by chance"):
        await runner.run()

    assert not (tmp_path / "out").exists()


def test_ids_do_not_depend_on_the_process_and_values_without_a_stable_form_are_refused(
    tmp_path: Path,
) -> None:
    """D31"""
    for level in ({"a", "b"}, frozenset("ab"), object()):
        with pytest.raises(ValueError, match=r"no stable JSON form|a set has no order"):
            make_study((level,))

    printing = script(
        tmp_path / "ids.py",
        """
        from tests.builders import make_plan

        print(*(spec.run_id for spec in make_plan(({"b": [1], "a": {"c": None}}, ["x", 2.0]))))
        """,
    )
    ids = {finish(printing, env={"PYTHONHASHSEED": seed}) for seed in ("0", "1", "2")}
    assert len(ids) == 1


def test_a_study_that_declares_its_agents_runs_alike_whether_or_not_others_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D45"""

    def agent(ctx: ps.RunContext) -> dict[str, Any]:
        return {"output": "x", "events": [{"event_type": "step", "meta_json": '{"a":1}'}]}

    bare = run(make_study(), agent, tmp_path / "without")
    (tmp_path / "design_research_agents.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    beside = run(make_study(), agent, tmp_path / "with")
    assert "design_research_agents" not in sys.modules
    for one, other in zip(bare, beside, strict=True):
        (event,), (same,) = one.observations, other.observations
        identity = {"run_id": one.run_id, "index": 0, "event_type": "step"}
        assert event.record_id == same.record_id == hash_identifier("evt", identity)
        assert event.meta_json == same.meta_json == '{"a":1}'
        assert (
            len(event.timestamp) == len(same.timestamp) == len("2026-01-02T03:04:05.678901+00:00")
        )

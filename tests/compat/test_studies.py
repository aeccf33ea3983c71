"""Scripts of the older runner run studies as they did, on the engine of today."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import penstock as ps
import penstock.compat
from penstock.agents import RunOutput, per_condition
from penstock.errors import StopStudy
from penstock.planning.plan import RunSpec

compat: Any = penstock.compat


def study(**fields: Any) -> Any:
    given = {
        "study_id": "moved",
        "title": "t",
        "factors": (compat.Factor("tone", "", levels=(compat.Level("w", "warm"),)),),
        "run_budget": compat.RunBudget(replicates=2),
        "problem_ids": ("p",),
        "agent_specs": ("a",),
    }
    return compat.Study(**{**given, **fields})


def solve(*, problem_packet: ps.Problem, seed: int) -> dict[str, Any]:
    return {"output": {"text": f"{problem_packet.brief} {seed}"}, "metrics": {"cost_usd": 0.5}}


class Solver:
    def __init__(self, tone: str) -> None:
        self.tone = tone

    def run(self, prompt: str) -> str:
        return f"{self.tone}: {prompt}"


class Everything:
    """Takes one argument, and is an agent: its method is what is called."""

    def __init__(self, tone: str = "") -> None:
        self.tone = tone

    def run(self, ctx: ps.RunContext) -> str:
        return "of a class"


async def alone(anything: ps.RunContext) -> str:
    return anything.problem.brief


BUILDERS: list[tuple[Callable[..., Any], str]] = [
    (lambda _condition: Solver("built"), "built: b"),
    (lambda _condition, *, name="bound": Solver(name), "bound: b"),
    (lambda cell, name="bound": lambda brief: f"{name} {brief} {cell['tone']}", "bound b warm"),
]
AGENTS: list[tuple[Any, str]] = [
    (lambda problem_packet: problem_packet.brief, "b"),
    (lambda brief, seed: brief, "b"),
    (Solver("here"), "here: b"),
    (Everything, "of a class"),
    (alone, "b"),
    (ps.agent(lambda anything: anything.problem.brief), "b"),
    (per_condition(lambda condition: Solver(condition["tone"])), "warm: b"),
]


@pytest.mark.parametrize(("bound", "answer"), BUILDERS + AGENTS)
def test_what_builds_an_agent_builds_it_and_what_is_one_is_called(
    tmp_path: Path, bound: Any, answer: str
) -> None:
    results = compat.run_study(
        study(output_dir=tmp_path / "out"),
        agent_bindings={"a": bound},
        problem_registry={"p": compat.ProblemPacket("p", "family", "b")},
    )
    assert [result.outputs["text"] for result in results] == [answer] * 2


def test_results_are_those_of_penstock_with_more_members(tmp_path: Path) -> None:
    made = study(output_dir=tmp_path / "out")
    options = {"agent_bindings": {"a": solve}, "problem_registry": {"p": {"brief": "b"}}}
    results: Any = compat.run_study(
        made, **options, parallelism=2, resume=False, show_progress=False
    )
    again = compat.resume_study(made, **options)

    assert results == again
    assert results == [*again]
    assert results != results[:1]
    assert results != 3
    assert isinstance(results, ps.StudyResult)
    members: list[Any] = [*results]
    assert [result.cost for result in members] == [0.5, 0.5]
    assert results[0].spec.seed != results[1].spec.seed
    assert compat.run_study(made, dry_run=True, **options) == []


def test_runs_of_a_condition_runner_and_those_that_fail_say_what_they_said(
    tmp_path: Path,
) -> None:
    def fail(_spec: RunSpec, _condition: ps.Condition) -> RunOutput:
        raise RuntimeError("simulation failed")

    made = study(output_dir=tmp_path / "out", problem_ids=(), agent_specs=())
    results = compat.run_study(made, condition_runner=fail)
    assert {result.error_info for result in results} == {"RuntimeError: simulation failed"}
    assert {result.provenance_info["execution_mode"] for result in results} == {"condition_runner"}


@pytest.mark.field("studies-P13")
def test_a_dry_run_reports_what_is_wrong_and_how_much_is_planned() -> None:
    report = compat.dry_run_validate(study(), conditions=compat.build_design(study()))
    assert (report.errors, report.planned_runs) == ([], 2)

    inadmissible = compat.Condition("cond-x", {"tone": "warm"}, {}, admissible=False)
    report = compat.dry_run_validate(study(), conditions=[inadmissible])
    assert report.errors == ["No admissible conditions are available to execute."]
    assert report.planned_runs == 0

    alone = study(problem_ids=(), agent_specs=())
    (error,) = compat.dry_run_validate(alone, conditions=compat.build_design(alone)).errors
    assert "condition_runner" in error
    assert compat.dry_run_validate(
        alone, conditions=compat.build_design(alone), condition_runner=lambda spec, cell: None
    ) == ([], 2)


@pytest.mark.field("studies-P13")
def test_global_generators_are_seeded_and_given_back() -> None:
    def after() -> tuple[float, float]:
        return random.random(), np.random.random()

    random.seed(99)
    np.random.seed(99)
    undisturbed = after()
    random.seed(99)
    np.random.seed(99)
    draws = []
    for _ in range(2):
        with suppress(ZeroDivisionError), compat.reproducible_seed(2**31):
            draws.append(after())
            raise ZeroDivisionError

    assert draws[0] == draws[1] != undisturbed
    assert after() == undisturbed


def specs(count: int = 4, **fields: Any) -> list[Any]:
    return [
        compat.RunSpec(
            **{
                "run_id": f"run-{number}",
                "study_id": "s",
                "condition_id": "cond-1",
                "problem_id": "p",
                "replicate": number + 1,
                "seed": 100 + number,
                "agent_spec_ref": "a",
                "problem_spec_ref": "p",
                **fields,
            }
        )
        for number in range(count)
    ]


CONDITIONS = {"cond-1": compat.Condition("cond-1", {"tone": "warm"}, {})}
RUNNERS: list[Callable[..., Any]] = [
    compat.SerialRunner().run,
    lambda **given: compat.LocalParallelRunner().run(**given, max_workers=3),
]


class Progress:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def record_result(self, result: Any) -> None:
        self.seen.append(result.run_id)


@pytest.mark.field("studies-P13")
@pytest.mark.parametrize("run", RUNNERS, ids=["serial", "parallel"])
@pytest.mark.parametrize("checkpoint", [True, False])
def test_runs_that_are_given_are_made_with_their_own_seeds(
    tmp_path: Path, run: Callable[..., Any], checkpoint: bool
) -> None:
    progress = Progress()
    results = run(
        run_specs=specs(),
        condition_by_id=CONDITIONS,
        agent_bindings={"a": lambda _condition: solve},
        problem_registry={"p": {"brief": "b"}},
        output_dir=tmp_path / "out",
        checkpoint=checkpoint,
        fail_fast=False,
        progress=progress,
        condition_runner=None,
    )

    assert [result.outputs["text"] for result in results] == [f"b {100 + i}" for i in range(4)]
    assert [result.run_id for result in results] == [f"run-{i}" for i in range(4)]
    assert [result.run_spec.seed for result in results] == [100, 101, 102, 103]
    assert sorted(progress.seen) == [f"run-{i}" for i in range(4)]
    kept = compat.load_checkpointed_run_results(tmp_path / "out")
    assert len(kept) == (4 if checkpoint else 0)


@pytest.mark.field("studies-P13")
@pytest.mark.parametrize("run", RUNNERS, ids=["serial", "parallel"])
def test_what_succeeded_before_is_not_made_again(tmp_path: Path, run: Callable[..., Any]) -> None:
    calls: list[int] = []

    def flaky(*, seed: int, problem_packet: ps.Problem) -> str:
        calls.append(seed)
        if len(calls) == 2:
            raise ValueError("no")

        return "yes"

    def again(**options: Any) -> list[str]:
        made = run(
            run_specs=specs(2),
            condition_by_id=CONDITIONS,
            agent_bindings={"a": flaky},
            output_dir=tmp_path / "out",
            **options,
        )
        return [result.status.value for result in made]

    assert sorted(again()) == ["failed", "success"]
    assert again() == ["success", "success"]
    assert (again(), len(calls)) == (["success", "success"], 3)


@pytest.mark.field("studies-P13")
def test_after_a_failure_no_more_runs_are_started_where_that_is_wished(tmp_path: Path) -> None:
    def fail(brief: str) -> str:
        raise ValueError("no")

    options: dict[str, Any] = {"condition_by_id": CONDITIONS, "agent_bindings": {"a": fail}}
    results = compat.SerialRunner().run(
        run_specs=specs(), output_dir=tmp_path, checkpoint=False, fail_fast=True, **options
    )
    assert [result.error_info for result in results] == ["ValueError: no"]


def test_a_condition_runner_makes_runs_that_are_given(tmp_path: Path) -> None:
    def make(spec: RunSpec, condition: ps.Condition) -> RunOutput:
        return RunOutput(outputs={"text": f"{condition['tone']} {spec.seed}"})

    planned = list(ps.plan(study(), standalone=True))
    conditions = {each.condition_id: each for each in ps.build_design(study())}
    results = compat.SerialRunner().run(
        run_specs=planned,
        condition_by_id=conditions,
        output_dir=tmp_path,
        condition_runner=make,
    )
    assert [result.outputs["text"] for result in results] == [f"warm {s.seed}" for s in planned]
    assert results[0].run_spec.position == 0


def test_an_agent_that_stops_the_study_leaves_its_run_undone(tmp_path: Path) -> None:
    def stop(seed: int, brief: str) -> str:
        if seed == 101:
            raise StopStudy("enough")

        return "yes"

    results = compat.SerialRunner().run(
        run_specs=specs(),
        condition_by_id=CONDITIONS,
        agent_bindings={"a": stop},
        output_dir=tmp_path / "out",
    )
    assert [result.run_id for result in results] == ["run-0"]


def test_everything_that_is_wrong_with_runs_is_told_before_one_is_made(tmp_path: Path) -> None:
    def refused(*given: Any, **options: Any) -> tuple[str, ...]:
        with pytest.raises(ps.ValidationError) as error:
            compat.LocalParallelRunner().run(
                run_specs=given, output_dir=tmp_path / "out", **{"max_workers": 1, **options}
            )

        errors: tuple[str, ...] = error.value.errors
        return errors

    assert refused(*specs(1), *specs(1, study_id="t"), condition_by_id={}) == (
        "Some runs are of study 't', others of 's'.",
        "No condition with the id 'cond-1' is given.",
    )
    agent, workers = refused(*specs(1), condition_by_id=CONDITIONS, max_workers=0)
    assert "no agent is named 'a'" in agent
    assert workers == "max_workers must be >= 1."
    assert not (tmp_path / "out").exists()
    assert (
        compat.SerialRunner().run(run_specs=[], condition_by_id={}, output_dir=tmp_path / "out")
        == []
    )

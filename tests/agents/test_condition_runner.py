from __future__ import annotations

import csv
import random
import threading
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.agents import RunOutput
from penstock.planning.plan import RunSpec, plan
from penstock.study.policies import RunBudget, SeedStrategy
from tests import worker_agents


def study(**fields: Any) -> ps.Study:
    given: dict[str, Any] = {
        "study_id": "s1",
        "title": "A study of a simulation",
        "factors": (ps.Factor(name="variant", levels=("a", "b")),),
        "run_budget": RunBudget(replicates=2, parallelism=4),
    }
    return ps.Study(**(given | fields))


def run(runner: Any, tmp_path: Path, made: ps.Study | None = None, **options: Any) -> Any:
    return ps.run_study(
        made or study(), condition_runner=runner, output_dir=tmp_path / "out", **options
    )


def measure(run_spec: RunSpec, condition: ps.Condition) -> RunOutput:
    return RunOutput(
        outputs={"variant": condition["variant"]}, metrics={"primary_outcome": run_spec.seed}
    )


def test_ids_and_seeds_are_made_of_no_agent_and_no_problem() -> None:
    made = plan(study(), standalone=True)
    second = made[1]
    assert second.condition_id == "cond-593275f88eaa"
    assert (second.replicate, second.run_id) == (2, "run-79fab9677b26")
    assert second.seed == 335297868
    assert (second.problem_id, second.agent_spec_ref, second.problem_spec_ref) == ("", None, None)
    assert second.execution_metadata == {
        "agent_id": None,
        "problem_id": None,
        "condition_fingerprint": '{"blocks":{},"factors":{"variant":"a"}}',
    }


def test_the_agents_and_problems_of_a_study_multiply_no_runs() -> None:
    named = study(agent_specs=("a", "b"), problem_ids=("p", "q"))
    assert [*plan(named, standalone=True)] == [*plan(study(), standalone=True)]
    assert len(plan(named)) == 4 * len(plan(named, standalone=True))


def test_paired_seeds_are_those_of_the_replicate() -> None:
    paired = ps.SeedPolicy(strategy=SeedStrategy.PAIRED)
    seeds = [spec.seed for spec in plan(study(seed_policy=paired), standalone=True)]
    assert seeds[:2] == seeds[2:]
    assert len(set(seeds)) == 2


def test_a_plain_function_does_each_run_in_a_thread(tmp_path: Path) -> None:
    threads = set()

    def runner(run_spec: RunSpec, condition: ps.Condition) -> RunOutput:
        threads.add(threading.current_thread())
        return measure(run_spec, condition)

    results = run(runner, tmp_path)
    assert [result.outputs["variant"] for result in results] == ["a", "a", "b", "b"]
    assert [result.metrics["primary_outcome"] for result in results] == [
        result.spec.seed for result in results
    ]
    assert threading.main_thread() not in threads
    for result in results:
        assert result.provenance == {
            "execution_mode": "condition_runner",
            "primary_outcome_from": "agent",
        }
        assert result.evaluations == ()
        (answered,) = result.observations  # a run has one event at least, for analyses
        assert answered.meta_json == '{"auto_generated":true}'


def test_an_async_function_whatever_its_parameters_are_called(tmp_path: Path) -> None:
    async def runner(a: RunSpec, b: ps.Condition) -> RunOutput:
        return RunOutput(outputs={"drawn": random.random()}, metrics={"latency_s": 7.0})

    first = [result.outputs for result in run(runner, tmp_path)]
    again = [result.outputs for result in run(runner, tmp_path, fresh=True, parallelism=1)]
    assert first == again
    assert [result.metrics["latency_s"] for result in run(runner, tmp_path)] == [7.0] * 4


def test_an_object_that_is_called_may_be_async(tmp_path: Path) -> None:
    class Simulation:
        async def __call__(self, run_spec: RunSpec, condition: ps.Condition) -> RunOutput:
            return measure(run_spec, condition)

    assert run(Simulation(), tmp_path).summary.succeeded == 4


def test_a_function_may_run_in_a_worker_process(tmp_path: Path) -> None:
    results = run(worker_agents.outputs, tmp_path)
    assert [result.error_info for result in results] == [None] * 4
    assert [result.outputs["variant"] for result in results] == ["a", "a", "b", "b"]


@pytest.mark.parametrize("returned", [None, {"outputs": {}}, ps.AgentResult(outputs={"a": 1})])
def test_anything_else_that_is_returned_is_a_failed_run(returned: Any, tmp_path: Path) -> None:
    calls = []

    def runner(run_spec: RunSpec, condition: ps.Condition) -> Any:
        calls.append(run_spec.run_id)
        return returned

    results = run(runner, tmp_path, retry=ps.Retry(attempts=3, wait_s=0.0))
    assert {result.error_info for result in results} == {
        "TypeError: condition_runner must return RunOutput."
    }
    assert len(calls) == 4  # another attempt would return the same
    assert results[0].provenance == {"execution_mode": "condition_runner"}


def test_what_failed_runs_again_and_what_succeeded_does_not(tmp_path: Path) -> None:
    calls = []

    def failing(run_spec: RunSpec, condition: ps.Condition) -> RunOutput:
        calls.append(run_spec.run_id)
        if condition["variant"] == "b" and len(calls) <= 4:
            raise OSError("no")

        return measure(run_spec, condition)

    assert run(failing, tmp_path, parallelism=1).summary.failed == 2
    assert run(failing, tmp_path).summary.session.restored == 2
    assert len(calls) == 6


def test_its_files_are_those_of_any_study(tmp_path: Path) -> None:
    run(measure, tmp_path)
    rows = table(tmp_path / "out" / "runs.csv")
    assert [(row["agent_id"], row["problem_id"], row["problem_family"]) for row in rows] == [
        ("", "", "unknown")
    ] * 4
    assert table(tmp_path / "out" / "evaluations.csv") == []
    assert (tmp_path / "out" / "analysis" / "runs.csv").exists()


def test_what_cannot_be_called_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ps.ValidationError, match="condition_runner is 7, which cannot be called"):
        run(7, tmp_path)

    assert not (tmp_path / "out").exists()


def test_without_a_condition_runner_such_a_study_is_refused(tmp_path: Path) -> None:
    assert ps.validate_study(study()) == []
    with pytest.raises(ps.ValidationError, match=r"problem IDs, a problem factor, or condition_ru"):
        ps.run_study(study(), output_dir=tmp_path / "out")


def test_everything_else_that_is_wrong_is_still_told(tmp_path: Path) -> None:
    twice = study(factors=2 * (ps.Factor(name="variant", levels=("a", "b")),))
    with pytest.raises(ps.ValidationError, match="Duplicate factor name detected: 'variant'"):
        run(measure, tmp_path, twice)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))

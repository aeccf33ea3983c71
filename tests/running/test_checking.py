from __future__ import annotations

from typing import Any

import pytest

import penstock as ps
from penstock.agents import RunOutput
from penstock.errors import ValidationError
from penstock.planning.plan import Plan
from penstock.running.checking import check, prepare
from tests.builders import make_study


async def agent(ctx: Any) -> str:
    return "bound"


BOUND = {"agent-a": agent}


def test_a_study_is_planned_and_bound_in_one_go() -> None:
    plan, bindings = prepare(make_study(), agent_bindings=BOUND).ready()

    assert (len(plan), set(bindings.agents)) == (2, {"agent-a"})


def test_a_report_counts_what_is_planned_done_and_left() -> None:
    def count_done(plan: Plan) -> int:
        return len(plan) - 1

    report = check(make_study(), agent_bindings=BOUND, count_done=count_done)

    assert (report.errors, report.planned, report.done, report.left) == ((), 2, 1, 1)
    assert report.is_valid


def test_a_report_lists_everything_that_is_wrong_and_calls_nothing() -> None:
    study = make_study(agent_specs=("agent-b",))
    study = study.model_copy(update={"factors": study.factors * 2})

    report = check(study)

    assert not report.is_valid
    assert "Duplicate factor name detected: 'tone'." in report.errors
    assert any("no agent is named 'agent-b'" in error for error in report.errors)
    assert len(set(report.errors)) == len(report.errors)


def test_nothing_is_counted_where_there_is_no_plan() -> None:
    study = make_study(run_budget={"max_runs": 1})

    def count_done(plan: Plan) -> int:
        raise AssertionError("there is no plan to count in")

    report = check(study, agent_bindings=BOUND, count_done=count_done)

    assert (report.planned, report.done, report.left) == (0, 0, 0)
    assert any("max_runs" in error for error in report.errors)


def test_what_the_check_reports_is_what_a_runner_refuses() -> None:
    study = make_study(agent_specs=("agent-b",))

    with pytest.raises(ValidationError) as caught:
        ps.StudyRunner(study)

    assert caught.value.errors == check(study).errors


def test_what_a_study_declares_is_checked_by_the_first_part_alone_without_importing_code() -> None:
    study = make_study(agents={"agent-a": {"call": "no_such_module:agent"}})

    assert ps.validate_study(study) == []
    (error,) = check(study).errors
    assert "no_such_module" in error


def test_a_condition_runner_takes_the_place_of_agents_and_problems() -> None:
    study = make_study(agent_specs=(), problem_ids=())

    report = check(study, condition_runner=lambda spec, condition: RunOutput(outputs={}))

    assert report.errors == ()
    assert check(study, condition_runner="no function").errors  # type: ignore[arg-type]


@pytest.mark.field("studies-N7")
def test_an_expected_answer_that_cannot_be_scored_is_refused_before_anything_is_paid() -> None:
    problems = tuple(ps.Problem(problem_id=f"p{at}", payload={"expected": "x"}) for at in range(6))
    none = (ps.Problem(problem_id="none"), *problems)
    study = make_study(problems=none, evaluators={"right": "number"}, replicates=40)

    report = check(study, agent_bindings=BOUND)
    with pytest.raises(ValidationError) as refused:
        ps.StudyRunner(study, agent_bindings=BOUND)

    absent, not_numbers = report.errors
    assert "evaluator 'right': problem 'none' has no expected answer" in absent
    assert "problem 'p0': the expected answer 'x' is not a single number" in not_numbers
    assert "(and so in 5 more problems: 'p1', 'p2', 'p3', ...)" in not_numbers
    assert refused.value.errors == report.errors


def test_a_pattern_that_an_empty_answer_matches_is_told() -> None:
    def warnings(**options: str) -> tuple[str, ...]:
        study = make_study(evaluators={"said": {"regex": options}})
        return check(study, agent_bindings=BOUND).warnings

    (doubt,) = warnings(pattern="(yes)?")
    assert doubt.startswith("evaluator 'said': the pattern '(yes)?' matches an empty answer")
    assert warnings(pattern="yes") == warnings() == ()

"""How a study is carried out: defaults, bounds, and one value for what has two names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import StudyFileError, ValidationError
from penstock.study.execution import Execution, Retry
from penstock.study.model import Study
from penstock.study.policies import RunBudget

FILE = "study_id: s\ntitle: t\nproblems: [{problem_id: p}]\n"


def study_of(**fields: Any) -> Study:
    return Study(**{"study_id": "s", "title": "t", **fields})


def load(folder: Path, text: str) -> Study:
    path = folder / "study.yaml"
    path.write_text(FILE + text, encoding="utf-8")
    return ps.load_study(path)


def test_what_is_left_out_tries_once_one_run_at_a_time_and_never_gives_up() -> None:
    execution = Execution()

    assert (execution.concurrency, execution.timeout_s, execution.retry) == (1, None, Retry())
    assert execution.failures_allowed is None
    assert (execution.grace_s, execution.stall_threshold_s) == (10.0, 0.1)
    assert execution.limiters == {}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"concurrency": 0}, "Execution.concurrency must be >= 1."),
        ({"concurrency": "many"}, "must be a whole number, or 'auto' (got 'many')"),
        ({"concurrency": True}, "must be a whole number, or 'auto' (got True)"),
        ({"timeout_s": 0}, "timeout_s: Input should be greater than 0"),
        ({"timeout_s": float("nan")}, "timeout_s: Input should be greater than 0"),
        ({"timeout_s": "30"}, "timeout_s: must be a number"),
        ({"max_failures": -1}, "max_failures: Input should be greater than or equal to 0"),
        ({"limiters": {"api": 0}}, "limiters.api: Input should be greater than 0"),
        ({"grace_s": -1}, "grace_s: Input should be greater than or equal to 0"),
        ({"stall_threshold_s": 0}, "stall_threshold_s: Input should be greater than 0"),
        ({"retry": {"attempts": 0}}, "retry.attempts: Input should be greater than 0"),
        ({"fail_fast": True, "max_failures": 3}, "`fail_fast` means `max_failures: 0`"),
    ],
)
def test_each_rule_has_its_sentence(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Execution(**fields)

    assert message in str(caught.value)


def test_failing_fast_allows_no_failure() -> None:
    assert Execution(fail_fast=True).failures_allowed == 0
    assert Execution(fail_fast=True, max_failures=0).failures_allowed == 0
    assert Execution(max_failures=3).failures_allowed == 3


def test_named_limits_cannot_be_changed() -> None:
    limiters: Any = Execution(limiters={"api": 1}).limiters
    with pytest.raises(TypeError, match="belongs to the study"):
        limiters["api"] = 2


def test_the_wait_doubles_up_to_a_bound_and_is_as_long_as_a_provider_asks() -> None:
    retry = Retry(wait_s=2.0, max_wait_s=9.0)

    assert [retry.backoff_s(tries, 1.0) for tries in (1, 2, 3, 4, 5000)] == [2, 4, 8, 9, 9]
    assert retry.backoff_s(2, 0.5) == 2.0
    assert retry.backoff_s(2, 0.5, asked_s=30.0) == 30.0


def test_a_study_file_says_how_it_is_carried_out(tmp_path: Path) -> None:
    study = load(
        tmp_path,
        "replicates: 3\n"
        "max_runs: 9\n"
        "execution:\n"
        "  concurrency: auto\n"
        "  timeout_s: 30\n"
        "  retry: {attempts: 4, wait_s: 0.5, on: [RateLimitError]}\n"
        "  limiters: {api: 5}\n"
        "  fail_fast: true\n",
    )

    retry = Retry(attempts=4, wait_s=0.5, on=("RateLimitError",))
    assert study.execution == Execution(
        concurrency="auto", timeout_s=30.0, retry=retry, limiters={"api": 5}, fail_fast=True
    )
    assert study.run_budget == RunBudget(
        replicates=3, max_runs=9, parallelism="auto", fail_fast=True
    )


def test_the_older_section_means_the_same() -> None:
    budget = RunBudget(replicates=3, max_runs=9, parallelism=5, fail_fast=True)
    study = study_of(run_budget=budget)

    assert study.run_budget == budget
    assert (study.replicates, study.max_runs) == (3, 9)
    assert study.execution == Execution(concurrency=5, fail_fast=True)
    assert len(ps.plan(study_of(replicates=3, problem_ids=["p"]))) == 3


def test_a_value_said_twice_alike_is_said_once() -> None:
    study = study_of(
        replicates=2,
        run_budget={"replicates": 2, "parallelism": 4},
        execution={"concurrency": 4, "timeout_s": 1.0},
    )

    assert (study.replicates, study.execution.concurrency) == (2, 4)


def test_every_value_said_twice_and_not_alike_is_an_error_that_names_both_places(
    tmp_path: Path,
) -> None:
    with pytest.raises(StudyFileError) as caught:
        load(
            tmp_path,
            "replicates: 2\n"
            "execution: {concurrency: 8, fail_fast: false}\n"
            "run_budget: {replicates: 3, parallelism: auto, fail_fast: true, max_runs: 7}\n",
        )

    assert [error.removesuffix("; give one of them") for error in caught.value.errors] == [
        "replicates: is 2, and `run_budget.replicates`, its older place, is 3",
        "execution.concurrency: is 8, and `run_budget.parallelism`, its older place, is auto",
        "execution.fail_fast: is False, and `run_budget.fail_fast`, its older place, is True",
    ]


def test_failing_fast_in_one_section_and_failures_in_another_contradict_each_other() -> None:
    with pytest.raises(ps.ValidationError, match=r"execution\.max_failures: `fail_fast` means"):
        study_of(run_budget={"fail_fast": True}, execution={"max_failures": 3})


@pytest.mark.parametrize("field", ["replicates", "max_runs"])
def test_what_stands_at_the_top_has_bounds_too(field: str) -> None:
    with pytest.raises(ValidationError, match=rf"Study\.{field} must be >= 1\."):
        study_of(**{field: 0})


def test_a_study_that_says_nothing_new_is_written_as_it_ever_was() -> None:
    written = study_of(replicates=2, execution={"concurrency": 3, "fail_fast": True}).to_dict()

    assert written["run_budget"] == {
        "replicates": 2,
        "max_runs": None,
        "parallelism": 3,
        "fail_fast": True,
    }
    assert not {"execution", "replicates", "max_runs"} & written.keys()


def test_what_is_written_is_read_back_as_the_same_study() -> None:
    study = study_of(
        replicates=2,
        execution={"concurrency": 3, "retry": {"attempts": 2}, "limiters": {"api": 1}},
    )
    written = study.to_dict()
    del written["schema_version"]

    assert written["execution"] == {"retry": {"attempts": 2}, "limiters": {"api": 1}}
    assert Study(**written) == study
    assert Study(**study.model_dump()) == study


def test_a_copy_follows_what_was_changed_under_either_name() -> None:
    study = study_of(problems=[{"problem_id": "p"}], replicates=2, execution={"timeout_s": 9.0})

    assert study.model_copy(update={"replicates": 5}).run_budget.replicates == 5
    other = study_of().model_copy(update={"run_budget": RunBudget(replicates=7, parallelism=4)})
    assert (other.replicates, other.execution.concurrency) == (7, 4)
    renamed = study.model_copy(update={"study_id": "new", "problems": [{"problem_id": "q"}]})
    assert renamed.output_dir == Path("artifacts/new")
    assert renamed.problem_ids == ("q",)
    assert study.model_copy(update={"problems": ()}).problem_ids == ("p",)
    assert study.model_copy() == study
    with pytest.raises(ValidationError, match="give one of them"):
        study.model_copy(update={"run_budget": RunBudget(replicates=3)})

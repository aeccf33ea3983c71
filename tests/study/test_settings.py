"""What may be set while a study runs."""

from __future__ import annotations

import pytest

from penstock.errors import ValidationError
from penstock.study.execution import Execution
from penstock.study.settings import SETTABLE, Settings
from penstock.study.spending import Budget

DECLARED = Budget(max_cost_usd=10.0)


def test_each_settable_value_is_one_that_a_study_file_has() -> None:
    settings = Settings()

    assert all(settings.value(name) is not ... for name in SETTABLE)


def test_values_are_set_by_their_names_in_the_study_file_and_others_stay() -> None:
    before = Settings(Execution(concurrency=4, grace_s=3.0), DECLARED)

    after = before.changed(
        {
            "execution.concurrency": 200,
            "execution.retry.on": ["TimeoutError"],
            "budget.max_cost_usd": 50,
        },
        DECLARED,
    )

    assert after.execution.concurrency == 200
    assert after.execution.retry.on == ("TimeoutError",)
    assert after.value("execution.retry.on") == ["TimeoutError"]
    assert after.execution.grace_s == 3.0
    assert after.budget.max_cost_usd == 50
    assert before.execution.concurrency == 4


def test_everything_that_cannot_be_set_is_told_at_once() -> None:
    with pytest.raises(ValidationError) as raised:
        Settings().changed(
            {"execution.concurency": 2, "execution.concurrency": "auto", "replicates": 3}, DECLARED
        )

    misspelt, other, auto = raised.value.errors
    assert "did you mean execution.concurrency?" in misspelt
    assert other.startswith("replicates cannot be set while a study runs")
    assert "at the start only" in auto


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("execution.concurrency", 0),
        ("execution.timeout_s", "soon"),
        ("execution.retry.attempts", 0),
        ("budget.max_duration_s", -1),
    ],
)
def test_a_value_that_a_study_file_could_not_have_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Settings().changed({name: value}, Budget())


def test_a_bound_of_money_that_was_not_declared_was_not_examined_and_is_refused() -> None:
    with pytest.raises(ValidationError, match="the study declares none"):
        Settings().changed({"budget.max_tokens": 5}, DECLARED)

    assert Settings().changed({"budget.max_tokens": None}, DECLARED) == Settings()


def test_how_many_may_fail_answers_for_failing_fast_too() -> None:
    settings = Settings(Execution(fail_fast=True)).changed({"execution.max_failures": 3}, Budget())

    assert settings.execution.failures_allowed == 3

from __future__ import annotations

import pytest
from pydantic import ValidationError

from penstock.results import RunResult
from penstock.running.retry import next_wait_s
from penstock.study.execution import Retry
from tests.builders import make_error, make_plan, make_result

PLAN = make_plan(list(range(50)))


def failed(position: int = 0, *, attempt: int = 1, **error: object) -> RunResult:
    return make_result(PLAN[position], error=make_error(**error), attempt=attempt)


def test_nothing_is_tried_again_unless_it_is_asked_for() -> None:
    assert next_wait_s(Retry(), failed(), 1) is None


def test_a_run_is_tried_as_often_as_it_is_asked_for() -> None:
    retry = Retry(attempts=3)

    assert [next_wait_s(retry, failed(), tries) is not None for tries in (1, 2, 3, 4)] == [
        True,
        True,
        False,
        False,
    ]


def test_only_failures_worth_another_attempt_are_tried_again() -> None:
    retry = Retry(attempts=3)

    assert next_wait_s(retry, failed(retryable=False), 1) is None
    assert next_wait_s(retry, make_result(PLAN[0]), 1) is None


def test_only_the_named_classes_are_tried_again() -> None:
    retry = Retry(attempts=3, on=("TimeoutError", "RateLimitError"))

    assert next_wait_s(retry, failed(kind="ValueError"), 1) is None
    assert next_wait_s(retry, failed(kind="RateLimitError"), 1) is not None


@pytest.mark.parametrize("tries", [1, 2, 3, 6, 10])
def test_the_wait_is_drawn_from_nothing_to_a_bound_that_doubles(tries: int) -> None:
    retry = Retry(attempts=100, wait_s=0.5, max_wait_s=20)
    bound = min(20, 0.5 * 2 ** (tries - 1))
    waits = [next_wait_s(retry, failed(i), tries) or 0.0 for i in range(50)]

    assert all(0 <= wait < bound for wait in waits)
    assert min(waits) < 0.2 * bound
    assert max(waits) > 0.8 * bound


def test_the_wait_of_a_run_is_the_same_each_time_and_differs_between_runs_and_attempts() -> None:
    retry = Retry(attempts=100)
    waits = {
        next_wait_s(retry, failed(position, attempt=attempt), 3)
        for position in range(10)
        for attempt in (1, 2)
        for _ in range(3)
    }

    assert len(waits) == 20


def test_a_run_may_be_tried_for_ever() -> None:
    assert 0 <= (next_wait_s(Retry(attempts=10**9), failed(), 5000) or 0) <= 60


def test_a_wait_of_nothing_is_no_end() -> None:
    assert next_wait_s(Retry(attempts=2, wait_s=0), failed(), 1) == 0.0


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"wait_s": -1}, {"max_wait_s": -1}, {"tries": 3}]
)
def test_a_retry_that_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Retry.model_validate(wrong)

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from penstock._base.threads import WorkerThreads
from penstock.errors import ValidationError
from penstock.evaluators import builtin, patterns
from penstock.evaluators.expected import ExpectedError
from penstock.evaluators.patterns import (
    PatternCheck,
    PatternTimeoutError,
    compile_pattern,
    last_match,
    regex_check,
)
from penstock.study.declarations import EvaluatorDeclaration
from penstock.study.problem import Problem
from penstock.study.scoring import RegexOptions
from tests.builders import make_context

pytestmark = pytest.mark.anyio

ENDLESS = r"(a|aa)+$"
ANSWER = "a" * 60 + "b"


def problem(expected: Any) -> Problem:
    return Problem(problem_id="p", payload={"expected": expected})


async def test_a_pattern_that_finds_no_end_is_tried_for_milliseconds_in_the_event_loop() -> None:
    check = regex_check(RegexOptions(pattern=ENDLESS), problem("x"))

    with pytest.raises(TimeoutError) as raised:
        check.quick(ANSWER)

    assert not isinstance(raised.value, PatternTimeoutError)


@pytest.mark.field("studies-A5")
async def test_a_pattern_that_finds_no_end_fails_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patterns, "PATIENT_S", 0.02)
    check = regex_check(RegexOptions(pattern=ENDLESS), problem("x"))

    with pytest.raises(PatternTimeoutError, match=r"the pattern '\(a\|aa\)\+\$' found no end"):
        check.patient(ANSWER)


async def test_a_pattern_that_takes_long_goes_on_in_a_worker_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop_thread = threading.get_ident()

    def quick(_: Any) -> bool:
        assert threading.get_ident() == loop_thread
        raise TimeoutError

    def patient(_: Any) -> bool:
        return threading.get_ident() != loop_thread

    rule = builtin._RULES["regex"]._replace(check=lambda *_: PatternCheck(quick, patient))
    monkeypatch.setitem(builtin._RULES, "regex", rule)
    declared = EvaluatorDeclaration.model_validate("regex")
    evaluate = builtin.bind_built_in("r", declared, WorkerThreads(1))
    (row,) = await evaluate(make_context(), {"text": "x"})

    assert row.metric_value == 1.0


async def test_a_match_lets_other_threads_run() -> None:
    """A pattern of the standard library would hold the interpreter until it has ended."""
    ran = threading.Event()
    waiting = threading.Thread(target=ran.set)

    def search() -> None:
        waiting.start()
        with pytest.raises(TimeoutError):
            last_match(compile_pattern(ENDLESS), ANSWER, 0.2)

    await anyio.to_thread.run_sync(search)
    assert ran.is_set()
    waiting.join()


@pytest.mark.field("studies-A5")
@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        ("C++ (17", "is not a regular expression"),
        ("a*", "is a pattern that an empty answer matches"),
        (["yes", "x|"], "is a pattern that an empty answer matches"),
        ("", "is empty"),
        (None, "is empty"),
        ("a{999999999}", "is not a regular expression"),
    ],
)
async def test_an_expected_pattern_that_can_tell_nothing_is_refused(
    expected: Any, reason: str
) -> None:
    with pytest.raises(ExpectedError) as refused:
        regex_check(RegexOptions(), problem(expected))

    assert refused.value.reason == reason


async def test_a_declared_pattern_needs_no_expected_answer_and_may_match_nothing() -> None:
    check = regex_check(RegexOptions(pattern="^(?!.*sorry)"), Problem(problem_id="p"))

    assert check.quick("") is True
    assert check.quick("I am sorry.") is False


async def test_a_pattern_that_would_fill_memory_is_refused() -> None:
    with pytest.raises(ValidationError, match="repeats something more than 100,000 times"):
        RegexOptions(pattern="((a{1000}){1000})")

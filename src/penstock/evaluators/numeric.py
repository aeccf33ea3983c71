"""Numbers as answers: whether the number that an answer gives is the expected one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from penstock.errors import BindingError
from penstock.evaluators.expected import ExpectedError, accepted
from penstock.evaluators.final_answers import final_number, single_number
from penstock.evaluators.numbers import Number, are_equal
from penstock.evaluators.patterns import (
    PATIENT_S,
    QUICK_S,
    PatternCheck,
    compile_pattern,
    last_match,
)
from penstock.study.problem import Problem
from penstock.study.scoring import NumberOptions

__all__ = ["NUMBER_VERSION", "number_check"]

NUMBER_VERSION = 3


def number_check(options: NumberOptions, problem: Problem) -> Callable[[Any], bool] | PatternCheck:
    """Make what tells whether an answer gives an expected number.

    Raises:
        ExpectedError: the problem has no expected answer, or one that is not a single number.
    """
    wanted = [_expected(value, options.decimal) for value in accepted(problem)]
    equal = partial(
        are_equal,
        tolerance=options.tolerance,
        relative_tolerance=options.relative_tolerance,
    )

    def is_wanted(found: Number | None) -> bool:
        return found is not None and any(equal(found, each) for each in wanted)

    if options.pattern is None:
        return lambda value: is_wanted(_given(value, options.decimal))

    pattern = compile_pattern(options.pattern)

    def check(value: Any, *, timeout_s: float) -> bool:
        if not isinstance(value, str):
            return is_wanted(_given(value, options.decimal))

        matched = last_match(pattern, value, timeout_s)
        return matched is not None and is_wanted(final_number(matched, options.decimal))

    return PatternCheck(partial(check, timeout_s=QUICK_S), partial(check, timeout_s=PATIENT_S))


def _expected(value: Any, decimal: str) -> Number:
    number = single_number(value, decimal) if isinstance(value, str) else _of_python(value)
    if number is None:
        other = "," if decimal == "." else "."
        hint = ""
        if isinstance(value, str) and other in value:
            hint = f" (if decimals follow {other!r}, declare decimal: {other!r})"

        raise ExpectedError(f"is not a single number{hint}", value)

    return number


def _given(value: Any, decimal: str) -> Number | None:
    """Find the number that an answer gives: a text, or a value that is one."""
    if isinstance(value, str):
        return final_number(value, decimal)

    if isinstance(value, Mapping):
        raise BindingError(
            f"the answer has the fields {', '.join(map(str, value))}, and a number is one value; "
            "let the agent call it `answer`"
        )

    return _of_python(value)


def _of_python(value: Any) -> Number | None:
    """Return a number of Python; flags, mappings, lists and what is not finite are not one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None

    exact = Decimal(value) if isinstance(value, int) else Decimal(repr(float(value)))
    return Number(0, 0, exact, is_whole=isinstance(value, int)) if exact.is_finite() else None

"""What a problem expects, and what an answer is, brought to values that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock._base.frozen import frozen_json
from penstock._base.json import encode
from penstock.evaluators.markup import normal, without_thoughts
from penstock.study.problem import Problem

__all__ = ["MISSING", "ExpectedError", "accepted", "expected_of", "single_value", "texts_of"]


MISSING = object()


class ExpectedError(ValueError):
    """An expected answer with which no answer can be compared.

    Args:
        reason: What is wrong with it, in words that are the same for all problems.
        value: The expected answer; `MISSING` where it is the problem that is wrong.
    """

    def __init__(self, reason: str, value: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self._value = value

    def sentence(self, problem: Problem) -> str:
        """Return which problem it is, what it expects, and what is wrong with that."""
        if self._value is MISSING:
            return f"problem {problem.problem_id!r} {self.reason}"

        shown = _shown(self._value)
        return f"problem {problem.problem_id!r}: the expected answer {shown} {self.reason}"


_LONGEST_SHOWN = 80


def _shown(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= _LONGEST_SHOWN else f"{said[:_LONGEST_SHOWN]}..."


def expected_of(problem: Problem) -> Any:
    """Return the expected answer of a problem as it is given.

    Raises:
        ExpectedError: there is none, or it is empty.
    """
    value = problem.payload.get("expected", MISSING)
    if value is MISSING:
        raise ExpectedError(
            "has no expected answer to compare with; give it payload.expected, or name the "
            "column: `problems: {expected: ...}`",
            value,
        )

    if value is None or (isinstance(value, str) and not normal(value).strip()):
        raise ExpectedError("is empty", value)

    return value


def accepted(problem: Problem) -> list[Any]:
    """List the answers that a problem accepts, each a text, a number or a flag.

    A list means any of its items. A mapping with ``value`` and ``aliases``, as TriviaQA has it,
    means the value and each alias.

    Raises:
        ExpectedError: there is none, or one that is none of these.
    """
    expected = expected_of(problem)
    values = expected
    if isinstance(expected, Mapping) and expected.keys() >= {"value", "aliases"}:
        values = [expected["value"], *expected["aliases"]]

    given = list(values) if isinstance(values, (list, tuple)) else [values]
    if not given:
        raise ExpectedError("is empty", expected)

    # As of an answer, what was thought before it is not a part of it.
    values = [without_thoughts(value) if isinstance(value, str) else value for value in given]
    for value in values:
        if not isinstance(value, (str, bool, int, float)):
            raise ExpectedError("is not a text, a number, true or false, or a list of them", value)

        if isinstance(value, str) and not normal(value).strip():
            raise ExpectedError("holds an empty text", expected)

    return values


_NAMES = ("text", "result", "value", "output", "final_output")
"""The fields that are taken for the answer among several."""


def single_value(answer: Any) -> Any:
    """Convert an answer to one plain value: text, number, flag, or else a mapping or list.

    An enum is its value; a dataclass or model is the mapping of its fields. A mapping is the
    value of its only field, or of the first of ``text``, ``result``, ``value``, ``output`` and
    ``final_output``.
    """
    while True:
        if isinstance(answer, str):
            return str(answer)

        if type(answer) in _SCALARS:
            return answer

        if not isinstance(answer, (dict, list)):
            answer = frozen_json(answer)
            continue

        name = next((name for name in _NAMES if name in answer), None)
        if len(answer) == 1 and isinstance(answer, dict):
            (name,) = answer

        if name is None or isinstance(answer, list):
            return answer

        answer = answer[name]


_SCALARS = frozenset({bool, int, float, type(None)})


def texts_of(value: Any) -> tuple[str, ...]:
    """List the texts by which a plain value may be written; anything but text is its JSON."""
    if isinstance(value, str):
        return (value,)

    if isinstance(value, float) and value.is_integer():
        return encode(value), str(int(value))

    return (encode(value),)

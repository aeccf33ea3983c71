"""JSON as an answer: found in a text, and compared field by field with what is expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from penstock._base.frozen import frozen_json
from penstock._base.json import decode
from penstock.evaluators.expected import ExpectedError, expected_of, single_value
from penstock.evaluators.markup import normal, without_thoughts
from penstock.evaluators.port import answer_of
from penstock.study.problem import Problem
from penstock.study.scoring import JsonOptions

__all__ = ["JSON_VERSION", "NOT_FOUND", "find_json", "json_check"]

JSON_VERSION = 2


def json_check(options: JsonOptions, problem: Problem) -> Callable[[Mapping[str, Any]], bool]:
    """Make what tells whether the outputs of a run have the fields that are expected.

    The fields are the outputs themselves, or stand in JSON in the answer's text; where one field
    alone is compared, the answer may be its value. Fields that are not expected do not count.

    Raises:
        ExpectedError: the problem has no expected answer, or lacks a field that is compared.
    """
    wanted = _wanted(options, expected_of(problem))

    def check(outputs: Mapping[str, Any]) -> bool:
        return any(_matches(found, each) for found in _found(outputs) for each in wanted)

    return check


NOT_FOUND = object()
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_MOST_TRIES = 50


def find_json(text: str) -> Any:
    """Read the JSON of a text: all of it, else its last fenced block, else its last object.

    Returns:
        The value, or `NOT_FOUND`.
    """
    candidates = [text, *reversed(_FENCED.findall(text))]
    closing = text.rfind("}") + 1
    opening = text.rfind("{", 0, closing)
    while opening >= 0 and len(candidates) < _MOST_TRIES:
        candidates.append(text[opening:closing])
        opening = text.rfind("{", 0, opening)

    for candidate in candidates:
        try:
            return decode(candidate)
        except (ValueError, RecursionError):
            continue

    return NOT_FOUND


def _wanted(options: JsonOptions, expected: Any) -> list[Any]:
    """List the values that are accepted; text that is itself JSON may mean either."""
    values = [frozen_json(expected)]
    if isinstance(expected, str) and (read := find_json(expected)) is not NOT_FOUND:
        values.insert(0, read)

    fields = options.fields
    if fields and isinstance(values[0], Mapping):
        if missing := [name for name in fields if name not in values[0]]:
            raise ExpectedError(f"lacks {', '.join(missing)}, which `fields` compares", expected)

        return [{name: values[0][name] for name in fields}]

    if len(fields) == 1:
        return [*({fields[0]: value} for value in values), *values]

    if fields or isinstance(values[0], str):
        raise ExpectedError("is not JSON with fields to compare", expected)

    if values[0] == {}:
        raise ExpectedError("is empty", expected)

    return values[:1]


def _found(outputs: Mapping[str, Any]) -> Iterator[Any]:
    yield frozen_json(outputs)
    answer = single_value(answer_of(outputs))
    yield answer
    if isinstance(answer, str):
        yield find_json(without_thoughts(answer))


def _matches(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            name in found and _matches(found[name], value) for name, value in wanted.items()
        )

    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(map(_matches, found, wanted))
        )

    if isinstance(wanted, str):
        return isinstance(found, str) and normal(found).strip() == normal(wanted).strip()

    if wanted != wanted:  # noqa: PLR0124 - NaN, which is right where it is expected
        return bool(found != found)  # noqa: PLR0124

    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)

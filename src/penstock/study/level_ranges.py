"""Levels that a file writes in short: ranges of numbers, and numbers that YAML takes for texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import exp, log
from typing import Any

__all__ = ["is_text_by_yaml", "spelled_out"]

_NUMERIC = {"float", "int"}
_FIELDS = ("from", "to", "steps", "log")
_MOST_STEPS = 100_000
_DIGITS = 12
"""Of a step in between, so that 0.1 to 0.5 in five steps has 0.3 and no more digits."""

_NUMBER = re.compile(
    r"[-+]?(?:0x[0-9a-fA-F](?:_?[0-9a-fA-F])*|0o[0-7](?:_?[0-7])*"
    r"|(?:\d(?:_?\d)*)?\.?\d(?:_?\d)*\.?(?:[eE][-+]?\d+)?)"
)


_READ_AS_NUMBER = re.compile(r"[-+]?(?:\d+|(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?)")
"""What a study file reads as a number; where it is a text all the same, somebody quoted it."""


def is_text_by_yaml(text: str) -> bool:
    """Return whether a number is a text for its form alone: 1e-3, 0x10, 1_000."""
    return looks_like_number(text) and _READ_AS_NUMBER.fullmatch(text) is None


def looks_like_number(text: str) -> bool:
    """Return whether a text is a number as YAML 1.2 or Python write them: 1e-3, 0x10, 1_000."""
    return _NUMBER.fullmatch(text.strip()) is not None


def number_of(text: str) -> int | float:
    """Read a text that `looks_like_number`; whole numbers stay whole."""
    plain = text.strip()
    try:
        return int(plain, 0)
    except ValueError:
        value = float(plain)
        is_whole = plain.replace("_", "").lstrip("+-").isdecimal()
        return int(value) if is_whole else value


def spelled_out(levels: Any, dtype: Any) -> Any:
    """Return the levels of a factor as a list; what is neither of these forms stays as it is.

    Args:
        levels: As they are declared: a list, or ``{from: 0, to: 1, steps: 5}``, where ``log: true``
            makes steps of equal ratio.
        dtype: What the factor declares them to be; ``float`` and ``int`` take 1e-3, 0x10 and 1_000
            for numbers.

    Raises:
        ValueError: a mapping that is not a range.
    """
    if isinstance(levels, Mapping):
        return _range(levels, dtype)

    if dtype in _NUMERIC and isinstance(levels, Iterable) and not isinstance(levels, str):
        return [_as_number(each) for each in levels]

    return levels


def _as_number(level: Any) -> Any:
    """Return a level whose value, or which itself, is the number that its text writes."""
    if isinstance(level, Mapping) and "value" in level:
        return {**level, "value": _as_number(level["value"])}

    return number_of(level) if isinstance(level, str) and looks_like_number(level) else level


def _range(said: Mapping[str, Any], dtype: Any) -> list[int | float]:
    unknown = [str(name) for name in said if name not in _FIELDS]
    missing = [name for name in ("from", "to", "steps") if name not in said]
    if unknown or missing:
        wrong = f"`{unknown[0]}` is not one of them" if unknown else f"`{missing[0]}` is missing"
        raise ValueError(
            "levels are a list, or a range `{from: 0, to: 1, steps: 5}`, with `log: true` for "
            f"steps of equal ratio; {wrong}"
        )

    first, last, steps = (_number(said, name) for name in ("from", "to", "steps"))
    is_log = said.get("log", False)
    if not isinstance(steps, int) or not 2 <= steps <= _MOST_STEPS:  # noqa: PLR2004
        bounds = f"2 to {_MOST_STEPS:,}"
        raise ValueError(f"`steps` of levels is {steps!r}; it must be a whole number, {bounds}")

    if not isinstance(is_log, bool):
        raise ValueError(f"`log` of levels is {is_log!r}; it must be true or false")  # noqa: TRY004

    if is_log and (first <= 0 or last <= 0):
        raise ValueError("levels with `log: true` lie above 0: equal ratios never reach it")

    inner = [_between(first, last, at / (steps - 1), is_log=is_log) for at in range(1, steps - 1)]
    values = [first, *inner, last]
    if dtype == "float":
        return [float(each) for each in values]

    if all(float(each).is_integer() for each in values) and (
        dtype == "int" or all(isinstance(each, int) for each in (first, last))
    ):
        return [int(each) for each in values]

    return values


def _between(first: float, last: float, share: float, *, is_log: bool) -> float:
    value = (
        exp(log(first) + share * (log(last) - log(first)))
        if is_log
        else first + share * (last - first)
    )
    return float(f"{value:.{_DIGITS}g}")


def _number(said: Mapping[str, Any], name: str) -> int | float:
    value = said[name]
    if isinstance(value, str) and looks_like_number(value):
        return number_of(value)

    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"`{name}` of levels is {value!r}; it must be a number")  # noqa: TRY004

    return value

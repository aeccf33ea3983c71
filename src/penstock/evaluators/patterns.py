"""Patterns: regular expressions of the study's author, which may neither freeze nor hold a study.

A pattern is tried for a few milliseconds where the event loop is; one that takes longer goes on
in a worker thread, where it lets other threads run and ends after some seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock._base.json import encode
from penstock.errors import RunFault
from penstock.evaluators.expected import ExpectedError, accepted, texts_of
from penstock.study.problem import Problem
from penstock.study.scoring import RegexOptions, compiled

if TYPE_CHECKING:
    from regex import Match, Pattern

__all__ = [
    "REGEX_VERSION",
    "PatternCheck",
    "PatternTimeoutError",
    "compile_pattern",
    "has_empty_match",
    "last_match",
    "regex_check",
]

REGEX_VERSION = 2
QUICK_S = 0.01
PATIENT_S = 5.0


class PatternTimeoutError(RunFault, TimeoutError):
    """A regular expression took too long on an answer."""

    def __init__(self, pattern: str, length: int) -> None:
        super().__init__(
            f"the pattern {pattern!r} found no end within {PATIENT_S:g} seconds on an answer of "
            f"{length:,} characters; repetitions inside repetitions, as in (a+)+, do this"
        )


class PatternCheck(NamedTuple):
    """A check by a pattern: quick where the event loop is, patient in a worker thread."""

    quick: Callable[[Any], bool]
    patient: Callable[[Any], bool]


@cache
def compile_pattern(pattern: str, *, ignores_case: bool = False) -> Pattern[str]:
    """Compile a regular expression of the ``regex`` package."""
    import regex  # noqa: PLC0415 - 40 ms that studies without patterns need not wait

    flags = regex.VERSION0 | (regex.IGNORECASE if ignores_case else 0)
    compiled: Pattern[str] = regex.compile(pattern, flags)
    return compiled


def regex_check(options: RegexOptions, problem: Problem) -> PatternCheck:
    """Make what tells whether an answer has a match of the pattern, or of an expected one.

    Raises:
        ExpectedError: an expected answer is needed, and is not a regular expression or matches
            an empty answer.
    """
    ignores_case = options.case == "ignore"
    if options.pattern is not None:
        patterns = [compile_pattern(options.pattern, ignores_case=ignores_case)]
    else:
        patterns = [_expected(value, ignores_case=ignores_case) for value in accepted(problem)]

    def check(value: Any, *, timeout_s: float) -> bool:
        text = value if isinstance(value, str) else encode(value)
        return any(_search(pattern, text, timeout_s) for pattern in patterns)

    return PatternCheck(partial(check, timeout_s=QUICK_S), partial(check, timeout_s=PATIENT_S))


def has_empty_match(pattern: str) -> bool:
    """Return whether a pattern matches an empty answer.

    Raises:
        TimeoutError: that takes too long to find out.
    """
    return compile_pattern(pattern).search("", timeout=PATIENT_S) is not None


def last_match(pattern: Pattern[str], text: str, timeout_s: float) -> str | None:
    """Return the last match of a pattern, or the last group that took part in it.

    Raises:
        TimeoutError: it takes longer.
    """
    try:
        matches = list(pattern.finditer(text, timeout=timeout_s, concurrent=True))
    except TimeoutError:
        raise _too_slow(pattern, text, timeout_s) from None

    if not matches:
        return None

    found: str | None = matches[-1][matches[-1].lastindex or 0]
    return found


def _expected(value: Any, *, ignores_case: bool) -> Pattern[str]:
    text = texts_of(value)[0]
    try:
        compiled(text)
    except ValueError:
        raise ExpectedError("is not a regular expression", value) from None

    try:
        if has_empty_match(text):
            raise ExpectedError("is a pattern that an empty answer matches", value)
    except TimeoutError:
        raise ExpectedError("is a pattern that takes too long", value) from None

    return compile_pattern(text, ignores_case=ignores_case)


def _search(pattern: Pattern[str], text: str, timeout_s: float) -> Match[str] | None:
    try:
        return pattern.search(text, timeout=timeout_s, concurrent=True)
    except TimeoutError:
        raise _too_slow(pattern, text, timeout_s) from None


def _too_slow(pattern: Pattern[str], text: str, timeout_s: float) -> TimeoutError:
    return (
        TimeoutError() if timeout_s < PATIENT_S else PatternTimeoutError(pattern.pattern, len(text))
    )

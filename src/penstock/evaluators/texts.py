"""Texts: whether an answer is, or contains, what is expected."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import reduce
from typing import Any

from penstock.evaluators.expected import ExpectedError, accepted, texts_of
from penstock.evaluators.markup import normal
from penstock.study.problem import Problem
from penstock.study.scoring import ContainsOptions, ExactOptions

__all__ = [
    "CONTAINS_VERSION",
    "EXACT_VERSION",
    "contains_check",
    "contains_text",
    "exact_check",
]

EXACT_VERSION = 3
CONTAINS_VERSION = 3
"""The version of a rule is raised when an answer would be scored otherwise than before."""

Check = Callable[[Any], bool]


def exact_check(options: ExactOptions, problem: Problem) -> Check:
    """Make what tells whether an answer is an expected text.

    Raises:
        ExpectedError: the problem has no expected answer that could be told.
    """
    steps = _steps(options)

    def written(text: str) -> str:
        return reduce(lambda text, step: step(text), steps, normal(text))

    values = accepted(problem)
    texts = {written(text) for value in values for text in texts_of(value)}
    flags = {str(value).casefold() for value in values if isinstance(value, bool)}
    if "" in texts:
        raise ExpectedError("is empty without what these options leave out", values[0])

    def check(value: Any) -> bool:
        if isinstance(value, bool):
            return any(text.casefold() == str(value).casefold() for text in texts)

        found = [written(text) for text in texts_of(value)]
        return not texts.isdisjoint(found) or (flags != set() and found[0].casefold() in flags)

    return check


def contains_check(options: ContainsOptions, problem: Problem) -> Check:
    """Make what tells whether an expected text is in an answer.

    Raises:
        ExpectedError: the problem has no expected answer that could be told.
    """

    def written(text: str) -> str:
        text = " ".join(normal(text).split())
        return text.casefold() if options.case == "ignore" else text

    wanted = [written(text) for value in accepted(problem) for text in texts_of(value)]

    def check(value: Any) -> bool:
        text = written(texts_of(value)[0])
        return any(contains_text(text, each, whole_words=options.whole_words) for each in wanted)

    return check


def _steps(options: ExactOptions) -> list[Callable[[str], str]]:
    steps: list[Callable[[str], str]] = []
    if options.case == "ignore":
        steps.append(str.casefold)

    if options.punctuation == "ignore":
        steps.append(_without_punctuation)
    elif options.punctuation == "ends":
        steps.append(_without_punctuation_at_ends)

    if options.whitespace != "keep":
        steps.append(_WHITESPACE[options.whitespace])

    return steps


_WHITESPACE: dict[str, Callable[[str], str]] = {
    "ends": str.strip,
    "collapse": lambda text: " ".join(text.split()),
    "ignore": lambda text: "".join(text.split()),
}


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")


def _without_punctuation(text: str) -> str:
    return "".join(character for character in text if not _is_punctuation(character))


def _without_punctuation_at_ends(text: str) -> str:
    begin, end = 0, len(text)
    while begin < end and (text[begin].isspace() or _is_punctuation(text[begin])):
        begin += 1

    while begin < end and (text[end - 1].isspace() or _is_punctuation(text[end - 1])):
        end -= 1

    return text[begin:end]


def contains_text(text: str, wanted: str, *, whole_words: bool = True) -> bool:
    """Return whether a text is in another, by default not within a longer word.

    ``no`` is not in ``nothing``. In scripts that write words joined, such as Chinese, a text may
    stand anywhere.
    """
    at = text.find(wanted)
    if not whole_words:
        return at >= 0

    while at >= 0:
        end = at + len(wanted)
        if not (_is_inside_a_word(text, at) or _is_inside_a_word(text, end)):
            return True

        at = text.find(wanted, at + 1)

    return False


def _is_inside_a_word(text: str, at: int) -> bool:
    """Return whether a word goes on at a place; scripts without capitals may write words joined."""
    return 0 < at < len(text) and _is_of_a_word(text[at - 1]) and _is_of_a_word(text[at])


def _is_of_a_word(character: str) -> bool:
    return character.isdigit() or character == "_" or character.lower() != character.upper()

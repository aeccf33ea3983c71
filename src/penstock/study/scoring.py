"""What a study says of its built-in evaluators: how each compares an answer with what is expected.

The rules themselves are told on the page "Evaluators" of the documentation; the options here are
their switches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from penstock._base.fact import Declaration, Flag, Name, Number, Text

__all__ = [
    "ChoiceOptions",
    "ContainsOptions",
    "ExactOptions",
    "JsonOptions",
    "LabelsOptions",
    "NumberOptions",
    "RegexOptions",
    "compiled",
]

Case = Literal["keep", "ignore"]
Tolerance = Annotated[Number, Field(ge=0)]


_MOST_REPEATS = 100_000


def compiled(pattern: str | None) -> str | None:
    """Check that a text is a regular expression of the ``regex`` package, and return it.

    Raises:
        ValueError: it is not.
    """
    if pattern is not None:
        import regex  # noqa: PLC0415 - 40 ms that studies without patterns need not wait

        if prod(int(count) for count in re.findall(r"\{(\d{1,9})", pattern)) > _MOST_REPEATS:
            # Each repetition would be written out in memory.
            raise ValueError(f"{pattern!r} repeats something more than {_MOST_REPEATS:,} times")

        try:
            regex.compile(pattern, regex.VERSION0)
        except regex.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error

    return pattern


class _CaseOptions(Declaration):
    """Whether letters may differ in case; ``ignore_case`` is the older way to say so."""

    case: Case = "keep"

    @model_validator(mode="before")
    @classmethod
    def _from_older_name(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "ignore_case" not in data:
            return data

        if "case" in data:
            raise ValueError("say `case` or the older `ignore_case`, not both")

        if not isinstance(data["ignore_case"], bool):
            raise ValueError("ignore_case is true or false")  # noqa: TRY004 - pydantic's to tell

        others = {name: value for name, value in data.items() if name != "ignore_case"}
        return {**others, "case": "ignore" if data["ignore_case"] else "keep"}


class ExactOptions(_CaseOptions):
    """The answer is the expected text.

    Args:
        case: ``ignore`` where capital and small letters are the same.
        whitespace: ``ends`` leaves out white space at both ends, ``collapse`` also makes each run
            of it one space, ``ignore`` leaves all of it out, ``keep`` none.
        punctuation: ``ends`` leaves out punctuation at both ends, ``ignore`` all of it.
    """

    whitespace: Literal["keep", "ends", "collapse", "ignore"] = "ends"
    punctuation: Literal["keep", "ends", "ignore"] = "keep"


class ContainsOptions(_CaseOptions):
    """The answer contains the expected text, as whole words.

    Args:
        case: ``ignore`` where capital and small letters are the same.
        whole_words: Whether the text must begin and end where words do: ``no`` is not in
            ``nothing``.
    """

    whole_words: Flag = True


class RegexOptions(_CaseOptions):
    """The answer has a match of the pattern (where none is given, of the expected text).

    Args:
        pattern: A regular expression of the ``regex`` package.
        case: ``ignore`` where capital and small letters are the same.
    """

    pattern: Text | None = None

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        return compiled(pattern)


_FORMER_PATTERN = r"[-+]?\D{0,2}\d[\d,_ ]*(?:\.\d+)?(?:[eE][-+]?\d+)?"


class NumberOptions(Declaration):
    """The number that the answer gives is the expected number.

    Args:
        pattern: Where the number stands: the last match, or its group where it has one. Without
            a pattern the number that is marked as the answer counts, else the last one.
        decimal: The mark before decimals, in answers and in what is expected.
        tolerance: By how much the two may differ.
        relative_tolerance: By which share of the expected number they may differ. Where it is not
            given, two whole numbers must be equal, and others may differ by a billionth.
    """

    pattern: Text | None = None
    decimal: Literal[".", ","] = "."
    tolerance: Tolerance = 0.0
    relative_tolerance: Tolerance | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_former_defaults(cls, data: Any) -> Any:
        """Read studies that were written out when these were the defaults as they were meant."""
        if not isinstance(data, Mapping) or data.get("pattern") != _FORMER_PATTERN:
            return data

        return {
            name: value
            for name, value in data.items()
            if name != "pattern" and (name, value) != ("tolerance", 1e-9)
        }

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        return compiled(pattern)


class ChoiceOptions(Declaration):
    """The answer chooses the expected option of a multiple-choice question, by letter or text.

    Args:
        options: The field of the problem's payload that holds the options: a list of texts
            (their letters are A, B, ...), a mapping from letter to text, or the two lists
            ``label`` and ``text``.
        count_from: What the first option is called where ``expected`` is the place of the right
            one: 0 or 1.
    """

    options: Name = "options"
    count_from: Literal[0, 1] | None = None


class JsonOptions(Declaration):
    """The fields of the answer, which is JSON, equal those of what is expected.

    Args:
        fields: The fields that are compared; all that are expected where not given. With one
            field, what is expected may be its value alone.
    """

    fields: tuple[Name, ...] = ()


class LabelsOptions(Declaration):
    """The score stands in a file: people gave it.

    Args:
        file: A ``.csv`` or ``.jsonl`` file; relative to the study file.
        key: The column that says what a row scores: ``run_id`` or ``problem_id``.
        score: The column that holds the score, a number; an empty cell is not a score.
    """

    file: Name
    key: Literal["run_id", "problem_id"] = "run_id"
    score: Name = "score"

"""What a study names beside its design: its agents and its evaluators."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import ValidationInfo, field_validator, model_serializer, model_validator

from penstock._base.fact import Declaration, Flag, Number, Text
from penstock.study.chat import ChatOptions, JudgeOptions

__all__ = [
    "AgentDeclaration",
    "ContainsOptions",
    "EvaluatorDeclaration",
    "ExactOptions",
    "NumberOptions",
    "RegexOptions",
]


class _OneOf(Declaration):
    """Exactly one of the fields is set; in a file, plain text is short for one of them."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self._said()) != 1:
            kinds = ", ".join(f"`{name}`" for name in type(self).model_fields)
            raise ValueError(f"say exactly one of {kinds}")

        return self

    @model_serializer
    def _only_what_is_set(self) -> dict[str, Any]:
        return self._said()

    def _said(self) -> dict[str, Any]:
        return {name: value for name, value in self if value is not None}


class AgentDeclaration(_OneOf):
    """What an agent is: a chat model, or what ``module:attr`` or ``file.py:attr`` names.

    Plain text is short for ``{call: text}``.
    """

    call: Text | None = None
    chat: ChatOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        return {"call": data} if isinstance(data, str) else data

    @field_validator("call")
    @classmethod
    def _is_reference(cls, ref: str | None) -> str | None:
        return _reference(ref)


class ExactOptions(Declaration):
    """The answer is the expected text, white space at both ends apart."""

    ignore_case: Flag = False


class ContainsOptions(Declaration):
    """The answer contains the expected text."""

    ignore_case: Flag = False


class RegexOptions(Declaration):
    """The answer has a match of the pattern (where none is given, of the expected text)."""

    pattern: Text | None = None
    ignore_case: Flag = False

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        return _compiled(pattern)


class NumberOptions(Declaration):
    """The last match of the pattern is the expected number.

    Thousands separators and currency signs are dropped; a pattern with a group means the group;
    two numbers are equal where they differ by no more than ``tolerance``.
    """

    pattern: Text = r"[-+]?\D{0,2}\d[\d,_ ]*(?:\.\d+)?(?:[eE][-+]?\d+)?"
    tolerance: Number = 1e-9

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        return _compiled(pattern)


class EvaluatorDeclaration(_OneOf):
    """How answers are scored: a built-in evaluator with its options, or a function.

    In a file, ``exact`` is short for ``{exact: {}}`` and ``module:attr`` for
    ``{call: module:attr}``.
    """

    exact: ExactOptions | None = None
    contains: ContainsOptions | None = None
    regex: RegexOptions | None = None
    number: NumberOptions | None = None
    judge: JudgeOptions | None = None
    call: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"call": data} if ":" in data else {data: {}}

        if isinstance(data, Mapping):  # in YAML, `exact:` alone is `exact: null`
            built_in = cls.model_fields.keys() - {"call"}
            bare: dict[str, Any] = {
                kind: {} for kind in built_in if kind in data and data[kind] is None
            }
            return {**data, **bare}

        return data

    @field_validator("call")
    @classmethod
    def _is_reference(cls, ref: str | None, _info: ValidationInfo) -> str | None:
        return _reference(ref)


def _reference(ref: str | None) -> str | None:
    if ref is not None and not re.fullmatch(r"[^:]+:[A-Za-z_][\w.]*", ref):
        raise ValueError(f"{ref!r} is no reference; write `module:name` or `file.py:name`")

    return ref


def _compiled(pattern: str | None) -> str | None:
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error

    return pattern

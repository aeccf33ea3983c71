"""The bases of everything penstock states: facts, and the declarations of a study among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Strict,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
)

from penstock.study.frozen import FrozenDict, frozen_json

__all__ = [
    "EMPTY",
    "Declaration",
    "Fact",
    "Flag",
    "JsonMapping",
    "JsonValue",
    "Name",
    "Number",
    "Text",
    "Whole",
]

_NON_EMPTY = object()

Text = StrictStr
"""Text; a number is not taken for it."""

Name = Annotated[StrictStr, _NON_EMPTY]
"""Text that is not empty or blank."""

Flag = StrictBool
"""``true`` or ``false``; the texts ``"true"`` and ``"false"`` are errors."""

Whole = StrictInt
"""A whole number; neither ``true`` nor ``"5"`` nor ``5.0`` is taken for one."""

Number = Annotated[float, Strict()]
"""A number, whole or not."""

JsonValue = Annotated[Any, AfterValidator(frozen_json)]
"""A value with a stable JSON form, kept frozen."""

JsonMapping = Annotated[Mapping[str, Any], AfterValidator(frozen_json)]
"""A mapping from text to values with a stable JSON form, kept frozen."""

EMPTY = FrozenDict()
"""The empty mapping, for defaults."""


class Fact(BaseModel):
    """Something stated once and never changed: frozen, keyword-only, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Declaration(Fact):
    """A part of a study as its author declares it, in Python or in a file."""

    @field_validator("*")
    @classmethod
    def _names_are_not_blank(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        if _NON_EMPTY in field.metadata and not value.strip():
            raise ValueError(f"{cls.__name__}.{info.field_name} must be non-empty.")

        return value

"""The bases of everything penstock states: facts, and the declarations of a study among them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar, cast

import pydantic
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
)

from penstock._base.frozen import FrozenDict, frozen_json
from penstock._base.pydantic_errors import sentences_of
from penstock.errors import ValidationError

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # where pydantic has it is pydantic's own business

__all__ = [
    "EMPTY",
    "Declaration",
    "Declared",
    "Fact",
    "Flag",
    "JsonMapping",
    "JsonValue",
    "Name",
    "NotNegative",
    "Number",
    "Positive",
    "PositiveWhole",
    "Text",
    "Whole",
    "changed",
    "nothing",
    "unchecked",
]

Fields = ParamSpec("Fields")
Stated = TypeVar("Stated", bound=BaseModel)

_NON_EMPTY = object()


def _spelt_out(value: Any) -> Any:
    # YAML 1.1 takes `1e-3` for text, and so do study files; where a number is due it is one.
    is_number = isinstance(value, str) and re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", value)
    return float(value) if is_number else value


Text = StrictStr
"""Text; a number is not taken for it."""

Name = Annotated[StrictStr, _NON_EMPTY]
"""Text that is not empty or blank."""

Flag = StrictBool
"""``true`` or ``false``; the texts ``"true"`` and ``"false"`` are errors."""

Whole = StrictInt
"""A whole number; neither ``true`` nor ``"5"`` nor ``5.0`` is taken for one."""

Number = Annotated[float, Strict(), BeforeValidator(_spelt_out)]
"""A number, whole or not."""

Positive = Annotated[Number, Field(gt=0)]
"""A number above 0."""

NotNegative = Annotated[Number, Field(ge=0)]
"""A number, 0 or above."""

PositiveWhole = Annotated[Whole, Field(gt=0)]
"""A whole number from 1."""

JsonValue = Annotated[Any, AfterValidator(frozen_json)]
"""A value with a stable JSON form, kept frozen."""

JsonMapping = Annotated[Mapping[str, Any], AfterValidator(frozen_json)]
"""A mapping from text to values with a stable JSON form, kept frozen."""

EMPTY = FrozenDict()
"""The empty mapping, for defaults."""


def nothing() -> FrozenDict:
    """Return the empty mapping: a default that pydantic does not copy each time."""
    return EMPTY


class Fact(BaseModel):
    """Something stated once and never changed: frozen, keyword-only, no unknown fields.

    What validates it is built when it is first needed: a command imports many facts, and validates
    few.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


# What an instance of pydantic's consists of; its own way of setting an attribute refuses facts.
_put_values = vars(BaseModel)["__dict__"].__set__
_put_given = vars(BaseModel)["__pydantic_fields_set__"].__set__
_put_extra = vars(BaseModel)["__pydantic_extra__"].__set__
_put_private = vars(BaseModel)["__pydantic_private__"].__set__


def unchecked(kind: Callable[Fields, Stated]) -> Callable[Fields, Stated]:
    """Make facts of a class out of values that are known to be right, in half the time.

    Nothing is checked and nothing copied, so this is for facts that we state ourselves for every
    run, and for no value that comes from outside. Missing fields get their defaults.

    Args:
        kind: The class; what is returned is called as it is.
    """
    model = cast("type[BaseModel]", kind)
    fields = model.model_fields
    defaults = {
        name: field.get_default(call_default_factory=True) for name, field in fields.items()
    }
    given, new = set(fields), model.__new__

    def make(**values: Any) -> BaseModel:
        fact = new(model)
        _put_values(fact, values if len(values) == len(defaults) else defaults | values)
        _put_given(fact, given)
        _put_extra(fact, None)
        _put_private(fact, None)
        return fact

    return cast("Callable[Fields, Stated]", make)


def changed(fact: Stated, **values: Any) -> Stated:
    """Copy a fact with other values for some fields, which are known to be right (`unchecked`)."""
    copy, given = type(fact).__new__(type(fact)), fact.__pydantic_fields_set__
    _put_values(copy, fact.__dict__ | values)
    _put_given(copy, given if values.keys() <= given else given | values.keys())
    _put_extra(copy, None)
    _put_private(copy, None)
    return copy


class Declared(ModelMetaclass):
    """Tells what is wrong with a declaration that is made in Python, in penstock's own error.

    Declarations that are read from a file are validated as a whole, and not called.
    """

    def __call__(cls: Any, *args: Any, **fields: Any) -> Any:  # noqa: N805 - instances are classes
        try:
            return super().__call__(*args, **fields)
        except pydantic.ValidationError as error:
            raise ValidationError([*sentences_of(error, cls)]) from error


class Declaration(Fact, metaclass=Declared):
    """A part of a study as its author declares it, in Python or in a file.

    Raises:
        ValidationError: everything that is wrong with its fields, each with its place.
    """

    @field_validator("*", mode="before")
    @classmethod
    def _sets_have_no_order(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, (set, frozenset)):
            place = f"{cls.__name__}.{info.field_name}"
            raise ValueError(f"{place}: a set has no order; give a list")  # noqa: TRY004

        return value

    @field_validator("*")
    @classmethod
    def _names_are_not_blank(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        if _NON_EMPTY in field.metadata and not value.strip():
            raise ValueError(f"{cls.__name__}.{info.field_name} must be non-empty.")

        return value

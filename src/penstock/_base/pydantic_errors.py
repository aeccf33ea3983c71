"""Errors of validation as sentences for people: where, what, and what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import pydantic
from pydantic.fields import FieldInfo

from penstock._base.suggestions import did_you_mean

__all__ = ["in_one_sentence", "sentences_of"]

_WORDS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "mapping_type": "must be a mapping",
    "missing": "is required",
    "model_type": "must be a mapping",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}
"""What pydantic says in the words of Python, in those of a study file."""

_MOST_PLACES = 3
"""A key that belongs in more places than that says nothing of what was meant."""

_QUOTED = re.compile(r"'([^']*)'")


def sentences_of(
    error: pydantic.ValidationError, model: type[pydantic.BaseModel], root: str = ""
) -> Iterator[str]:
    """Write each error with its place and, for an unknown key, the place or key that was meant.

    Args:
        error: What pydantic found.
        model: What was validated.
        root: The place of the whole, such as ``problems``.
    """
    for detail in error.errors(include_url=False):
        place = _place(root, detail["loc"])
        kind, given = detail["type"], detail["input"]
        if kind == "extra_forbidden":
            key = str(detail["loc"][-1])
            known = _fields_at(model, detail["loc"][:-1])
            meant = _belongs(key, model) if not root else ""
            yield f"{place}: unknown key{meant or did_you_mean(key, known, mark='`')}"
        elif kind in {"missing", "value_error"}:
            yield f"{place}: {_WORDS.get(kind, detail['msg'].removeprefix('Value error, '))}"
        else:
            got = "a mapping" if isinstance(given, Mapping) else repr(given)
            said = _WORDS.get(kind, detail["msg"])
            if kind in {"enum", "literal_error"}:
                choices = _QUOTED.findall(detail["msg"])
                said = said.replace("Input should be", "must be", 1)
                got += did_you_mean(str(given), choices)

            yield f"{place}: {said} (got {got})"


def in_one_sentence(error: pydantic.ValidationError) -> str:
    """Write what is wrong with a value, each fault after its place, in one line."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}" if each["loc"] else each["msg"]
        for each in error.errors(include_url=False, include_context=False)
    )


def _place(root: str, loc: Sequence[int | str]) -> str:
    place = root
    for part in loc:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part

    return place or "$"


def _fields_at(model: Any, loc: Sequence[int | str]) -> list[str]:
    """List the keys that are known at a place: follow the path through the models' types."""
    for part in loc:
        field = _fields_by_key(model).get(str(part))
        model = next(_models_in(model if field is None else field.annotation), model)

    return list(_fields_by_key(model))


def _belongs(key: str, model: type[pydantic.BaseModel]) -> str:
    """Say where a key belongs that stands elsewhere; nothing where it could be many places."""
    places = list(dict.fromkeys(_places_of(key, model)))
    if not 1 <= len(places) <= _MOST_PLACES:
        return ""

    *others, last = (f"`{'.'.join(place)}`" if place else "the top of the file" for place in places)
    return f"; its place is {', '.join(others)}{' or ' if others else ''}{last}"


def _places_of(
    key: str, model: type[pydantic.BaseModel], place: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    for name, field in _fields_by_key(model).items():
        if name == key:
            yield place

        if name not in place:  # tools of tools
            for part in _models_in(field.annotation):
                yield from _places_of(key, part, (*place, name))


def _fields_by_key(model: type[pydantic.BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation

    for argument in get_args(annotation):
        yield from _models_in(argument)

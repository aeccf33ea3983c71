"""Events as JSON, with the name of their class, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pydantic

from penstock._base.frozen import frozen_json
from penstock._base.json import decode
from penstock._base.pydantic_errors import sentences_of
from penstock.errors import BindingError, ValidationError
from penstock.events.listening import event_types
from penstock.events.tree import Event

__all__ = ["from_json", "to_json"]

_TYPE = "type"


def to_json(event: Event) -> str:
    """Write an event as JSON on one line: its fields, and ``type``, the name of its class."""
    # pydantic's own JSON writes NaN and infinities as null.
    fields = {_TYPE: type(event).__name__, **event.model_dump()}
    return json.dumps(fields, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else frozen_json(value)


def from_json(text: str) -> Event:
    """Read an event that `to_json` has written.

    Raises:
        ValidationError: it is not an event of this version.
    """
    try:
        fields: Any = decode(text)
    except ValueError as error:
        raise ValidationError([f"not JSON: {error}"]) from error

    if not isinstance(fields, Mapping) or not isinstance(fields.get(_TYPE), str):
        raise ValidationError([f"not an event: a mapping with `{_TYPE}`, the name of its class"])

    try:
        (kind,) = event_types([fields[_TYPE]])
    except BindingError as error:
        raise ValidationError([str(error)]) from error

    try:
        return kind.model_validate({name: value for name, value in fields.items() if name != _TYPE})
    except pydantic.ValidationError as error:
        raise ValidationError([*sentences_of(error, kind)]) from error

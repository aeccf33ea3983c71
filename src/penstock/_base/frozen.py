"""Values that cannot change after they are declared.

A fact is shared by all runs of a study, so nothing inside it may be edited: mappings and lists
are kept as `FrozenDict` and `FrozenList`, which are ordinary ``dict`` and ``list`` to a reader
(they compare equal to them and ``json.dumps`` writes them) and refuse every change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any, Never
from uuid import UUID

from penstock.errors import UnstableValueError

__all__ = ["FrozenDict", "FrozenList", "frozen_json"]

_PLAIN = frozenset({str, bool, float, type(None)})

_MAX_BITS = 14_000
"""Python writes no whole number of more than 4,300 digits, which is a little more than this."""


def _refuse(self: object, *_: object, **__: object) -> Never:
    builtin = "dict" if isinstance(self, dict) else "list"
    raise TypeError(
        f"this {builtin} belongs to the study and cannot be changed; "
        f"work on a copy of your own: {builtin}(value)"
    )


class FrozenDict(dict[str, Any]):
    """A ``dict`` that refuses to be changed."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __deepcopy__(self, _memo: object) -> FrozenDict:
        return self

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        return FrozenDict, (dict(self),)


class FrozenList(list[Any]):
    """A ``list`` that refuses to be changed."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __deepcopy__(self, _memo: object) -> FrozenList:
        return self

    def __reduce__(self) -> tuple[type[FrozenList], tuple[list[Any]]]:
        return FrozenList, (list(self),)


def frozen_json(value: Any, path: str = "$") -> Any:
    """Copy a value into frozen JSON; numpy scalars and arrays become numbers and lists.

    Args:
        value: What to copy.
        path: Where the value stands, for the error.

    Raises:
        UnstableValueError: a set, bytes, a date or another object without a stable JSON form, a
            cycle, or two keys that are the same text.
    """
    try:
        return _frozen(value, path)
    except RecursionError:
        raise UnstableValueError(path, value, "it contains itself or is nested too deep") from None


def _frozen(value: Any, path: str) -> Any:  # noqa: PLR0911 - one line per kind of value
    kind = type(value)
    if kind in _PLAIN:
        return value

    if kind.__module__ == "numpy" and hasattr(value, "tolist"):
        return _frozen(_without_numpy(value, path), path)

    if isinstance(value, Enum):
        return _frozen(value.value, path)

    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise UnstableValueError(path, value, "it has too many digits")

    if value is None or isinstance(value, (str, bool, int, float)):
        return value

    if isinstance(value, Mapping):
        return _frozen_mapping(value, path)

    if isinstance(value, (list, tuple)):
        return FrozenList([_frozen(item, f"{path}[{i}]") for i, item in enumerate(value)])

    if isinstance(value, (PurePath, UUID)):
        return str(value)

    if is_dataclass(value) and not isinstance(value, type):
        held = {field.name: getattr(value, field.name) for field in fields(value)}
        return _frozen_mapping(held, path)

    if hasattr(type(value), "model_dump"):  # pydantic is not imported to write JSON
        return _frozen(_without_pydantic(value, path), path)

    raise UnstableValueError(path, value, "it has no stable JSON form")


def _without_numpy(value: Any, path: str) -> Any:
    """Turn a numpy scalar or array into numbers and lists; dates and long doubles have none."""
    if value.dtype.kind not in "biufOSU" or value.dtype.char == "g":
        raise UnstableValueError(path, value, f"numpy's {value.dtype} has no stable JSON form")

    return value.tolist()


def _without_pydantic(value: Any, path: str) -> Any:
    try:
        return value.model_dump()
    except Exception as error:
        raise UnstableValueError(path, value, f"it cannot be dumped: {error}") from error


def _frozen_mapping(value: Mapping[Any, Any], path: str) -> FrozenDict:
    items: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, (str, int, float, bool, type(None))):
            raise UnstableValueError(path, key, "it is a mapping's key and not text")

        text = str(key.value if isinstance(key, Enum) else key)
        if text in items:
            raise UnstableValueError(path, key, f"two keys of the mapping are the text {text!r}")

        items[text] = _frozen(item, f"{path}.{text}")

    return FrozenDict(items)

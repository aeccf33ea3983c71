"""Cells of the store as columns of one type each, for files that know types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from penstock._base.json import encode
from penstock._base.text import readable
from penstock.results import timestamp

__all__ = ["CELLS", "level_kind", "shared_kind"]

_EXACT = 2**53
"""A float holds every whole number up to this one."""


def level_kind(level: Any) -> str:
    """Name the kind of cell that holds a level; nothing where it is null."""
    kind = {bool: "bool", float: "double", int: "int64", str: "text"}.get(type(level), "json")
    if kind == "int64" and abs(level) > _EXACT:
        return "large int64" if -(2**63) <= level < 2**63 else "json"

    return "" if level is None else kind


def shared_kind(found: set[str]) -> str:
    """Name the kind of cell that holds every level of a factor: JSON where no one type does."""
    kinds = found - {""}
    if len(kinds) <= 1:
        return next(iter(kinds), "text").removeprefix("large ")

    if kinds == {"int64", "large int64"}:
        return "int64"

    return "double" if kinds == {"int64", "double"} else "json"


def _as_they_are(cells: Sequence[Any]) -> Sequence[Any]:
    return cells


def _texts(cells: Sequence[Any]) -> Sequence[str | None]:
    return [None if cell is None else str(cell) for cell in cells]


def _levels(cells: Sequence[str | None]) -> Sequence[str | None]:
    return [None if cell is None else readable(cell) for cell in cells]


def _json_texts(cells: Sequence[Any]) -> Sequence[str | None]:
    return [None if cell is None else readable(encode(cell)) for cell in cells]


def _numbers(cells: Sequence[Any]) -> Sequence[float | None]:
    return [_number(cell) for cell in cells]


def _number(cell: Any) -> float | None:
    if isinstance(cell, str):
        return _TRUTHS.get(cell)

    return None if cell is None else float(cell)


_TRUTHS = {"True": 1.0, "False": 0.0}


def _no_numbers(cells: Sequence[Any]) -> Sequence[str | None]:
    return [
        str(cell) if isinstance(cell, str) or (type(cell) is int and abs(cell) > _EXACT) else None
        for cell in cells
    ]


def _moments(cells: Sequence[str]) -> Sequence[datetime | None]:
    return [_moment(cell) for cell in cells]


def _moment(text: str) -> datetime | None:
    """Read a moment; one that does not say where on Earth is none."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _no_moments(cells: Sequence[str]) -> Sequence[str | None]:
    return [
        None if (moment := _moment(cell)) and timestamp(moment) == cell else cell for cell in cells
    ]


CELLS: Mapping[str, tuple[tuple[str, str, Callable[[Sequence[Any]], Sequence[Any]]], ...]] = {
    "bool": (("", "bool", _as_they_are),),
    "double": (("", "double", _as_they_are),),
    "int64": (("", "int64", _as_they_are),),
    "json": (("", "string", _json_texts),),
    "moment": (("", "moment", _moments),),
    "number": (("", "double", _numbers), ("_text", "string", _no_numbers)),
    "reported moment": (("", "moment", _moments), ("_text", "string", _no_moments)),
    "string": (("", "string", _texts),),
    "text": (("", "string", _levels),),
}
"""Kind of cell -> the columns that hold it: what their names end in, their types, and how cells
become theirs."""

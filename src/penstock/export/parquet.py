"""The tables of a study as Parquet, with the types that CSV cannot hold.

Columns have the names that they have in the CSV files. Two kinds of cell may hold what no one type
can, so each has a second column, ``<name>_text``, that is null where the first says it all:

- outcomes and scores are numbers, true and false are 1 and 0; the second column holds texts, true
  and false, and whole numbers that a float would round;
- an event's timestamp is a moment; the second column holds what its agent gave, where that is not
  written as penstock writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from itertools import islice
from os import SEEK_END
from pathlib import Path
from typing import Any, NamedTuple

from penstock._base.atomic_files import set_aside
from penstock._base.extras import load_extra
from penstock._base.json import encode
from penstock._base.text import readable
from penstock.export.call_table import CALL_COLUMNS, CALL_KINDS, call_rows, has_calls
from penstock.export.condition_rows import CONDITION_COLUMNS, condition_table
from penstock.export.tidy import TidyTable
from penstock.results import timestamp
from penstock.store.reader import StoreReader
from penstock.store.schema import EVALUATION_COLUMNS, EVENT_COLUMNS, RUN_COLUMNS
from penstock.store.views import EVENTS_IN_ORDER
from penstock.store.wide_rows import names_in

__all__ = ["CALLS_FILE", "PARQUET_FILES", "is_broken", "load_parquet", "write_parquet"]

CALLS_FILE = "calls.parquet"
"""What is written only where there are calls of chat models."""

PARQUET_FILES = (
    *(f"{name}.parquet" for name in ("conditions", "runs", "events", "evaluations", "results")),
    CALLS_FILE,
)

_TABLES = {
    "runs": (*RUN_COLUMNS, "metrics"),
    "events": EVENT_COLUMNS,
    "evaluations": EVALUATION_COLUMNS,
}
_KINDS = {
    "admissible": "bool",
    "cost_usd": "double",
    "end_time": "moment",
    "input_tokens": "int64",
    "latency_s": "double",
    "metric_value": "number",
    "output_tokens": "int64",
    "primary_outcome": "number",
    "replicate": "int64",
    "seed": "int64",
    "start_time": "moment",
    "timestamp": "reported moment",
}
"""What is not text."""

_ROWS_AT_ONCE = 256
_GROUP_ROWS = 100_000
_GROUP_BYTES = 32_000_000
"""A group of rows, which is in memory while it is made, ends when it has so many or is so large."""

_ARROW_TYPES: Mapping[str, Callable[[Any], Any]] = {
    "bool": lambda arrow: arrow.bool_(),
    "double": lambda arrow: arrow.float64(),
    "int64": lambda arrow: arrow.int64(),
    "moment": lambda arrow: arrow.timestamp("us", tz="UTC"),
    "string": lambda arrow: arrow.string(),
}


_MARK = b"PAR1"
"""What a Parquet file begins and ends with."""


def is_broken(path: Path) -> bool:
    """Return whether there is a file whose footer, which says what is in it, cannot be read."""
    if not path.is_file():
        return False

    with path.open("rb") as file:
        begin = file.read(len(_MARK))
        file.seek(-min(len(_MARK), path.stat().st_size), SEEK_END)
        if (begin, file.read()) != (_MARK, _MARK):
            return True

    try:
        import_module("pyarrow.parquet").read_metadata(path)
    except ImportError:
        return False  # it is whole, as far as can be seen without
    except (OSError, ValueError):
        return True

    return False


class _Column(NamedTuple):
    place: int
    """Of its cells in a row of the store."""

    name: str
    type: Any
    convert: Callable[[Sequence[Any]], Sequence[Any]]


def load_parquet() -> Any:
    """Import the library that writes Parquet.

    Raises:
        ValidationError: it is not installed.
    """
    return load_extra("pyarrow.parquet", extra="parquet", what="writing Parquet")


def write_parquet(to: Path, store: StoreReader) -> None:
    """Write the tables of all runs as Parquet, in groups of rows, in plan order.

    Args:
        to: The folder.
        store: Where the study is.

    Raises:
        ValidationError: the extra ``parquet`` is not installed.
        OSError: a file cannot be written.
    """
    levels, conditions = _conditions(store)
    _write(to / "conditions.parquet", levels, conditions)
    _write(to / "results.parquet", *_results(store, levels))
    for table, names in _TABLES.items():
        kinds = {name: _kind(store, name) for name in names}
        rows_of = EVENTS_IN_ORDER if table == "events" else table
        rows = store.table(f"SELECT {', '.join(names)} FROM {rows_of}")  # noqa: S608 - our own names
        _write(to / f"{table}.parquet", kinds, rows)

    if has_calls(store):
        kinds = {name: CALL_KINDS.get(name, "string") for name in CALL_COLUMNS}
        _write(to / CALLS_FILE, kinds, call_rows(store))


def _kind(store: StoreReader, name: str) -> str:
    if not name.endswith("_tokens"):
        return _KINDS.get(name, "string")

    fractions = f"SELECT 1 FROM attempt WHERE typeof({name}) = 'real' LIMIT 1"  # noqa: S608
    return "double" if any(store.table(fractions)) else "int64"


def _conditions(store: StoreReader) -> tuple[dict[str, str], Iterator[Sequence[Any]]]:
    """Return what `_write` takes: a column of levels that are all of one type has that type."""
    header, rows = condition_table(store, unassigned=None)
    held: dict[str, set[str]] = {name: set() for name in header}
    for row in rows:
        for found, cell in zip(held.values(), row, strict=True):
            found.add(_level_kind(cell))

    kinds = {
        name: _KINDS.get(name, "string") if name in CONDITION_COLUMNS else _shared_kind(found)
        for name, found in held.items()
    }
    _, rows = condition_table(store, unassigned=None)
    return kinds, rows


def _results(
    store: StoreReader, levels: Mapping[str, str]
) -> tuple[dict[str, str], Iterator[Sequence[Any]]]:
    """Return what `_write` takes: the tidy table; levels have the kinds they have in conditions."""
    names = names_in(store)
    tidy = TidyTable(store, names, lambda level: level)
    kinds = {name: _kind(store, column) for column, name in names.columns.items()}
    kinds |= {name: levels[name] for name in names.factors}
    kinds |= {name: levels[f"block_{name}"] for name in names.blocks}
    kinds |= {**dict.fromkeys(names.scores.values(), "number"), names.answer: "text"}
    return {name: kinds.get(name, "string") for name in tidy.header}, tidy.rows(store)


def _write(path: Path, kinds: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> None:
    arrow, parquet = import_module("pyarrow"), load_parquet()
    columns = [
        _Column(place, readable(f"{name}{suffix}"), _ARROW_TYPES[kind](arrow), convert)
        for place, (name, held) in enumerate(kinds.items())
        for suffix, kind, convert in _CELLS[held]
    ]
    schema = arrow.schema([(column.name, column.type) for column in columns])

    def batches() -> Iterator[Any]:
        unread = iter(rows)
        while read := list(islice(unread, _ROWS_AT_ONCE)):
            cells = list(zip(*read, strict=True))
            arrays = [
                arrow.array(column.convert(cells[column.place]), column.type) for column in columns
            ]
            yield arrow.record_batch(arrays, schema=schema)

    with (
        set_aside(path) as aside,
        parquet.ParquetWriter(aside, schema, compression="zstd") as writer,
    ):
        for group in _groups(batches()):
            writer.write_table(arrow.Table.from_batches(group), row_group_size=_GROUP_ROWS)


def _groups(batches: Iterator[Any]) -> Iterator[list[Any]]:
    """Gather batches: an empty table has no group."""
    group: list[Any] = []
    rows = size = 0
    for batch in batches:
        group.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield group
            group, rows, size = [], 0, 0

    if group:
        yield group


_EXACT = 2**53
"""A float holds every whole number up to this one."""


def _level_kind(level: Any) -> str:
    """Return the kind of cell that holds a level; None where it is null."""
    kind = {bool: "bool", float: "double", int: "int64", str: "text"}.get(type(level), "json")
    if kind == "int64" and abs(level) > _EXACT:
        return "large int64" if -(2**63) <= level < 2**63 else "json"

    return "" if level is None else kind


def _shared_kind(found: set[str]) -> str:
    """Return the kind of cell that holds every level of a factor: JSON where no one type does."""
    kinds = found - {""}
    if len(kinds) <= 1:
        return next(iter(kinds), "text").removeprefix("large ")

    if kinds == {"int64", "large int64"}:
        return "int64"

    return "double" if kinds == {"int64", "double"} else "json"


def _as_they_are(cells: Sequence[Any]) -> Sequence[Any]:
    return cells


def _flags(cells: Sequence[Any]) -> Sequence[bool | None]:
    return [None if cell is None else bool(cell) for cell in cells]


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
        str(cell)
        if isinstance(cell, (str, bool)) or (type(cell) is int and abs(cell) > _EXACT)
        else None
        for cell in cells
    ]


def _moments(cells: Sequence[str]) -> Sequence[datetime | None]:
    return [_moment(cell) for cell in cells]


def _moment(text: str) -> datetime | None:
    """Read a moment; None where it cannot be read or does not say its time zone."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _no_moments(cells: Sequence[str]) -> Sequence[str | None]:
    return [
        None if (moment := _moment(cell)) and timestamp(moment) == cell else cell for cell in cells
    ]


_CELLS: Mapping[str, tuple[tuple[str, str, Callable[[Sequence[Any]], Sequence[Any]]], ...]] = {
    "bool": (("", "bool", _as_they_are),),
    "double": (("", "double", _as_they_are),),
    "flag": (("", "bool", _flags),),
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

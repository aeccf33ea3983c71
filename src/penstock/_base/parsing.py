"""Reading what people write, as tables and JSON, so that nothing is dropped without a word."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from math import isinf
from typing import Any, TextIO

__all__ = ["RowError", "csv_rows", "json_items", "json_rows", "read_json"]

_MOST_CELL_CHARACTERS = 2**31 - 1
"""The csv module stops at 131,072 characters, which is shorter than many prompts."""


_SEPARATOR = re.compile(r"sep=(.)\s*")


class RowError(ValueError):
    """A line of a file that cannot be read as a row; ``line`` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def csv_rows(file: TextIO, delimiter: str = ",") -> Iterator[tuple[int, dict[str, str]]]:
    """Read a CSV file with a header: the line of each row, and its cells.

    Rows without a text in any cell are left out, and so are columns at the end that have no name
    and no text: spreadsheet programs write them.

    Args:
        file: The open file.
        delimiter: What stands between cells.

    Raises:
        RowError: two columns have one name, a row has another number of cells than the header, or
            it is not CSV.
    """
    limit = csv.field_size_limit(_MOST_CELL_CHARACTERS)
    before = 0
    try:
        first = next(file, "")
        lines: Iterator[str] = file
        if said := _SEPARATOR.fullmatch(first):  # as spreadsheet programs begin a file
            delimiter, before = said[1], 1
        elif first:
            lines = chain([first], file)

        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        columns = _columns(next(reader, []))
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue

            while len(cells) > len(columns) and not cells[-1].strip():
                cells.pop()

            if len(cells) != len(columns):
                reason = f"{len(cells)} cells where the header names {len(columns)}"
                raise RowError(before + reader.line_num, reason)

            yield before + reader.line_num, dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise RowError(before + reader.line_num, f"not CSV: {error}") from error
    finally:
        csv.field_size_limit(limit)  # it belongs to the whole process


def _columns(header: list[str]) -> list[str]:
    """Return the names of columns, without those at the end that have none."""
    columns = header[: 1 + max((at for at, name in enumerate(header) if name.strip()), default=-1)]
    if nameless := [at for at, name in enumerate(columns, start=1) if not name.strip()]:
        raise RowError(1, f"column {nameless[0]} has no name")

    if len(columns) == 1 and (other := next((o for o in ";\t|" if o in columns[0]), None)):
        raise RowError(1, f"its columns are separated by {other!r}; say `delimiter: {other!r}`")

    if repeated := [repr(name) for name, count in Counter(columns).items() if count > 1]:
        raise RowError(1, f"two columns are named {', '.join(repeated)}")

    return columns


def json_rows(file: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read a file of one JSON object a line, empty lines left out: the line of each, and it.

    Raises:
        RowError: a line is not JSON, or holds no object.
    """
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue

        try:
            row = _STRICT.decode(text)
        except ValueError as error:
            raise RowError(line, f"not JSON: {error}") from error
        except RecursionError:
            raise RowError(line, "nested too deep") from None

        if not isinstance(row, dict):
            raise RowError(line, "not a JSON object")

        yield line, row


def json_items(file: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read a file of one JSON array of objects, or of an object that holds one: number and item.

    Raises:
        RowError: it is not JSON, or holds something else.
    """
    try:
        found = _STRICT.decode(file.read())
    except json.JSONDecodeError as error:
        hint = "; several objects, a line each, are a .jsonl file" if "Extra" in error.msg else ""
        raise RowError(error.lineno, f"not JSON: {error}{hint}") from error
    except ValueError as error:
        raise RowError(1, f"not JSON: {error}") from error
    except RecursionError:
        raise RowError(1, "nested too deep") from None

    if isinstance(found, dict):
        lists = [name for name, each in found.items() if isinstance(each, list) and each]
        if len(lists) != 1:
            raise RowError(1, f"not an array of objects, nor an object with one (has: {lists})")

        found = found[lists[0]]

    for number, item in enumerate(found if isinstance(found, list) else [found], start=1):
        if not isinstance(item, dict):
            raise RowError(1, f"item {number} is not a JSON object")

        yield number, item


def read_json(text: str) -> Any:
    """Read JSON, in which no mapping may have one key twice.

    Raises:
        ValueError: it is not JSON, or a key is there twice.
        RecursionError: it is nested too deep.
    """
    return json.loads(text, object_pairs_hook=_mapping)


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) < len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise ValueError(f"duplicate key: {', '.join(map(repr, twice))}")

    return known


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON; write null, or a text")


def _finite(digits: str) -> float:
    number = float(digits)
    if isinf(number):
        raise ValueError(f"{digits} is larger than any number that is kept; write it as a text")

    return number


_MOST_DIGITS = 4000
"""Python reads no longer ones; so many digits are rather a text."""


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        said = f"a whole number of {len(digits):,} digits is too long"
        raise ValueError(f"{said}; write it as a text")

    return int(digits)


_STRICT = json.JSONDecoder(
    object_pairs_hook=_mapping,
    parse_constant=_refuse_constant,
    parse_float=_finite,
    parse_int=_whole,
)
"""Of files that people or programs wrote: what could not be kept as it stands is an error."""

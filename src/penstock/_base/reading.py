"""Reading what people write, as tables and JSON, so that nothing is dropped without a word."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, TextIO

__all__ = ["RowError", "csv_rows", "json_rows", "read_json"]

_MOST_CELL_CHARACTERS = 2**31 - 1
"""The csv module stops at 131,072 characters, which is shorter than many prompts."""


class RowError(ValueError):
    """A line of a file that cannot be read as a row; ``line`` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def csv_rows(file: TextIO) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a CSV file with a header, empty lines left out: the line of each row, and its cells.

    Raises:
        RowError: two columns have one name, a row has another number of cells than the header, or
            it is not CSV.
    """
    limit = csv.field_size_limit(_MOST_CELL_CHARACTERS)
    try:
        reader = csv.reader(file, strict=True)
        columns = next(reader, [])
        repeated = [repr(name) for name, count in Counter(columns).items() if count > 1]
        if repeated:
            raise RowError(1, f"two columns are named {', '.join(repeated)}")

        for cells in reader:
            if cells and len(cells) != len(columns):
                reason = f"{len(cells)} cells where the header names {len(columns)}"
                raise RowError(reader.line_num, reason)

            if cells:
                yield reader.line_num, dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise RowError(reader.line_num, f"not CSV: {error}") from error
    finally:
        csv.field_size_limit(limit)  # it belongs to the whole process


def json_rows(file: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read a file of one JSON object a line, empty lines left out: the line of each, and it.

    Raises:
        RowError: a line is not JSON, or holds no object.
    """
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue

        try:
            row = read_json(text)
        except ValueError as error:
            raise RowError(line, f"not JSON: {error}") from error
        except RecursionError:
            raise RowError(line, "nested too deep") from None

        if not isinstance(row, dict):
            raise RowError(line, "not a JSON object")

        yield line, row


def read_json(text: str) -> Any:
    """Read JSON, in which no mapping may have one key twice.

    Raises:
        ValueError: it is not JSON, or a key is there twice.
        RecursionError: it is nested too deep.
    """

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        known = dict(pairs)
        if len(known) < len(pairs):
            twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
            raise ValueError(f"duplicate key: {', '.join(map(repr, twice))}")

        return known

    return json.loads(text, object_pairs_hook=mapping)

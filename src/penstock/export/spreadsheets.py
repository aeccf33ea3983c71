"""Tables for spreadsheet programs, which run a text that looks like a formula."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from penstock.export.tables import write_csv

__all__ = ["quote_formulas"]

_SIGNS = tuple("=+-@\t\r")


def quote_formulas(folder: Path) -> None:
    """Put an apostrophe before every text of every table that a spreadsheet program could run.

    Numbers stay as they are. Such tables are for looking at: their texts are no longer those that
    were answered.
    """
    limit = csv.field_size_limit(sys.maxsize)  # an answer may be longer than readers expect
    try:
        for path in sorted(folder.rglob("*.csv")):
            with path.open(encoding="utf-8", newline="") as file:
                rows = csv.reader(file)
                header = next(rows)
                write_csv(path, header, _quoted(rows))
    finally:
        csv.field_size_limit(limit)


def _quoted(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    for row in rows:
        yield [
            f"'{cell}" if cell.startswith(_SIGNS) and not _is_number(cell) else cell for cell in row
        ]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False

    return cell[0] in "+-" and cell[-1].isalnum()

"""Files of a study, each written aside, synced and renamed into place."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from penstock._base.atomic_files import link_file, set_aside
from penstock.store.files.ownership import ARTIFACTS, CALLS, TIDY, is_foreign

__all__ = [
    "csv_line",
    "plain_cell",
    "quote_formulas",
    "table",
    "twins",
    "write_csv",
    "write_json",
    "write_lines",
    "write_text",
]

Row = Sequence[Any]


def plain_cell(value: Any) -> Any:
    """Write a level as a cell: lists and mappings as JSON, null as nothing."""
    return json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table with a header, row by row, every cell as it is."""
    with table(path, header) as write:
        for row in rows:
            write(row)


@contextmanager
def table(path: Path, header: Sequence[str]) -> Iterator[Callable[[Iterable[Any]], object]]:
    """Write a table with a header; yield what takes its rows, every cell as it is."""
    with _replaced(path) as file:
        file.write(csv_line(header))
        yield lambda row: file.write(csv_line(row))


@contextmanager
def twins(
    folder: Path, name: str, header: Row, *, is_linked: bool = False
) -> Iterator[Callable[[Row, Row | None], None]]:
    """Write a table of all runs, and in the same pass that of those that can be analysed.

    Args:
        folder: Where the one goes; the other goes into the folder ``analysis`` in it.
        name: Of both.
        header: Of both.
        is_linked: Whether equal tables are one file with two names, which who edits the one in its
            place edits under both: for tables that are large.

    Yields:
        A function that takes a row of the one, and what the other has in its place: the same
        object, other cells, or None for no row.
    """
    path, twin = folder / name, folder / "analysis" / name
    other: IO[str] | None = None
    with ExitStack() as files:
        file = files.enter_context(_replaced(path))
        file.write(csv_line(header))

        def write(row: Row, counterpart: Row | None) -> None:
            nonlocal other
            if other is None and counterpart is not row:
                other = files.enter_context(_replaced(twin))
                _copy(file, other)

            line = csv_line(row)
            file.write(line)
            if other is not None and counterpart is not None:
                other.write(line if counterpart is row else csv_line(counterpart))

        yield write

    if other is None and is_linked:
        link_file(twin, path)
    elif other is None:
        with set_aside(twin) as aside:
            shutil.copyfile(path, aside)


def _copy(file: IO[str], other: IO[str]) -> None:
    """Write to another file what was written to a file until now."""
    file.flush()
    with Path(file.name).open(encoding="utf-8", newline="") as begun:
        shutil.copyfileobj(begun, other)


def csv_line(row: Iterable[Any]) -> str:
    """Write a row as `csv.writer` does, which looks at every character of an answer in turn."""
    cells = [cell if isinstance(cell, str) else "" if cell is None else str(cell) for cell in row]
    line = ",".join(cells)
    is_plain = '"' not in line and "\n" not in line and "\r" not in line
    if not is_plain or line.count(",") >= len(cells):
        line = ",".join(map(_quoted_cell, cells))

    return f"{line}\r\n" if line or len(cells) != 1 else '""\r\n'  # an empty line is not a row


def _quoted_cell(cell: str) -> str:
    if '"' in cell:
        cell = cell.replace('"', '""')
    elif "," not in cell and "\n" not in cell and "\r" not in cell:
        return cell

    return f'"{cell}"'


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON with sorted keys."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text."""
    with _replaced(path) as file:
        file.write(text)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines one by one."""
    with _replaced(path) as file:
        file.writelines(f"{line}\n" for line in lines)


_BUFFER_BYTES = 1 << 18
"""Handed to the system at once: by Python's 8 KB a table takes twice as long to write."""


@contextmanager
def _replaced(path: Path) -> Iterator[IO[str]]:
    with (
        set_aside(path) as aside,
        aside.open(
            "w", _BUFFER_BYTES, encoding="utf-8", errors="backslashreplace", newline=""
        ) as file,
    ):
        yield file


_SIGNS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""How a formula begins, or what a program may drop before one; wide ones are read in Asia."""


def quote_formulas(folder: Path) -> None:
    """Put an apostrophe before every text of our tables that a spreadsheet program could run.

    Names of columns are texts too; numbers stay as they are. Such tables are for looking at: their
    texts are no longer those that were answered.

    Args:
        folder: Where an export has written the tables.
    """
    limit = csv.field_size_limit(sys.maxsize)  # an answer may be longer than readers expect
    try:
        tables = [name for name in ARTIFACTS if name.endswith(".csv")]
        for path in (folder / name for name in (*tables, *_own_others(folder))):
            with path.open(encoding="utf-8", newline="") as file:
                rows = _quoted(csv.reader(file))
                write_csv(path, next(rows), rows)
    finally:
        csv.field_size_limit(limit)


def _own_others(folder: Path) -> Sequence[str]:
    """Return the tables that not every folder has, or has of somebody else's."""
    return [
        name for name in (TIDY, CALLS) if (folder / name).exists() and not is_foreign(folder, name)
    ]


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

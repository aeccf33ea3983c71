"""Files of a study, each written aside, synced and renamed into place."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from penstock._base.atomic_files import link_file, set_aside
from penstock.store.files.ownership import ARTIFACTS, CALLS, TIDY, is_foreign

__all__ = [
    "csv_line",
    "plain_cell",
    "quote_formulas",
    "write_csv",
    "write_json",
    "write_lines",
    "write_text",
    "write_twins",
]


def plain_cell(value: Any) -> Any:
    """Write a level as a cell: lists and mappings as JSON, null as nothing."""
    return json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table with a header, row by row, every cell as it is."""
    with _replaced(path) as file:
        file.write(csv_line(header))
        file.writelines(map(csv_line, rows))


def write_twins(
    path: Path,
    twin: Path,
    header: Sequence[str],
    pairs: Iterable[tuple[Sequence[Any], Sequence[Any] | None]],
    *,
    is_linked: bool = False,
) -> None:
    """Write two tables with one header that are much the same, in one pass.

    Args:
        path: The one.
        twin: The other.
        header: Of both.
        pairs: The rows of the one, each with what the other has in its place: the same
            object, other cells, or None for no row.
        is_linked: Whether equal tables are one file with two names, which who edits the one in its
            place edits under both: for tables that are large.
    """
    with ExitStack() as files:
        file = files.enter_context(_replaced(path))
        file.write(csv_line(header))
        other = None
        for row, counterpart in pairs:
            if other is None and counterpart is not row:
                other = files.enter_context(_replaced(twin))
                _copy(file, other)

            line = csv_line(row)
            file.write(line)
            if other is not None and counterpart is not None:
                other.write(line if counterpart is row else csv_line(counterpart))

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

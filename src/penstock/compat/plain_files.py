"""Small files of plain values: the functions of the older runner's ``io`` modules.

What a study writes itself is written elsewhere, aside and renamed into place; so are these.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from penstock._base.frozen import frozen_json
from penstock._base.yaml_text import yaml_text
from penstock.errors import ValidationError
from penstock.export import tables
from penstock.export.tables import plain_cell, write_text
from penstock.study.files import read_mapping

__all__ = [
    "mirror_tables_to_sqlite",
    "read_csv",
    "read_json",
    "read_yaml",
    "write_csv",
    "write_json",
    "write_yaml",
]


def write_csv(
    path: str | Path,
    rows: Sequence[Mapping[str, Any]],
    *,
    fieldnames: Sequence[str] | None = None,
) -> Path:
    """Write rows as a CSV file with a header; mappings and lists in cells are JSON.

    Args:
        path: The file; its folder is made where there is none.
        rows: The rows, by column.
        fieldnames: The columns; those of all rows as they are first seen, if not given.

    Returns:
        The file.
    """
    names = list(fieldnames) if fieldnames else _columns(rows)
    file = _with_folder(path)
    tables.write_csv(file, names, ([plain_cell(row.get(each)) for each in names] for row in rows))
    return file


def read_csv(path: str | Path) -> list[dict[str, str]]:
    """Read the rows of a CSV file with a header; every cell is text, of any length."""
    limit = csv.field_size_limit(sys.maxsize)  # an answer may be longer than readers expect
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    finally:
        csv.field_size_limit(limit)


def write_json(path: str | Path, payload: Any) -> Path:
    """Write a value as a JSON file, indented, its keys sorted; return the file."""
    file = _with_folder(path)
    write_text(file, json.dumps(payload, indent=2, sort_keys=True) + "\n")
    return file


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_yaml(path: str | Path, payload: Any) -> Path:
    """Write a value as a YAML file, its keys in their order; return the file."""
    file = _with_folder(path)
    write_text(file, yaml_text(frozen_json(payload)))
    return file


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file, whose name ends with ``.yaml`` or ``.yml``, as a study file is read.

    Raises:
        StudyFileError: it is not YAML, or does not hold a mapping.
    """
    return read_mapping(Path(path))


def mirror_tables_to_sqlite(
    sqlite_path: str | Path, *, tables: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Path:
    """Write tables into a SQLite file, every cell as text, in place of those of the same names.

    Args:
        sqlite_path: The file.
        tables: Table name -> rows by column; one without rows is left out.

    Returns:
        The file.

    Raises:
        ValidationError: the file holds the results of a study, which tables must not replace.
    """
    file = _with_folder(sqlite_path)
    with closing(sqlite3.connect(file)) as connection, connection:
        kept = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "attempts" in kept:
            raise ValidationError(
                f"{file} is the store of a study and already has its tables; name another file"
            )

        for name, rows in tables.items():
            _write_table(connection, name, rows)

    return file


def _write_table(
    connection: sqlite3.Connection, name: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    table = _name_in_sql(name)
    connection.execute(f"DROP TABLE IF EXISTS {table}")
    names = _columns(rows)
    if not names:
        return

    columns = ", ".join(f"{_name_in_sql(each)} TEXT" for each in names)
    connection.execute(f"CREATE TABLE {table} ({columns})")
    places = ", ".join("?" * len(names))
    connection.executemany(
        f"INSERT INTO {table} VALUES ({places})",  # noqa: S608 - the name is quoted
        ([_as_cell(row.get(each)) for each in names] for row in rows),
    )


def _as_cell(value: Any) -> str:
    return "" if value is None else str(plain_cell(value))


def _name_in_sql(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [*dict.fromkeys(name for row in rows for name in row)]


def _with_folder(path: str | Path) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    return file

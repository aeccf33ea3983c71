"""Writing to a store: the connection, one transaction in one call of its thread, and failures."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from penstock._base.open_files import lack_of_files
from penstock._base.text import without_surrogates
from penstock.errors import StoreError

__all__ = [
    "BUSY_TIMEOUT_S",
    "Inserts",
    "Row",
    "Statement",
    "open_existing",
    "store_failure",
    "transact",
    "transaction",
]

BUSY_TIMEOUT_S = 30.0
"""How long a write waits for those of other processes."""


Row: TypeAlias = tuple[Any, ...]

Statement = tuple[str, Sequence[Sequence[Any]]]
"""A query and the rows to run it with."""


def _insert(table: str, columns: Sequence[str]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - our own names


class Inserts:
    """Inserts rows that may end before the last columns, where those have nothing to say.

    To hand SQLite a null takes longer than to leave a column out.

    Args:
        table: The table.
        columns: Its columns, as rows have them.
        least: How many of them every row has.
    """

    def __init__(self, table: str, columns: Sequence[str], least: int) -> None:
        self._least = least
        self._queries = _insert(table, columns[:least]), _insert(table, columns)

    def __call__(self, rows: Sequence[Row]) -> list[Statement]:
        """Write the statements that insert rows."""
        parts = list[Row](), list[Row]()
        for row in rows:
            parts[len(row) > self._least].append(row)

        return [*zip(self._queries, parts, strict=True)]


def open_existing(path: Path, *, timeout_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    """Open a store to write to it; no file is made in its place where it has gone.

    Args:
        path: The ``study.sqlite``.
        timeout_s: How long a write waits for those of others, in seconds.

    Returns:
        A connection that begins no transactions by itself.

    Raises:
        sqlite3.Error: it is not there, or cannot be opened.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout_s)


def transact(connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    """Execute all of it in one transaction, or none.

    Args:
        connection: A connection that begins no transactions by itself.
        statements: What to do; text that is not Unicode is written so that it is.
    """
    try:
        _transact_as_it_is(connection, statements)
    except UnicodeEncodeError:  # half a surrogate pair: SQLite keeps UTF-8 only
        clean = [(query, [*without_surrogates(values)]) for query, values in statements]
        _transact_as_it_is(connection, clean)


def _transact_as_it_is(connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    with transaction(connection):
        for query, values in statements:
            if values:
                connection.executemany(query, values)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run what is done inside as one transaction: all of it or none.

    Args:
        connection: A connection that begins no transactions by itself.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")

        raise


def store_failure(path: Path, error: sqlite3.Error) -> StoreError:
    """Make the error for a store that SQLite cannot write."""
    if why := lack_of_files():
        return StoreError(f"{path}: {error}; {why}. What was saved before is kept")

    free_mb = shutil.disk_usage(path.parent).free / 1e6
    return StoreError(
        f"{path}: {error} ({free_mb:,.1f} MB are free on its disk); what was saved before is "
        "kept: see to the disk and run the study again, it goes on from there"
    )

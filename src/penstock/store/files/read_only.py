"""Opening a store for reading alone, also where nobody may write: an archive, a mount."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from penstock.store.transaction import open_existing

__all__ = ["open_read_only"]

_MUST_WRITE = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
"""What SQLite says where it would have to write in order to read: a log's index, an undoing."""


def open_read_only(path: Path) -> tuple[sqlite3.Connection, int, int, int]:
    """Open a store for reading, which waits for nobody and holds nobody up.

    Returns:
        The connection, and what the store says of itself: its mark, its layout, how many tables.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    try:
        return _opened_as_it_is(path)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _MUST_WRITE or not path.is_file():
            raise

        if not os.access(path.parent, os.W_OK):  # an archive: nobody writes beside it
            return _opened_in_archive(path, path.with_name(f"{path.name}-wal"))

        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
            raise

    # Killed as it was made: what was begun must be undone, which is writing.
    with closing(open_existing(path)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    return _opened_as_it_is(path)


def _opened_in_archive(path: Path, log: Path) -> tuple[sqlite3.Connection, int, int, int]:
    """Open a store that nobody may write, also one whose log was never emptied."""
    if not log.is_file() or not log.stat().st_size:
        return _opened_as_it_is(path, "&immutable=1")

    # Without its log it would show less than was saved.
    with TemporaryDirectory(ignore_cleanup_errors=True) as aside:
        for each in (path, log):
            shutil.copyfile(each, Path(aside, each.name))

        copy = Path(aside, path.name)
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")

        return _opened_as_it_is(copy, "&immutable=1")  # it stays open when its name is gone


def _opened_as_it_is(path: Path, how: str = "") -> tuple[sqlite3.Connection, int, int, int]:
    uri = f"{path.absolute().as_uri()}?mode=ro{how}"
    connection = sqlite3.connect(
        uri, uri=True, check_same_thread=False
    )  # one at a time all the same
    try:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (schema_version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise

    connection.row_factory = sqlite3.Row
    return connection, application_id, schema_version, tables

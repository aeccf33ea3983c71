"""Opening the store of a directory for writing: whose it is, how old, and who else holds it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import aiosqlite
import anyio

from penstock._base.atomic_files import share_as_folder
from penstock._base.open_files import lack_of_files
from penstock._base.threads import call_in_thread, with_daemon_thread
from penstock.errors import ForeignDirectoryError, SchemaError, StoreError
from penstock.store import STORE_FILE
from penstock.store.files.directory import make_directory
from penstock.store.files.lock import hold_directory
from penstock.store.files.ownership import claim_files, refuse_foreign
from penstock.store.layout import forged_tables
from penstock.store.migration import migrate
from penstock.store.schema import APPLICATION_ID, SCHEMA_VERSION
from penstock.store.starts import read_starts
from penstock.store.transaction import BUSY_TIMEOUT_S, store_failure
from penstock.store.views import SCHEMA
from penstock.store.writer import Store
from penstock.study.model import Study

__all__ = ["open_store", "refuse_lost_store"]


@asynccontextmanager
async def open_store(
    directory: Path, *, study: Study | None = None, durable: bool = True
) -> AsyncIterator[Store]:
    """Open the store of a directory for writing, and hold the directory while it is open.

    Args:
        directory: Where ``study.sqlite`` is, or will be.
        study: The study that is to be run in it.
        durable: Sync every group to the disk. Without it a crash of the machine (not one of the
            process) can lose the last runs.

    Raises:
        StoreError: this process may not open as many files as a study needs.
        DirectoryInUseError: another process or runner holds the directory.
        ForeignDirectoryError: ``study.sqlite`` is not ours, or other files are not.
        SchemaError: it was written by a newer version. An older layout is brought up to date,
            and a copy kept.
    """
    path = directory / STORE_FILE
    if why := lack_of_files():
        raise StoreError(f"{directory}: {why}")

    refuse_foreign(directory, None if study is None else study.study_id)
    await call_in_thread(partial(make_directory, directory))  # it waits for the disk
    with hold_directory(directory):
        if study is not None:
            claim_files(directory, study.study_id, (), study_file=study.study_file)

        connection = with_daemon_thread(
            aiosqlite.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        )
        try:
            async with connection:
                share_as_folder(path)  # before its log is made, which has the same rights
                await _prepare(connection, path, durable=durable)
                store = Store(connection, path)
                try:
                    yield store
                finally:
                    store.close()
                    await _without_log(connection)
        except sqlite3.Error as error:
            raise store_failure(path, error) from error


async def _look_into_tables(connection: aiosqlite.Connection) -> None:
    """Read from each table, so that a damaged store is left to the byte as it is."""
    tables = await connection.execute_fetchall(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    )
    for (name,) in tables:
        quoted = name.replace('"', '""')
        await connection.execute_fetchall(f'SELECT 1 FROM "{quoted}" LIMIT 1')  # noqa: S608


async def _with_pages(connection: aiosqlite.Connection) -> None:
    """Set how large pages are, on the disk of a new store, and how many are kept in memory."""
    # Results are about 2 KB: on SQLite's pages of 4 KB half of each page would stay empty, and on
    # larger ones much of those that hold answers of 10 KB. A run that is saved alone writes five.
    await connection.execute("PRAGMA page_size = 8192")
    # Runs are found by ids that are hashes: where that index is larger than what is kept in memory,
    # each run that is saved reads a page of it first.
    await connection.execute("PRAGMA cache_size = -16000")


async def _with_log(connection: aiosqlite.Connection, path: Path) -> None:
    """Write to a log beside the store from here on, so that readers hold nobody up."""
    try:
        await connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise

        raise StoreError(
            f"{path}: another program holds it in a transaction, and a study cannot begin beside "
            "that; end the transaction or the program, and run again"
        ) from error


async def _without_log(connection: aiosqlite.Connection) -> None:
    """Leave one file, which can be read where nobody may write; a reader's lock prevents it."""
    with suppress(sqlite3.Error), anyio.CancelScope(shield=True):
        await connection.execute("PRAGMA busy_timeout = 0")
        await connection.execute("PRAGMA journal_mode = DELETE")


async def _prepare(connection: aiosqlite.Connection, path: Path, *, durable: bool) -> None:
    try:
        (application_id,) = await _row(connection, "PRAGMA application_id")
        (schema_version,) = await _row(connection, "PRAGMA user_version")
        (tables,) = await _row(connection, "SELECT count(*) FROM sqlite_master")
        await _look_into_tables(connection)
    except sqlite3.DatabaseError as error:
        raise ForeignDirectoryError(
            f"{path} is not a store that can be read ({error}); move it away, or run in another "
            "directory (output_dir)"
        ) from error

    if tables and application_id != APPLICATION_ID:
        raise ForeignDirectoryError(
            f"{path} is an SQLite file of another program; run in another directory (output_dir)"
        )

    if schema_version > SCHEMA_VERSION:
        raise SchemaError(path, schema_version, SCHEMA_VERSION)

    async with connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'") as cursor:
        views = [name async for (name,) in cursor]

    if forged := forged_tables(views):
        raise ForeignDirectoryError(
            f"{path} was not made by penstock, or was edited: {', '.join(forged)} should be a "
            "table, and is a view; run in another directory (output_dir)"
        )

    if tables and schema_version < SCHEMA_VERSION:
        await call_in_thread(partial(migrate, path, schema_version, SCHEMA_VERSION))

    if not tables:
        refuse_lost_store(path)

    await _with_pages(connection)
    await _with_log(connection, path)
    # Never OFF: then a crash of the machine could take the store and not only its last results.
    await connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    if not tables:
        await connection.executescript(f"BEGIN;{SCHEMA}COMMIT;")


def refuse_lost_store(path: Path) -> None:
    """Refuse a store without tables where calls were made: it held them.

    Raises:
        ForeignDirectoryError: calls were made from its directory.
    """
    _, started = read_starts(path.parent)
    if started:
        raise ForeignDirectoryError(
            f"{path} holds nothing, and {started:,} calls were made from this directory: "
            f"{path.name} or {path.name}-wal was deleted or emptied. Put it back, or move the "
            "directory aside with fresh"
        )


async def _row(connection: aiosqlite.Connection, query: str) -> sqlite3.Row:
    async with connection.execute(query) as cursor:
        (row,) = await cursor.fetchall()
        return row

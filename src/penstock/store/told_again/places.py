"""How much of what is told again each durable subscriber has acknowledged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from penstock.results import timestamp
from penstock.store import STORE_FILE
from penstock.store.layout import refuse_older
from penstock.store.reader import StoreReader
from penstock.store.transaction import open_existing, store_failure, transaction

__all__ = ["keep_place", "place_of", "places"]

_KEEP = """
INSERT INTO delivered (name, seq, at) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET seq = max(seq, excluded.seq), at = excluded.at
"""


def place_of(store: StoreReader, name: str) -> int:
    """Return the number of the last event that a durable subscriber has acknowledged; 0 if none.

    Args:
        store: The study's store.
        name: The subscriber's.
    """
    return places(store).get(name, 0)


def places(store: StoreReader) -> dict[str, int]:
    """Return the number of the last event that each durable subscriber has acknowledged."""
    return dict(store.table("SELECT name, seq FROM delivered ORDER BY name"))


def keep_place(directory: Path, name: str, seq: int) -> None:
    """Keep that a durable subscriber has acknowledged all events up to a number.

    A crash of the process loses nothing of it, one of the machine perhaps the last of it: then
    the subscriber hears some events again.

    Args:
        directory: The study's output directory; the study may be running.
        name: The subscriber's.
        seq: The number.

    Raises:
        StoreError: the store cannot be written, or an older version of penstock wrote it.
    """
    path = directory / STORE_FILE
    try:
        with closing(open_existing(path)) as connection:
            ((layout,),) = connection.execute("PRAGMA user_version")
            refuse_older(directory, layout)
            connection.execute("PRAGMA synchronous = NORMAL")
            with transaction(connection):
                connection.execute(_KEEP, (name, seq, timestamp()))
    except sqlite3.Error as error:
        raise store_failure(path, error) from error

"""How much of what is told again each durable subscriber has acknowledged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from penstock.errors import StoreError
from penstock.results import timestamp
from penstock.store import STORE_FILE
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION
from penstock.store.transaction import store_failure

__all__ = ["keep_place", "place_of", "places", "refuse_older"]

_BUSY_TIMEOUT_S = 30.0
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


def refuse_older(directory: Path, layout: int) -> None:
    """Refuse a store that has no table for places.

    Args:
        directory: The study's output directory.
        layout: The layout of its store.

    Raises:
        StoreError: an older version of penstock wrote it.
    """
    if layout != SCHEMA_VERSION:
        raise StoreError(
            f"{directory / STORE_FILE} was written by an older version of penstock: go on with "
            "the study first (penstock run), which brings it up to date"
        )


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
        uri = f"{path.absolute().as_uri()}?mode=rw"  # never a new file where ours has gone
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S)) as connection:
            ((layout,),) = connection.execute("PRAGMA user_version")
            refuse_older(directory, layout)
            connection.execute("PRAGMA synchronous = NORMAL")
            with connection:
                connection.execute(_KEEP, (name, seq, timestamp()))
    except sqlite3.Error as error:
        raise store_failure(path, error) from error

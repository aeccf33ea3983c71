"""What a store is made of, and a store that is not made of it: somebody else's, or edited.

Whoever reads a store reads through its views. Where they are not ours they may say anything, or
never end, so the reader is shown our own in their place; the tables they are made from hold what
was observed. A store in which a view has the name of a table is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import cache
from pathlib import Path

from penstock.errors import StoreError
from penstock.store import STORE_FILE
from penstock.store.migration import shown_as_today
from penstock.store.schema import SCHEMA_VERSION
from penstock.store.views import SCHEMA, VIEWS

__all__ = ["forged_tables", "objects_of", "refuse_older", "show_our_views", "wanted_objects"]


def objects_of(connection: sqlite3.Connection) -> dict[str, str]:
    """Return what a database is made of, without the comments and the spaces in it."""
    query = "SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    return {
        name: " ".join(" ".join(line.partition("--")[0] for line in text.splitlines()).split())
        for name, text in connection.execute(query)
    }


@cache
def wanted_objects() -> Mapping[str, str]:
    """Return what a store of today's layout is made of."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(SCHEMA)
        return objects_of(made)


def forged_tables(views: Iterable[str]) -> list[str]:
    """Name the views that stand where a store has its tables."""
    return sorted(name for name in views if f"table {name}" in wanted_objects())


def refuse_older(directory: Path, layout: int) -> None:
    """Refuse to write to a store of an older layout.

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


def show_our_views(connection: sqlite3.Connection, layout: int) -> None:
    """Make a connection read a store through views of today's layout, whatever stands in it.

    Args:
        connection: The open store; nothing is written to its file.
        layout: The layout that it says it has.

    Raises:
        StoreError: a view stands where a table should.
        sqlite3.Error: it has not the tables of its layout.
    """
    views = {
        name.partition(" ")[2]: text
        for name, text in objects_of(connection).items()
        if name.startswith("view ")
    }
    if forged := forged_tables(views):
        raise StoreError(
            f"it was not made by penstock, or was edited: {', '.join(forged)} should be a table, "
            "and is a view"
        )

    if layout < SCHEMA_VERSION:
        connection.executescript(shown_as_today(layout))
    elif any(
        views.get(name.partition(" ")[2]) != text
        for name, text in wanted_objects().items()
        if name.startswith("view ")
    ):
        ours = [view.replace("CREATE VIEW", "CREATE TEMP VIEW") for view in VIEWS]
        connection.executescript("\n".join(["PRAGMA temp_store = MEMORY;", *ours]))

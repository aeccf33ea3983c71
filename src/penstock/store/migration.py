"""Older layouts of ``study.sqlite``: brought up to date, and a copy of each kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from penstock._base.files import files_aside, set_aside
from penstock.store.directory import sync_directory
from penstock.store.schema import ATTEMPTS_VIEW, EVENTS_VIEW, UNFINISHED_INDEX

__all__ = ["STEPS", "migrate"]

STEPS = {
    1: f"""
    ALTER TABLE session ADD COLUMN started INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE session ADD COLUMN saved INTEGER NOT NULL DEFAULT 0;
    DROP VIEW IF EXISTS attempts;
    {ATTEMPTS_VIEW}
    """,
    2: f"""
    ALTER TABLE attempt ADD COLUMN answer_event_id TEXT;
    DROP VIEW events;
    {EVENTS_VIEW}
    {UNFINISHED_INDEX}
    """,
}
"""What makes each older layout the next one."""


def migrate(path: Path, layout: int, wanted: int) -> Path:
    """Bring a store to a newer layout in one transaction, and keep a copy of it as it was.

    Args:
        path: The store; nobody else writes it.
        layout: Its layout.
        wanted: The layout it is to have.

    Returns:
        Where the copy is.

    Raises:
        sqlite3.Error: it cannot be written; it is as it was.
    """
    copy = path.with_name(f"{path.stem}.layout-{layout}{path.suffix}")
    for left in files_aside(path.parent, of=copy.name):  # by a migration that was killed
        left.unlink()

    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        with set_aside(copy) as aside, closing(sqlite3.connect(aside)) as kept:
            store.backup(kept)

        sync_directory(path.parent)
        steps = "".join(STEPS[step] for step in range(layout, wanted))
        store.executescript(f"BEGIN IMMEDIATE;{steps}PRAGMA user_version = {wanted:d};COMMIT;")

    return copy

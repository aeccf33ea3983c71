"""Stores of older layouts, with what a store of today holds of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

LAYOUTS = Path(__file__).parent / "store" / "layouts"
"""The schemas of older layouts, as they were."""

_OTHER_NAMES = {"saved": "attempts"}
_NAMES_ANSWERS = 3
_KEEPS_SCORINGS = 5


_SHOWN = """
(SELECT e.*, row_number() OVER (PARTITION BY attempt_id ORDER BY s.place, e.number) - 1 AS at
 FROM today.evaluation e JOIN today.scoring s ON s.id = e.scoring_id WHERE s.place IS NOT NULL)
"""
"""Older layouts numbered all scores of an attempt, and had those that counted."""


def make_older(store: Path, layout: int) -> None:
    """Give a store an older layout: what it did not keep is lost."""
    aside = store.with_name("older.sqlite")
    with closing(sqlite3.connect(aside)) as older, older:
        older.executescript((LAYOUTS / f"layout-{layout}.sql").read_text(encoding="utf-8"))
        older.execute("ATTACH ? AS today", (str(store),))
        names = older.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
        for (table,) in names.fetchall():
            columns = [row[1] for row in older.execute(f"PRAGMA main.table_info({table})")]
            is_shown = table == "evaluation" and layout < _KEEPS_SCORINGS
            other_names = {"number": "at"} if is_shown else _OTHER_NAMES
            theirs = ", ".join(other_names.get(name, name) for name in columns)
            source = _SHOWN if is_shown else f"today.{table}"
            older.execute(f"INSERT OR REPLACE INTO main.{table} SELECT {theirs} FROM {source}")

        if layout < _NAMES_ANSWERS:  # each answer was a row
            older.execute(
                "INSERT INTO main.observation SELECT id, 0, ended_at, answer_event_id, NULL, NULL, "
                "'agent', 'assistant_output', '{\"auto_generated\":true}', 'step', NULL, NULL, "
                "NULL, NULL FROM today.attempt WHERE answer_event_id IS NOT NULL"
            )

    for path in (store, Path(f"{store}-wal"), Path(f"{store}-shm")):
        path.unlink(missing_ok=True)

    aside.rename(store)

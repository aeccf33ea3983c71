from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from penstock.store.migration import migrate


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "study.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE session (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO session VALUES (1)")
        connection.execute("PRAGMA user_version = 1")

    return path


def columns(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[1] for row in connection.execute("PRAGMA table_info(session)")]


def test_a_copy_of_a_migration_that_was_killed_is_made_again(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.with_name(".study.layout-1.sqlite.0123abcd.new").write_bytes(b"half a copy")
    step = "ALTER TABLE session ADD started;"
    monkeypatch.setattr("penstock.store.migration._steps", lambda *_: [step])
    copy = migrate(store, 1, 2)
    assert (columns(copy), columns(store)) == (["id"], ["id", "started"])
    assert sorted(each.name for each in store.parent.iterdir()) == [copy.name, store.name]


def test_a_migration_that_fails_changes_nothing(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = ["ALTER TABLE session ADD started;", "ALTER TABLE nothing ADD more;"]
    monkeypatch.setattr("penstock.store.migration._steps", lambda *_: steps)
    with pytest.raises(sqlite3.Error):
        migrate(store, 1, 2)

    assert columns(store) == ["id"]

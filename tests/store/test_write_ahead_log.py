from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from penstock.store.files.write_ahead_log import held_log_bytes


def opened(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None))


@pytest.mark.field("studies-SEC7")
def test_a_log_that_a_reader_keeps_from_being_emptied_is_told_apart_from_a_large_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "study.sqlite"
    assert held_log_bytes(path) == 0
    with opened(path) as writer, opened(path) as reader:
        writer.execute("PRAGMA page_size = 512")  # a log of so many pages, and few bytes
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA synchronous = OFF")
        writer.execute("CREATE TABLE made (x)")

        def write() -> None:
            writer.execute("INSERT INTO made VALUES (zeroblob(1200000))")

        write()
        assert held_log_bytes(path) == 0

        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM made").fetchall()
        write()
        held = held_log_bytes(path)
        assert 1_200_000 < held < 4_000_000
        write()
        assert held_log_bytes(path) > held + 1_200_000

        reader.execute("COMMIT")
        writer.execute("INSERT INTO made VALUES (1)")
        assert held_log_bytes(path) == 0


def test_where_nothing_is_known_of_a_log_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "study.sqlite-shm").write_bytes(b"short")
    assert held_log_bytes(tmp_path / "study.sqlite") == 0

    (tmp_path / "study.sqlite-shm").write_bytes(b"\xff" * 200)
    assert held_log_bytes(tmp_path / "study.sqlite") == 0

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from penstock.store.starts import FILE, Starts, _seek_and_write, read_spent, read_starts


def test_what_was_counted_is_read_whoever_counted_it(tmp_path: Path) -> None:
    assert read_starts(tmp_path) == (0, 0)
    starts = Starts(tmp_path, 3)
    assert read_starts(tmp_path) == (3, 0)
    starts.note()
    starts.note()
    assert read_starts(tmp_path) == (3, 2)  # not closed: it may be killed here
    starts.close()
    starts.note()
    assert (starts.count, read_starts(tmp_path)) == (3, (3, 2))


def test_what_may_have_been_spent_is_read_whoever_spent_it(tmp_path: Path) -> None:
    starts = Starts(tmp_path, 3)
    starts.risk(1.5, 100)
    starts.risk(1.25, 90)  # one of the calls cost less than it might have
    starts.add(0.5, 7)
    starts.note()
    assert starts.spent == (1.75, 97)
    assert read_spent(tmp_path) == (3, 1.75, 97)  # not closed: it may be killed here
    assert read_starts(tmp_path) == (3, 1)
    starts.sync()
    starts.close()
    Starts(tmp_path, 4).close()
    assert read_spent(tmp_path) == (4, 0.0, 0)


def test_a_count_of_a_version_that_kept_no_money_is_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(struct.pack("<QQ", 3, 2))
    assert read_starts(tmp_path) == (3, 2)
    assert read_spent(tmp_path) == (3, 0.0, 0)


def test_a_system_without_our_way_of_writing_counts_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.store.starts._write", _seek_and_write)
    starts = Starts(tmp_path, 3)
    starts.note()
    starts.note()
    assert read_starts(tmp_path) == (3, 2)
    starts.close()
    assert _seek_and_write(-1, b"") == -1


def test_a_directory_that_cannot_be_written_holds_nothing_up(tmp_path: Path) -> None:
    starts = Starts(tmp_path / "missing", 1)
    starts.note()
    starts.close()
    assert starts.count == 1


@pytest.mark.parametrize("content", [b"", b"torn", b"x" * 100])
def test_a_file_that_is_no_count_counts_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert read_starts(tmp_path) == (0, 0)

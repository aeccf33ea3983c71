from __future__ import annotations

from pathlib import Path

import pytest

from penstock.store.starts import FILE, Starts, _seek_and_write, read_starts


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


def test_a_system_without_our_way_of_writing_counts_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.store.starts._write", _seek_and_write)
    starts = Starts(tmp_path, 3)
    starts.note()
    starts.note()
    assert read_starts(tmp_path) == (3, 2)
    starts.close()
    assert _seek_and_write(-1, b"", 0, 0) == -1


def test_a_directory_that_cannot_be_written_holds_nothing_up(tmp_path: Path) -> None:
    starts = Starts(tmp_path / "missing", 1)
    starts.note()
    starts.close()
    assert starts.count == 1


@pytest.mark.parametrize("content", [b"", b"torn", b"x" * 100])
def test_a_file_that_is_no_count_counts_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert read_starts(tmp_path) == (0, 0)

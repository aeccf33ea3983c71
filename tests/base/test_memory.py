from __future__ import annotations

from pathlib import Path

import pytest

from penstock._base import memory
from penstock._base.memory import has_room_for_thread, is_exhausted, out_of_memory

MB = 1 << 20


@pytest.fixture
def used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A process that may have 1,000 MB; how much it has is written into the file."""
    statm = tmp_path / "statm"
    monkeypatch.setattr(memory, "_STATM", statm)
    monkeypatch.setattr(memory, "_limit", lambda: 1000 * MB)
    return statm


@pytest.mark.field("studies-SEC13")
@pytest.mark.parametrize(
    ("used_mb", "has_room", "is_over"),
    [(100, True, False), (950, True, False), (965, False, False), (980, False, True)],
)
def test_another_thread_leaves_some_memory_to_those_at_work(
    used: Path, used_mb: int, has_room: bool, is_over: bool
) -> None:
    used.write_text(f"{used_mb * MB // 4096} 1 1 1")

    assert (has_room_for_thread(), is_exhausted()) == (has_room, is_over)


def test_where_nothing_limits_memory_or_tells_of_it_there_is_room(
    used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (has_room_for_thread(), is_exhausted()) == (True, False)  # no such file

    used.write_text("99999999 1")
    monkeypatch.setattr(memory, "_limit", lambda: None)
    assert (has_room_for_thread(), is_exhausted()) == (True, False)
    assert out_of_memory().startswith("this process is out of memory. Let fewer runs be in flight")


def test_who_is_out_of_memory_is_told_the_limit(used: Path) -> None:
    assert used.name == "statm"
    assert "it may have 1,049 MB (`ulimit -v`)" in out_of_memory()

"""What a session has started and may have spent, kept where a killed process leaves it as it was.

A call that was made and whose result was never saved may have been paid for. The results that are
saved say nothing of it, so each start is counted before its agent is called, and each call of a
model with the most that it may cost before it is sent: in 32 bytes of a file, which the system
keeps when the process is killed (1 us). The count goes into the store with every group, and the
file is synced with it where calls were made, so that a crash of the whole machine loses no more
than what was begun since the last one.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from pathlib import Path

__all__ = ["FILE", "Starts", "read_spent", "read_starts"]

FILE = ".started"
"""Beside the store; holds the number of a session, how many attempts it has started, and how much
it may have spent, in US dollars and in tokens."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FORM = struct.Struct("<QQdQ")
_FORMER_BYTES = 16
"""What versions wrote that did not keep what was spent."""


def _writer() -> Callable[[int, bytes], int]:
    """Return what writes to the beginning of a file, and lets no other thread have its turn.

    It is the system's own ``pwrite``. ``os.pwrite`` lets the thread that saves results go first, at
    every start; changing from one thread to the other and back takes ten times as long.
    """
    if os.name != "posix":
        return _seek_and_write

    pwrite = ctypes.PyDLL(None).pwrite
    pwrite.restype = ctypes.c_ssize_t
    size, beginning = ctypes.c_size_t(_FORM.size), ctypes.c_long(0)  # made once: 0.4 us a start
    return lambda descriptor, data: pwrite(descriptor, data, size, beginning)


def _seek_and_write(descriptor: int, data: bytes) -> int:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        return os.write(descriptor, data)
    except OSError:
        return -1


_write = _writer()


class Starts:
    """Counts the attempts that a session starts.

    A disk that is full or failing does not hold the study up here: the results say so.

    Args:
        directory: The study's output directory; None keeps nothing, while there is no session.
        session_id: The session.

    Attributes:
        count: How many attempts it has started.
        spent: What it may have spent so far: US dollars and tokens.
    """

    def __init__(self, directory: Path | None = None, session_id: int = 0) -> None:
        self.count = 0
        self.spent: tuple[float, int] = (0.0, 0)
        self._session_id = session_id
        self._called: tuple[float, int] = (0.0, 0)
        self._told: tuple[float, int] = (0.0, 0)
        self._is_synced = True
        self._descriptor: int | None = None
        if directory is not None:
            with suppress(OSError):
                flags = os.O_WRONLY | os.O_CREAT | _NO_LINK
                self._descriptor = os.open(directory / FILE, flags, 0o644)

        self._write()

    def note(self, count: int = 1) -> None:
        """Count an attempt whose agent is about to be called; -1 takes one back."""
        self.count += count
        self._write()

    def risk(self, cost_usd: float, tokens: int) -> None:
        """Keep what calls of models have cost so far, those under way at their worst case.

        Args:
            cost_usd: US dollars.
            tokens: Tokens of prompts and answers.
        """
        self._called = (cost_usd, tokens)
        self._is_synced = False
        self._add_up()

    def add(self, cost_usd: float, tokens: int) -> None:
        """Add what agents say that they have spent otherwise, before it is saved.

        Args:
            cost_usd: US dollars.
            tokens: Tokens of prompts and answers.
        """
        self._told = (self._told[0] + cost_usd, self._told[1] + tokens)
        self._add_up()

    def sync(self) -> None:
        """Make it survive a loss of power too, where calls were made since the last time."""
        if self._descriptor is not None and not self._is_synced:
            self._is_synced = True
            with suppress(OSError):
                os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _add_up(self) -> None:
        cost_usd, tokens = self._called[0] + self._told[0], self._called[1] + self._told[1]
        self.spent = (max(0.0, cost_usd), max(0, tokens))
        self._write()

    def _write(self) -> None:
        if self._descriptor is not None:
            packed = _FORM.pack(self._session_id, self.count, *self.spent)
            _write(self._descriptor, packed)


def read_starts(directory: Path) -> tuple[int, int]:
    """Read which session counted last, and how far; zeros where none did."""
    session_id, count, _, _ = _read(directory)
    return session_id, count


def read_spent(directory: Path) -> tuple[int, float, int]:
    """Read which session counted last, and what it may have spent: US dollars and tokens."""
    session_id, _, cost_usd, tokens = _read(directory)
    return session_id, cost_usd, tokens


def _read(directory: Path) -> tuple[int, int, float, int]:
    try:
        data = (directory / FILE).read_bytes()
        if len(data) == _FORMER_BYTES:
            data += bytes(_FORM.size - _FORMER_BYTES)

        session_id, count, cost_usd, tokens = _FORM.unpack(data)
    except (OSError, struct.error):
        return 0, 0, 0.0, 0

    return session_id, count, cost_usd if isfinite(cost_usd) else 0.0, tokens

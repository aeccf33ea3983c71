"""How many attempts a session has started, kept where a killed process leaves it as it was.

A call that was made and whose result was never saved may have been paid for. The results that are
saved say nothing of it, so each start is counted before its agent is called: in 16 bytes of a file,
which the system keeps when the process is killed (1 us). The count goes into the store with every
group, so that a crash of the whole machine loses no more than the starts since the last one.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

__all__ = ["FILE", "Starts", "read_starts"]

FILE = ".started"
"""Beside the store; holds the number of a session and how many attempts it has started."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FORM = struct.Struct("<QQ")


def _writer() -> Callable[[int, bytes, int, int], int]:
    """Give the system's own ``pwrite``, called so that no other thread has its turn meanwhile.

    ``os.pwrite`` lets the thread that saves results go first, at every start; changing from one
    thread to the other and back takes ten times as long as the write.
    """
    if os.name != "posix":
        return _seek_and_write

    pwrite = ctypes.PyDLL(None).pwrite
    pwrite.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_long)
    pwrite.restype = ctypes.c_ssize_t
    write: Callable[[int, bytes, int, int], int] = pwrite
    return write


def _seek_and_write(descriptor: int, data: bytes, _: int, offset: int) -> int:
    try:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, data)
    except OSError:
        return -1


_write = _writer()


class Starts:
    """Counts the attempts that a session starts.

    A disk that is full or failing does not hold the study up here: the results say so.

    Args:
        directory: The study's output directory.
        session_id: The session.
    """

    def __init__(self, directory: Path, session_id: int) -> None:
        self.count = 0
        self._session_id = session_id
        self._descriptor: int | None = None
        with suppress(OSError):
            self._descriptor = os.open(directory / FILE, os.O_WRONLY | os.O_CREAT | _NO_LINK, 0o644)

        self._write()

    def note(self, count: int = 1) -> None:
        """Count an attempt whose agent is about to be called; -1 takes one back."""
        self.count += count
        self._write()

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self) -> None:
        if self._descriptor is not None:
            _write(self._descriptor, _FORM.pack(self._session_id, self.count), _FORM.size, 0)


def read_starts(directory: Path) -> tuple[int, int]:
    """Read which session counted last, and how far; zeros where none did."""
    try:
        session_id, count = _FORM.unpack((directory / FILE).read_bytes())
    except (OSError, struct.error):
        return (0, 0)

    return (session_id, count)

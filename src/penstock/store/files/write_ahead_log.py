"""The write-ahead log of a store: what keeps it from being emptied.

SQLite writes what is committed into the log, and moves it into the file when nobody reads an
older state any more. A program that stays in a transaction keeps the log growing without end.
"""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["held_log_bytes"]

# https://www.sqlite.org/walformat.html#the_wal_index_file_format: pages in the log, of which size,
# and how many of them have been moved into the file. Numbers are in the order of the machine.
_HEADER = struct.Struct("=I4xI2xHI76xI")
_VERSION = 3_007_000
_WHOLE_PAGE = 65_536
_USUAL_PAGES = 2_000
"""A log is emptied each 1,000 pages; a group of large results may go beyond that once."""


def held_log_bytes(store: Path) -> int:
    """Return how large a log is that somebody keeps from being emptied; 0 where nobody does.

    Args:
        store: The ``study.sqlite``; somebody has it open.
    """
    try:
        with store.with_name(f"{store.name}-shm").open("rb") as file:
            version, _, size, pages, moved = _HEADER.unpack(file.read(_HEADER.size))
    except (OSError, struct.error):
        return 0

    if version != _VERSION or pages - moved <= _USUAL_PAGES:
        return 0

    return int(pages * (_WHOLE_PAGE if size == 1 else size))

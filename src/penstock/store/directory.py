"""Directories whose names are on the disk: a file is lost with the directory that it is in."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["make_directory", "sync_directory"]


def make_directory(directory: Path) -> None:
    """Make a directory with its parents; when this returns a loss of power leaves them there."""
    made = [each for each in directory.parents if not each.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    # Also where it was there before: the session that made it may have been killed right then.
    for each in (directory, *made):
        sync_directory(each.parent)


def sync_directory(directory: Path) -> None:
    """Have the names in a directory on the disk: files that were made in it or renamed into place.

    Where a system cannot, as Windows, or the directory is another's, it is left to the system. A
    disk that fails says so when the results themselves are synced.
    """
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

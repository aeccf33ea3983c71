"""A study's directory: its names are on the disk, and its files stay where they are.

A file is lost with the directory that it is in. One that is open goes on where it is, and whoever
looks for it under its path does not find it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from penstock.errors import StoreError
from penstock.store import STORE_FILE

__all__ = [
    "EXPORTED",
    "OpenFiles",
    "make_directory",
    "resolved_directory",
    "results_below",
    "sync_directory",
]

EXPORTED = ".exported"
"""The file that says what files were made from: see `penstock.export.up_to_date`."""

_DEEPEST = 4
"""How many folders below the one that is named results are looked for."""


def resolved_directory(path: Path) -> Path:
    """Return the directory that a path leads to, its links followed; it need not be there yet.

    Raises:
        StoreError: its links lead back to themselves, or a file is in its place.
    """
    try:
        directory = path.resolve()
        there = next(each for each in (directory, *directory.parents) if os.path.lexists(each))
        is_directory = there.is_dir()
    except (OSError, RuntimeError) as error:  # a RuntimeError until Python 3.13
        raise StoreError(f"{path} cannot be followed: {error}; name another directory") from error

    if not is_directory:
        raise StoreError(
            f"{there} is not a directory, and results go into one; name another (output_dir, "
            "--output-dir)"
        )

    return directory


def make_directory(directory: Path) -> None:
    """Make a directory with its parents; when this returns a loss of power leaves them there."""
    made = [each for each in directory.parents if not each.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    # Also where it was there before: the session that made it may have been killed right then.
    for each in (directory, *made):
        sync_directory(each.parent)


def sync_directory(directory: Path) -> None:
    """Sync the names in a directory to the disk: files that were made in it or renamed into place.

    Where a system cannot, as Windows, or the directory is another's, it is left to the system. A
    disk that fails says so when the results themselves are synced.
    """
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def results_below(folder: Path) -> list[Path]:
    """Find the output directories of studies below a folder that holds no results itself."""
    if (folder / STORE_FILE).exists():
        return []

    found = []
    for place, names, files in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        names[:] = sorted(name for name in names if depth < _DEEPEST and name[0] not in "._")
        if STORE_FILE in files:
            found.append(Path(place))
            names.clear()

    return found


class OpenFiles:
    """Files that somebody has open, as they stand under their paths.

    Args:
        paths: Where they are; one that is not there is not looked for again.
    """

    def __init__(self, *paths: Path) -> None:
        self._known = {path: known for path in paths if (known := _identity(path)) is not None}

    def displaced(self) -> Path | None:
        """Return the path of one that was moved, removed or replaced; None where all are there."""
        for path, known in self._known.items():
            with suppress(OSError):  # a disk that fails says so when results are written
                if _identity(path) != known:
                    return path

        return None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None

    return found.st_dev, found.st_ino

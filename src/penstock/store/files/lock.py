"""One writer per directory: a lock of the operating system, which a crash releases by itself."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname

import filelock

from penstock.errors import DirectoryInUseError
from penstock.store import STORE_FILE
from penstock.store.files.ownership import refuse_links, refuse_to_move

__all__ = ["LOCK_NAME", "hold_directory", "is_held", "move_aside"]

LOCK_NAME = ".lock"
"""The file in a study's directory that its holder locks; it says nothing about the study."""

_GLANCE_S = 0.2
"""How long whoever only looks whether a directory is held may itself hold it."""


@contextmanager
def hold_directory(directory: Path) -> Iterator[None]:
    """Lock a study's directory; nobody else can run a study in it meanwhile.

    Raises:
        DirectoryInUseError: it is held; the error names the holder's process and host.
        ForeignDirectoryError: writing in it would lead elsewhere, through a symbolic link.
    """
    refuse_links(directory)
    lock = filelock.FileLock(directory / LOCK_NAME, is_singleton=False, thread_local=False)
    try:
        lock.acquire(timeout=_GLANCE_S, poll_interval=_GLANCE_S / 4)
    except filelock.Timeout:
        raise DirectoryInUseError(
            f"{directory} is in use by {_holder(directory)}; wait for it, stop it, or run in "
            "another directory (output_dir)"
        ) from None

    try:
        yield
    finally:
        lock.release()


def is_held(directory: Path) -> bool:
    """Return whether someone runs a study in a directory, whatever a session says that was killed.

    Raises:
        OSError: one may not look.
    """
    if not (directory / LOCK_NAME).exists() or (directory / LOCK_NAME).is_symlink():
        return False

    lock = filelock.FileLock(directory / LOCK_NAME, is_singleton=False, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return True
    except PermissionError:  # somebody else's directory, or an archive: who looks may only read
        return _is_locked(directory / LOCK_NAME)

    lock.release()
    return False


def _is_locked(path: Path) -> bool:
    """Return whether a file that one may only read is locked."""
    if sys.platform == "win32":
        raise PermissionError(f"this user may not see who holds {path}")

    import fcntl  # noqa: PLC0415 - POSIX alone has it

    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True

    return False


def move_aside(directory: Path, *, without: Iterable[Path] = ()) -> None:
    """Rename a directory of results that nobody holds; nothing is ever deleted.

    Args:
        directory: The directory; where there is none, or nothing in it, nothing is done.
        without: Folders that must not move with it; nor must the working directory.

    Raises:
        DirectoryInUseError: it is held.
        ForeignDirectoryError: it holds no results, or one of those folders.
    """
    refuse_to_move(directory, [Path.cwd(), *without])
    if directory.exists():
        with hold_directory(directory):
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
            directory.rename(directory.with_name(f"{directory.name}.{stamp}"))


def _holder(directory: Path) -> str:
    try:
        uri = f"{(directory / STORE_FILE).absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            row = connection.execute(
                "SELECT pid, host, started_at, ended_at FROM session ORDER BY id DESC LIMIT 1"
            ).fetchone()
    except sqlite3.Error:
        row = None

    if row is None or row[3] is not None or (row[1] == gethostname() and not _is_alive(row[0])):
        return "another process that has just started"  # the last session is not the holder's

    return "process {} on host {} since {}".format(*row)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's, so it is there
        return True

    return True

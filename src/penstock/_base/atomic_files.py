"""Files that are written aside and renamed into place, so that nobody ever reads half a file.

A file aside is new and ours: it is created exclusively, under a name that nobody can foresee, and
so never through a symbolic link. Renaming it takes the place of a link, and not of what that leads
to.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from stat import S_IMODE, S_IRWXU

__all__ = ["files_aside", "link_file", "set_aside", "share_as_folder", "write_private"]

_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}\.new")


@contextmanager
def set_aside(path: Path) -> Iterator[Path]:
    """Yield a new, empty file to write in place of another; then sync it and put it there.

    Where the block raises, the other file stays as it was.

    Raises:
        OSError: it cannot be written; ``filename`` says which.
    """
    aside = _beside(path)
    try:
        aside.touch(exist_ok=False)
        share_as_folder(aside)
        yield aside
        with aside.open("rb+") as file:
            os.fsync(file.fileno())

        aside.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say which file
        raise
    finally:
        aside.unlink(missing_ok=True)


def share_as_folder(path: Path) -> None:
    """Restrict a file's permissions to those of the folder that it is in.

    Whoever keeps a folder to themselves means what is in it too, also once it is moved or packed.
    Where a system has no such rights, or the file is another's, nothing is changed.
    """
    with suppress(OSError):
        rights, of_folder = S_IMODE(path.stat().st_mode), path.parent.stat().st_mode
        allowed = rights & (S_IRWXU | of_folder)
        if allowed != rights:
            path.chmod(allowed)


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that nobody but this user may read, also while it is written.

    Raises:
        FileExistsError: it is there already.
        OSError: it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def link_file(path: Path, original: Path) -> None:
    """Link a file under a second name, or copy it where the file system has no links.

    Raises:
        OSError: the copy cannot be written.
    """
    aside = _beside(path)
    try:
        aside.hardlink_to(original)
        aside.replace(path)
    except OSError:
        with set_aside(path) as copy:
            shutil.copyfile(original, copy)
    finally:
        aside.unlink(missing_ok=True)


def files_aside(folder: Path, of: str = "*") -> Iterator[Path]:
    """Yield the files that a process writes aside, or wrote when it was killed.

    Args:
        folder: Where to look.
        of: The name of the file whose place they were to take; any, where not given.
    """
    return (path for path in folder.glob(f".{of}.*.new") if _ASIDE.fullmatch(path.name))


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{token_hex(4)}.new")

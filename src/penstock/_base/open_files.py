"""How many files a process may have open: those of the store, and a connection for each call."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

__all__ = [
    "lack_of_files",
    "most_files",
    "raise_file_limit",
    "room_for_connections",
    "spare_files",
]

_OF_A_STUDY = 16
"""Files of the store, of the export and of the event loop; some are open for a moment only."""

_WANTED = (65_536, 10_240)
"""The second is the most that macOS grants where it says that there is no limit."""


def raise_file_limit() -> None:
    """Raise this process's limit on open files to what the system allows, 65,536 at most.

    Only for a process that is there for it: a host may select() among its files, which bears no
    more than 1,024.
    """
    with suppress(ImportError):  # POSIX only
        import resource  # noqa: PLC0415

        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        for wanted in _WANTED:
            files = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
            if resource.RLIM_INFINITY != now < files:
                with suppress(OSError, ValueError):
                    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
                    return


def most_files() -> int | None:
    """Return how many files this process may have open; None where nothing says so."""
    with suppress(ImportError):  # POSIX only
        import resource  # noqa: PLC0415

        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return None if files == resource.RLIM_INFINITY else files

    return None


def spare_files() -> int | None:
    """Return how many more files this process may open now; None where nothing says so."""
    most = most_files()
    if most is None:
        return None

    try:
        open_now = len([*Path("/dev/fd").iterdir()]) - 1  # without the one that lists them
    except OSError as error:
        return 0 if error.errno == errno.EMFILE else most

    return max(0, most - open_now)


def room_for_connections() -> int | None:
    """Return how many connections a study may have open beside its files; None for any number."""
    spare = spare_files()
    return None if spare is None else max(1, spare - _OF_A_STUDY)


def lack_of_files() -> str | None:
    """Return a sentence where this process may open fewer files than a study needs, else None."""
    spare, most = spare_files(), most_files()
    if spare is None or most is None or spare >= _OF_A_STUDY:
        return None

    return (
        f"this process may have {most:,} files open, and {most - spare:,} are; a study needs "
        f"{_OF_A_STUDY} more: raise the limit, as `ulimit -n 1024` does"
    )

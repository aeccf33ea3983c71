"""How much memory a process may still take, where a limit is set for it (``ulimit -v``).

Where the limit is reached nothing works any more, the interpreter itself included. So what takes
memory for the asking, such as another thread, is not begun when little is left.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["has_room_for_thread", "is_exhausted", "out_of_memory"]

_KEPT_BYTES = 32 << 20
"""What is left to those who are at work."""

_PAGE_BYTES = 4096
_STACK_BYTES = 8 << 20
"""The stack of a thread, where nobody has set another size; asking for the size would set it."""

_STATM = Path("/proc/self/statm")


def has_room_for_thread() -> bool:
    """Return whether another thread would leave some memory to those who are at work."""
    room = _room()
    return room is None or room > _STACK_BYTES + _KEPT_BYTES


def is_exhausted() -> bool:
    """Return whether so little memory is left that nothing more should be begun."""
    room = _room()
    return room is not None and room < _KEPT_BYTES


def out_of_memory() -> str:
    """Return a sentence for a person whose process has no memory left, and what to do."""
    limit = _limit()
    most = "" if limit is None else f": it may have {limit / 1e6:,.0f} MB (`ulimit -v`)"
    return (
        f"this process is out of memory{most}. Let fewer runs be in flight (--concurrency), or "
        "give it more"
    )


def _limit() -> int | None:
    with suppress(ImportError):  # POSIX only
        import resource  # noqa: PLC0415

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        return None if limit == resource.RLIM_INFINITY else limit

    return None


def _room() -> int | None:
    """Return how many bytes the process may still map; None where nothing limits or tells it."""
    limit = _limit()
    if limit is None:
        return None

    try:
        pages = int(_STATM.read_text().split()[0])
    except (OSError, ValueError):  # Linux alone has it, and it may have no file left
        return None

    return max(0, limit - pages * _PAGE_BYTES)

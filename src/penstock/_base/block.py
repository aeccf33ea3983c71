"""A block that begins with one call and ends with another, at a third of what a generator takes."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Block"]


class Block:
    """Calls one function where ``with`` begins, and another where it ends, however it does.

    Args:
        begin: Called first.
        end: Called at the end.
    """

    __slots__ = ("_begin", "_end")

    def __init__(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._begin = begin
        self._end = end

    def __enter__(self) -> None:
        self._begin()

    def __exit__(self, *_: object) -> None:
        self._end()

"""Fair queue: round-robin between groups, FIFO within each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ["FairQueue"]

Waiter = TypeVar("Waiter", bound=Hashable)


class FairQueue(Generic[Waiter]):
    """Queue waiters by group: round-robin between groups, FIFO within each.

    Each operation takes the same time however many wait. Ordered dicts are used in place of
    deques because whoever is cancelled leaves from the middle.
    """

    def __init__(self) -> None:
        self._groups: OrderedDict[str, OrderedDict[Waiter, None]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Waiter]:
        return iter([waiter for waiters in self._groups.values() for waiter in waiters])

    def append(self, group: str, waiter: Waiter) -> None:
        """Add a waiter at the end of its group; a new group comes last."""
        self._groups.setdefault(group, OrderedDict())[waiter] = None
        self._count += 1

    def put_back(self, group: str, waiter: Waiter) -> None:
        """Return a waiter that was taken to the very front, and its group with it."""
        self.append(group, waiter)
        self._groups[group].move_to_end(waiter, last=False)
        self._groups.move_to_end(group, last=False)

    def first(self) -> Waiter | None:
        """Return the waiter that is next, or None."""
        return next(iter(next(iter(self._groups.values()))), None) if self._groups else None

    def last(self) -> Waiter | None:
        """Return the waiter that will be served last, or None."""
        return next(reversed(next(reversed(self._groups.values())))) if self._groups else None

    def take(self) -> Waiter:
        """Remove and return the next waiter; then it is the next group's turn.

        Raises:
            KeyError: the queue is empty.
        """
        group, waiters = self._groups.popitem(last=False)
        waiter, _ = waiters.popitem(last=False)
        self._count -= 1
        if waiters:
            self._groups[group] = waiters

        return waiter

    def remove(self, group: str, waiter: Waiter) -> None:
        """Remove a waiter from anywhere in the queue; do nothing if it is not there."""
        waiters = self._groups.get(group)
        if waiters is None or waiter not in waiters:
            return

        del waiters[waiter]
        self._count -= 1
        if not waiters:
            del self._groups[group]

"""A line in which groups take turns: none is served last for as long as another has somebody."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Turns"]

Waiter = TypeVar("Waiter", bound=Hashable)


class Turns(Generic[Waiter]):
    """Waiters in groups: round-robin between groups, first come first served inside one.

    Each operation takes the same time however many wait. Ordered dicts are used in place of
    deques because whoever is cancelled leaves from the middle.
    """

    def __init__(self) -> None:
        self._groups: OrderedDict[str, OrderedDict[Waiter, None]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, group: str, waiter: Waiter) -> None:
        """Let a waiter stand at the end of its group; a new group has its turn last."""
        self._groups.setdefault(group, OrderedDict())[waiter] = None
        self._count += 1

    def put_back(self, group: str, waiter: Waiter) -> None:
        """Let a waiter that was taken stand at the very front again, and its group with it."""
        self.append(group, waiter)
        self._groups[group].move_to_end(waiter, last=False)
        self._groups.move_to_end(group, last=False)

    def first(self) -> Waiter | None:
        """Say whose turn it is."""
        return next(iter(next(iter(self._groups.values()))), None) if self._groups else None

    def last(self) -> Waiter | None:
        """Say who stays in the line longest, as it stands."""
        return next(reversed(next(reversed(self._groups.values())))) if self._groups else None

    def take(self) -> Waiter:
        """Take the first waiter out of the line; the turn goes to the next group.

        Raises:
            KeyError: nobody waits.
        """
        group, waiters = self._groups.popitem(last=False)
        waiter, _ = waiters.popitem(last=False)
        self._count -= 1
        if waiters:
            self._groups[group] = waiters

        return waiter

    def remove(self, group: str, waiter: Waiter) -> None:
        """Take a waiter out of the line, wherever it stands; nothing where it does not."""
        waiters = self._groups.get(group)
        if waiters is None or waiter not in waiters:
            return

        del waiters[waiter]
        self._count -= 1
        if not waiters:
            del self._groups[group]

"""Whose turn it is: event loops in several threads share the global random generators.

A loop holds the turn while it makes a step of a run. An agent that blocks within a step on another
thread's study would wait for ever, for the steps of that study wait for their turn: so nobody waits
longer than for a while.
"""

from __future__ import annotations

from threading import RLock
from typing import Any

__all__ = ["Turn"]

_LONGEST_WAIT_S = 10.0


class Turn:
    """The right to lend the generators out; one thread may take it many times over.

    Attributes:
        patience_s: How long another thread may hold it before nobody waits for it any more.
        host: The states of the host, while a step of a run has the generators; else None.
        give_back: Called to release the turn to another thread.
    """

    __slots__ = ("_acquire", "_is_held_up", "give_back", "host", "patience_s")

    def __init__(self) -> None:
        self.patience_s = _LONGEST_WAIT_S
        self.host: Any = None
        lock = RLock()
        self._acquire, self.give_back = lock.acquire, lock.release
        self._is_held_up = False

    def take(self) -> bool:
        """Take the turn, waiting for it a while; return whether it was to be had.

        Once somebody has waited in vain, others no longer wait until it is given back.
        """
        if not self._acquire(blocking=False):
            patience_s = 0.0 if self._is_held_up else self.patience_s
            if not self._acquire(timeout=patience_s):
                self._is_held_up = True
                return False

        self._is_held_up = False
        return True

    def take_at_once(self) -> bool:
        """Take the turn if no other thread has it; return whether it was to be had."""
        return self._acquire(blocking=False)

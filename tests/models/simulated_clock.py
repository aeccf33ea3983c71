"""A clock that stands still until a test moves it on."""

from __future__ import annotations

import heapq
from itertools import count

import anyio
import anyio.lowlevel

__all__ = ["SimulatedClock", "settled"]


async def settled() -> None:
    """Wait until every other task waits for something; a few turns first, which cost less."""
    for _ in range(8):
        await anyio.lowlevel.checkpoint()

    await anyio.wait_all_tasks_blocked()


class SimulatedClock:
    """Tells a time of its own; pass it as ``clock`` and its `sleep` as ``sleep``."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleepers = 0
        self.most_sleepers = 0
        self.slept = 0
        self._order = count()
        self._alarms: list[tuple[float, int, anyio.Event]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        self.sleepers += 1
        self.most_sleepers = max(self.most_sleepers, self.sleepers)
        rings = anyio.Event()
        heapq.heappush(self._alarms, (self.now + seconds, next(self._order), rings))
        try:
            await rings.wait()
        finally:
            self.sleepers -= 1

    async def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due meanwhile."""
        until = self.now + seconds
        await settled()
        while self._alarms and self._alarms[0][0] <= until:
            due, _, rings = heapq.heappop(self._alarms)
            self.now = max(self.now, due)
            rings.set()
            await settled()

        self.now = until
        await settled()

"""Which workers there are, what each of them does, and who is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from math import ceil, inf

import anyio

from penstock._base.logger import logger
from penstock.engines.engine import Joined
from penstock.engines.leased import Leased, Worker
from penstock.events.tree import WorkersChanged
from penstock.summary import WorkerNow

__all__ = ["Roster"]

_TELL_S = 1.0
_MISSED_S = 30.0
_ADVICE = "runs wait until a worker joins; see what those print that should, and whether they run"
_CLOCKS_DIFFER_S = 2
_SET_CLOCKS = "when its runs began and ended is told by its clock: have both machines set by NTP"
_MOST_NAMED = 100
_MOST_GONE = 20


class Roster:
    """The workers that are there.

    Args:
        announce: Says events.

    Attributes:
        to_come: How many others are on their way.
    """

    def __init__(self, announce: Callable[..., None]) -> None:
        self._announce = announce
        self._there: dict[str, Worker] = {}
        self._gone: deque[WorkerNow] = deque(maxlen=_MOST_GONE)
        self._has_changed = anyio.Event()
        self.to_come = 0

    def __bool__(self) -> bool:
        """Return whether any worker is there."""
        return bool(self._there)

    def get(self, name: str) -> Worker | None:
        """Return a worker that is there."""
        return self._there.get(name)

    @property
    def names(self) -> Collection[str]:
        """The names of those that are there."""
        return list(self._there)

    def join(self, joined: Joined) -> Worker:
        """Have one more, and keep the share of others for them that are on their way."""
        worker = self._there[joined.worker] = Worker(joined.worker, joined.capacity)
        self.to_come = joined.others
        self._has_changed.set()
        logger().info("worker.joined", worker=worker.name, capacity=worker.capacity)
        if abs(joined.clock_ahead_s) > _CLOCKS_DIFFER_S:
            said = {"worker": worker.name, "ahead_s": joined.clock_ahead_s}
            logger().warning("worker.clock_differs", **said, what_to_do=_SET_CLOCKS)

        return worker

    def lose(self, name: str, why: str) -> Worker | None:
        """Have one less; return which, where it was there."""
        worker = self._there.pop(name, None)
        if worker is not None:
            worker.is_lost = True
            worker.has_mail.set()
            self._gone.append(worker.now())
            self._has_changed.set()
            runs = len(worker.leases)
            log = logger().warning if runs or worker.capacity else logger().info  # it was leaving
            log("worker.lost", worker=name, reason=why, runs=runs)

        return worker

    def retire(self, name: str) -> None:
        """Have a worker make what it makes, and no more: it is leaving."""
        worker = self._there.get(name)
        if worker is not None:
            worker.capacity = 0
            logger().info("worker.leaving", worker=name, runs=len(worker.leases))

    def let_go(self) -> None:
        """Have nobody wait any more for what workers make: they are gone, or hang."""
        for worker in self._there.values():
            for leased in worker.leases.values():
                leased.is_over.set()

    def note_begin(self, worker: Worker, leased: Leased) -> None:
        """Note that a worker is to make an attempt."""
        leased.worker = worker
        worker.leases[leased.number] = leased
        self._has_changed.set()

    def note_end(self, worker: Worker, leased: Leased) -> None:
        """Note that a worker has made an attempt."""
        del worker.leases[leased.number]
        worker.ended += 1
        self._has_changed.set()

    def has_room(self) -> bool:
        """Return whether some worker may make another attempt now."""
        return any(worker.room > 0 for worker in self._there.values())

    def share(self, waiting: int) -> float:
        """Return how many of all attempts one worker may make: the first to come does not get all.

        Args:
            waiting: How many attempts wait for a worker.
        """
        if not self.to_come:
            return inf

        all_of_them = waiting + sum(len(worker.leases) for worker in self._there.values())
        return ceil(all_of_them / (len(self._there) + self.to_come))

    def with_fewest(self, most: float = inf) -> Worker | None:
        """Return the worker with room that makes the fewest attempts, fewer than so many."""
        found, fewest = None, most
        for worker in self._there.values():
            in_flight = len(worker.leases)
            if in_flight < fewest and worker.room > 0:
                found, fewest = worker, in_flight

        return found

    async def miss(self) -> None:
        """Say where nobody is there for long, and again twice as late, until it is cancelled."""
        wait_s = _MISSED_S
        while True:
            await anyio.sleep(wait_s)
            if self._there:
                wait_s = _MISSED_S
            else:
                logger().warning("worker.none", waited_s=wait_s, what_to_do=_ADVICE)
                wait_s *= 2

    async def tell(self) -> None:
        """Say what has changed, once in a second at most, until it is cancelled."""
        while True:
            await self._has_changed.wait()
            self._has_changed = anyio.Event()
            self._announce(WorkersChanged, workers=tuple(self._now()))
            await anyio.sleep(_TELL_S)

    def _now(self) -> Iterator[WorkerNow]:
        there = [worker.now() for worker in self._there.values()]
        yield from there[:_MOST_NAMED]
        if others := there[_MOST_NAMED:]:
            yield WorkerNow(
                worker=f"{len(others)} others",
                in_flight=sum(each.in_flight for each in others),
                ended=sum(each.ended for each in others),
            )

        yield from self._gone

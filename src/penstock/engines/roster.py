"""Which workers there are, what each of them does, and who is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from math import inf

import anyio

from penstock.engines.leased import Leased, Worker
from penstock.events.tree import WorkersChanged
from penstock.summary import WorkerNow

__all__ = ["Roster"]

_TELL_S = 1.0
_MOST_NAMED = 100
_MOST_GONE = 20


class Roster:
    """The workers that are there.

    Args:
        announce: Says events.
    """

    def __init__(self, announce: Callable[..., None]) -> None:
        self._announce = announce
        self._there: dict[str, Worker] = {}
        self._gone: deque[WorkerNow] = deque(maxlen=_MOST_GONE)
        self._has_changed = anyio.Event()

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

    def join(self, worker: Worker) -> None:
        """Have one more."""
        self._there[worker.name] = worker
        self._has_changed.set()

    def lose(self, name: str) -> Worker | None:
        """Have one less; return which, where it was there."""
        worker = self._there.pop(name, None)
        if worker is not None:
            worker.is_lost = True
            worker.has_mail.set()
            self._gone.append(worker.now())
            self._has_changed.set()

        return worker

    def let_go(self) -> None:
        """Have nobody wait any more for what workers make: they are gone, or hang."""
        for worker in self._there.values():
            for leased in worker.leases.values():
                leased.is_over.set()

    def note_end(self, worker: Worker, leased: Leased) -> None:
        """Note that a worker has made an attempt."""
        del worker.leases[leased.number]
        worker.ended += 1
        self._has_changed.set()

    def has_room(self) -> bool:
        """Return whether some worker may make another attempt now."""
        return any(worker.room > 0 for worker in self._there.values())

    def with_fewest(self, most: float = inf) -> Worker | None:
        """Return the worker with room that makes the fewest attempts, fewer than so many."""
        found, fewest = None, most
        for worker in self._there.values():
            in_flight = len(worker.leases)
            if in_flight < fewest and worker.room > 0:
                found, fewest = worker, in_flight

        return found

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

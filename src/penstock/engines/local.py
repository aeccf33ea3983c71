"""An engine whose workers live in this event loop: for tests, and to try things out.

What they say and are told goes through JSON, as between machines.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from math import inf

import anyio

from penstock.engines.boot import Boot
from penstock.engines.engine import Arrival, Batch, Joined, Lost
from penstock.engines.host import AgentHost
from penstock.engines.messages import (
    FromWorker,
    ToWorker,
    read_from_worker,
    read_to_worker,
    written,
)
from penstock.errors import EngineError, ValidationError

__all__ = ["LocalEngine"]

_HEARD_OF_EACH_S = 5.0
"""Workers hear of the driver so often at least, in seconds."""


class LocalEngine:
    """Workers in this event loop.

    Args:
        workers: How many there are at the beginning.
        capacity: How many attempts each makes at once; as many as the study lets it, where not
            given.

    Attributes:
        hosts: Those that are there, by name.
    """

    def __init__(self, workers: int = 1, *, capacity: int | None = None) -> None:
        self.hosts: dict[str, AgentHost] = {}
        self._workers = workers
        self._capacity = capacity
        self._count = 0
        self._boot: Boot | None = None
        self._cut_off: set[str] = set()

    async def start(self, boot: Boot) -> None:
        """Begin with the workers that are there at the beginning."""
        self._boot = boot
        self._arrivals, self._arrived = anyio.create_memory_object_stream[Arrival](inf)
        for _ in range(self._workers):
            self.add()

    def add(self) -> str:
        """Have one more worker; return its name."""
        if self._boot is None:
            raise EngineError("the engine has not started; it does when the study runs")

        self._count += 1
        name = f"local-{self._count}"
        capacity = self._capacity or self._boot.capacity
        try:
            self.hosts[name] = AgentHost(self._boot, partial(self._deliver, name))
        except ValidationError as error:
            self._arrivals.send_nowait(Joined(name, capacity, str(error)))
        else:
            left = max(0, self._workers - self._count)
            self._arrivals.send_nowait(Joined(name, capacity, others=left))

        return name

    def kill(self, name: str) -> None:
        """End a worker, as when its process is killed: what it has not delivered is gone."""
        self.hosts.pop(name).close()
        self._arrivals.send_nowait(Lost(name, "killed"))

    def cut_off(self, name: str) -> None:
        """Take a worker for lost that goes on by itself, as where a network breaks."""
        self._cut_off.add(name)
        self._arrivals.send_nowait(Lost(name, "cut off", may_live=True))

    def is_cut_off(self, name: str) -> bool:
        """Return whether nothing is heard of a worker."""
        return name in self._cut_off

    def reconnect(self, name: str) -> None:
        """Hear again what a worker says that was cut off, and what it has said meanwhile."""
        self._cut_off.discard(name)
        for seq, batch in self.hosts[name].unsaved.items():
            self._deliver(name, seq, batch)

    async def incoming(self) -> AsyncIterator[Arrival]:
        """Yield what happens, and let the workers know meanwhile that the driver is there."""
        while True:
            with anyio.move_on_after(_HEARD_OF_EACH_S):
                yield await self._arrived.receive()

            for name in self.hosts.keys() - self._cut_off:
                self.hosts[name].hear()

    async def send(self, worker: str, messages: Sequence[ToWorker]) -> None:
        """Send messages to a worker."""
        if worker in self.hosts and worker not in self._cut_off:
            self.hosts[worker].receive(read_to_worker(written(messages)))

    def saved(self, worker: str, seq: int) -> None:
        """Let a worker forget a batch."""
        if worker in self.hosts and worker not in self._cut_off:
            self.hosts[worker].hear((seq,))

    async def aclose(self) -> None:
        """End all workers."""
        for host in self.hosts.values():
            host.close()

        self._arrivals.close()
        self._arrived.close()

    def _deliver(self, name: str, seq: int, batch: Sequence[FromWorker]) -> None:
        if name not in self._cut_off:
            self._arrivals.send_nowait(Batch(name, seq, read_from_worker(written(batch))))

"""An agent host in a thread and an event loop of its own.

An agent that blocks its event loop blocks the other attempts of its worker, and not what tells the
driver that the worker is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Thread

import anyio

from penstock._base.loop import call_soon_from_threads, leave_tasks_behind
from penstock.engines.boot import Boot
from penstock.engines.host import AgentHost
from penstock.engines.messages import FromWorker, read_to_worker, written
from penstock.errors import message_of
from penstock.running.garbage import relaxed_gc

__all__ = ["HostThread"]

_END_S = 1.0
"""How long attempts have to end that are cancelled, before their loop is left, in seconds."""


class HostThread:
    """Makes the attempts that are leased to a worker; any thread may call it.

    Args:
        boot: How it begins.
        on_batch: Called, in the thread, when there is something new to deliver.

    Attributes:
        batches: What is to be delivered, as JSON, by number; what is saved is taken out.
        refusal: Why it makes no attempts, where that is so; known once `wait_until_ready` returns.
    """

    def __init__(self, boot: Boot, on_batch: Callable[[], None]) -> None:
        self.batches: dict[int, bytes] = {}
        self.refusal = ""
        self._boot = boot
        self._on_batch = on_batch
        self._is_ready = Event()
        self._call_soon: Callable[..., None] = lambda *_: None
        self._host: AgentHost | None = None
        Thread(target=self._run, name="penstock-agents", daemon=True).start()

    def wait_until_ready(self) -> None:
        """Wait until the study is loaded, or refused."""
        self._is_ready.wait()

    def receive(self, data: bytes) -> None:
        """Do what the driver says."""
        messages = read_to_worker(data)
        if self._host is not None:
            self._call_soon(self._host.receive, messages)

    def hear(self, saved: Sequence[int] = ()) -> None:
        """Note that the driver is there, and which batches are saved."""
        for seq in saved:
            self.batches.pop(seq, None)
            if self._host is not None:
                self._call_soon(self._host.saved, seq)

        if self._host is not None:
            self._call_soon(self._host.hear)

    def close(self) -> None:
        """Cancel every attempt, and end the thread."""
        self._call_soon(self._end)

    def _run(self) -> None:
        try:
            anyio.run(self._serve)
        finally:
            self._is_ready.set()

    async def _serve(self) -> None:
        try:
            self._host = AgentHost(self._boot, self._deliver)
        except Exception as error:  # noqa: BLE001 - whatever the study's own code raises
            self.refusal = message_of(error) or type(error).__name__
            return

        self._ended = anyio.Event()
        self._call_soon = call_soon_from_threads()
        self._is_ready.set()
        with relaxed_gc():
            await self._ended.wait()

        await leave_tasks_behind(_END_S)

    def _end(self) -> None:
        if self._host is not None:
            self._host.close()

        self._ended.set()

    def _deliver(self, seq: int, batch: Sequence[FromWorker]) -> None:
        self.batches[seq] = written(batch)
        self._on_batch()

"""What a Dask worker is taught: to host the agents of a study, and to say what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import time
from typing import Any

import anyio
from distributed.diagnostics.plugin import WorkerPlugin

from penstock._base.loop import call_soon_from_threads
from penstock._base.threads import call_in_thread
from penstock.engines.boot import Boot
from penstock.engines.dask_draws import draw_apart
from penstock.engines.host_thread import HostThread

__all__ = ["HostsAgents"]

_LOOK_S = 0.1


class HostsAgents(WorkerPlugin):
    """Lets drivers lease attempts to a Dask worker.

    Every call names the session of its driver; several studies may share a worker.
    """

    name = "penstock"
    idempotent = True

    def setup(self, worker: Any) -> None:
        """Add what the driver calls to what the worker answers."""
        draw_apart()
        self._hosted: dict[str, HostThread] = {}
        self._news = anyio.Event()
        self._loaded: dict[str, str] = {}
        worker.handlers.update(
            penstock_boot=self.boot,
            penstock_send=self.send,
            penstock_poll=self.poll,
            penstock_leave=self.leave,
        )

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 - the plugin's own signature
        """Cancel every attempt: the worker ends."""
        for session in list(self._hosted):
            self._close(session)

    async def boot(self, session: str, boot: str) -> dict[str, Any]:
        """Load a study; return how many attempts are made here at once, or why none are."""
        for other, hosted in list(self._hosted.items()):
            if hosted.is_left:
                self._close(other)

        told = Boot.model_validate_json(boot)
        if stale := self._stale(told):
            return {"capacity": 0, "refusal": stale}

        call_soon = call_soon_from_threads()
        hosted = self._hosted[session] = HostThread(told, partial(call_soon, self._tell))
        await call_in_thread(hosted.wait_until_ready)
        return {"capacity": told.capacity, "refusal": hosted.refusal, "now": time()}

    async def send(self, session: str, data: bytes) -> bool:
        """Do what the driver says; return whether it was heard."""
        hosted = self._hosted.get(session)
        if hosted is None or hosted.is_gone:
            return False

        hosted.receive(bytes(data))
        return True

    async def poll(
        self, session: str, after: int, saved: Sequence[int], hold_s: float
    ) -> list[tuple[int, bytes]] | None:
        """Return what is new after a batch, as soon as there is something; None to a stranger.

        Args:
            session: The driver's.
            after: The number of the last batch that has arrived.
            saved: Batches that may be forgotten.
            hold_s: After so many seconds the answer is that there is nothing.
        """
        hosted = self._hosted.get(session)
        if hosted is None or hosted.is_gone:
            return None

        hosted.hear(saved)
        with anyio.move_on_after(hold_s):
            while not (batches := _after(hosted, after)) and not hosted.is_gone:
                await self._news.wait()

            return batches

        return []

    async def leave(self, session: str) -> None:
        """Cancel every attempt of a session."""
        self._close(session)

    async def drain(self) -> None:
        """Have nothing new sent here, and wait until all that is made here is saved."""
        for hosted in self._hosted.values():
            hosted.leave()

        while True:
            if all(hosted.has_left for hosted in self._hosted.values()):
                return

            await anyio.sleep(_LOOK_S)

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    def _close(self, session: str) -> None:
        hosted = self._hosted.pop(session, None)
        if hosted is not None:
            hosted.close()

    def _stale(self, boot: Boot) -> str:
        """Return what of a study's code was loaded here in an older version: Python keeps that."""
        older = []
        for name, source in boot.sources.items():
            place = f"{boot.base_dir}: {name}"
            if self._loaded.setdefault(place, source) != source:
                older.append(name)

        return f"older code was loaded here of {', '.join(older)}; restart it" if older else ""


def _after(hosted: HostThread, seq: int) -> list[tuple[int, bytes]]:
    return [batch for batch in list(hosted.batches.items()) if batch[0] > seq]

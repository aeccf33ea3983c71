"""What a Dask worker is taught: to host the agents of a study, and to say what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import anyio
from distributed.diagnostics.plugin import WorkerPlugin

from penstock._base.loop import call_soon_from_threads
from penstock._base.threads import call_in_thread
from penstock.engines.boot import Boot
from penstock.engines.host_thread import HostThread

__all__ = ["HostsAgents"]


class HostsAgents(WorkerPlugin):
    """Lets a driver lease attempts to a Dask worker.

    Every call names the session of the driver: what is said to an earlier one is not heard.
    """

    name = "penstock"

    def setup(self, worker: Any) -> None:
        """Add what the driver calls to what the worker answers."""
        self._session = ""
        self._hosted: HostThread | None = None
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
        self._close()

    async def boot(self, session: str, boot: str) -> dict[str, Any]:
        """Load a study; return how many attempts are made here at once, or why none are."""
        self._close()
        told = Boot.model_validate_json(boot)
        if stale := self._stale(told):
            return {"capacity": 0, "refusal": stale}

        call_soon = call_soon_from_threads()
        self._session = session
        self._hosted = hosted = HostThread(told, partial(call_soon, self._tell))
        await call_in_thread(hosted.wait_until_ready)
        return {"capacity": told.capacity, "refusal": hosted.refusal}

    async def send(self, session: str, data: bytes) -> bool:
        """Do what the driver says; return whether it was heard."""
        if self._hosted is None or session != self._session:
            return False

        self._hosted.receive(bytes(data))
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
        hosted = self._hosted
        if hosted is None or session != self._session:
            return None

        hosted.hear(saved)
        with anyio.move_on_after(hold_s):
            while not (batches := _after(hosted, after)):
                await self._news.wait()

            return batches

        return []

    async def leave(self, session: str) -> None:
        """Cancel every attempt of a session."""
        if session == self._session:
            self._close()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    def _close(self) -> None:
        self._session = ""
        if self._hosted is not None:
            self._hosted.close()
            self._hosted = None

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

"""Who is there of a Dask cluster, as its scheduler says it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio

from penstock._base.loop import OwnTask
from penstock.engines.dask_worker import HostsAgents
from penstock.errors import EngineError, message_of

__all__ = ["Members"]

_LOOK_S = 0.5
_GONE = ("closing", "closed")
"""What a client says of itself where its scheduler does not come back."""


class Members:
    """Hears of workers that come and go, and has each of them taught what it is to do.

    Args:
        client: A client of the scheduler.
        come: Called with the address of a worker that is there.
        go: Called with the address of one that is gone.
        fail: Called where the scheduler is gone: nobody will come.
    """

    def __init__(
        self,
        client: Any,
        come: Callable[[str], None],
        go: Callable[[str], None],
        fail: Callable[[EngineError], None],
    ) -> None:
        self._client = client
        self._come = come
        self._go = go
        self._fail = fail
        self._there: set[str] = set()
        self._watch: OwnTask | None = None

    async def begin(self) -> None:
        """Find those that are there, and hear of others from now on.

        Raises:
            OSError, TimeoutError: the scheduler cannot be reached.
            EngineError: a worker cannot be taught.
        """
        self._address = self._client.scheduler.address
        await self._hear()
        self._watch = OwnTask(self._look(), name="scheduler")

    async def _hear(self) -> None:
        try:
            await self._client.register_plugin(HostsAgents())
        except (OSError, TimeoutError):
            raise
        except Exception as error:  # whatever importing raises where a worker is
            raise EngineError(
                f"a worker of the scheduler at {self._address} cannot make runs "
                f"({message_of(error)}); install penstock[dask] where workers run, as it is here"
            ) from error

        self._client.subscribe_topic("all", self._note)
        found = set((await self._client.scheduler.identity())["workers"])
        for address in self._there - found:
            self._left(address)

        for address in found:
            self._came(address)

    async def _look(self) -> None:
        """Begin again where the scheduler was away; report where it does not come back."""
        was_away = False
        while True:
            await anyio.sleep(_LOOK_S)
            status = self._client.status
            if status in _GONE:
                self._fail(EngineError(f"the scheduler at {self._address} is gone"))
                return

            if status != "running":
                was_away = True
            elif was_away:
                try:
                    was_away = await self._is_away()
                except EngineError as error:
                    self._fail(error)
                    return

    async def _is_away(self) -> bool:
        try:
            await self._hear()
        except (OSError, TimeoutError):
            return True

        return False

    def _note(self, event: tuple[float, dict[str, Any]]) -> None:
        said = event[1]
        if said.get("action") == "add-worker":
            self._came(said["worker"])
        elif said.get("action") == "remove-worker":
            self._left(said["worker"])

    def _came(self, address: str) -> None:
        if address not in self._there:
            self._there.add(address)
            self._come(address)

    def _left(self, address: str) -> None:
        self._there.discard(address)
        self._go(address)

    def close(self) -> None:
        """Hear nothing more."""
        if self._watch is not None:
            self._watch.cancel()
            if self._client.status not in _GONE:
                with suppress(OSError, ValueError):
                    self._client.unsubscribe_topic("all")

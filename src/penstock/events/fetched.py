"""A stream whose events are fetched when its reader asks for them, from wherever they are kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from penstock.events.bus import EventBus, EventStream
from penstock.events.tree import Event

__all__ = ["FetchedStream"]


async def _acknowledge_to_nobody(_: int) -> None: ...


class FetchedStream(EventStream):
    """Gives the events that somebody keeps, to one reader, at the reader's own pace.

    Asking for the next event, or for the next batch, acknowledges those before it.

    Args:
        name: What the reader is called.
        types: Which classes of events are given.
        fetch: Gives the next events, waiting for them where more may come; none at the end.
        acknowledge: Called with the number of the last event that the reader has done with.
    """

    def __init__(
        self,
        name: str,
        types: tuple[type[Event], ...],
        fetch: Callable[[], Awaitable[Sequence[Event]]],
        acknowledge: Callable[[int], Awaitable[None]] = _acknowledge_to_nobody,
    ) -> None:
        super().__init__(EventBus(), name, types, 1024)
        self._fetch = fetch
        self._acknowledge = acknowledge
        self._given: int | None = None

    async def __anext__(self) -> Event:
        await self._acknowledge_given()
        event = await super().__anext__()
        self._given = event.seq
        return event

    async def batch(self, max_size: int = 256, *, linger_s: float = 0.0) -> list[Event]:
        """Return what there is, as `EventStream.batch` does; the batch before is done with."""
        await self._acknowledge_given()
        events = await super().batch(max_size, linger_s=linger_s)
        self._given = events[-1].seq if events else None
        return events

    async def _acknowledge_given(self) -> None:
        given, self._given = self._given, None
        if given is not None:
            await self._acknowledge(given)

    async def _wait(self, count: int) -> None:
        await super()._wait(0)  # others have their turn now and then
        while len(self._events) < count and not self._closed:
            events = await self._fetch()
            if not events:
                self.close()

            self._events.extend(events)

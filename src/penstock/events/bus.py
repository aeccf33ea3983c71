"""The event bus: publishing never waits; whoever is about to *start* something does.

Each reader has a mailbox of its own. A lossless reader loses nothing and, when too far behind,
closes the gate at which new runs wait (`EventBus.ready`). A lossy one drops its oldest events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import anyio
import anyio.lowlevel

from penstock.errors import ValidationError
from penstock.events.tree import Event

__all__ = ["EventBus", "EventStream", "Subscriber"]

_IN_A_ROW = 256
"""Events a reader takes in a row before the rest of the event loop has its turn."""


class EventStream:
    """The events one reader asked for, in order: ``async for event in stream``.

    It has one reader, and ends when the bus closes it and everything in it was read. As a context
    manager it is closed at the end of the block.
    """

    def __init__(self, bus: EventBus, name: str, types: tuple[type[Event], ...], size: int) -> None:
        self.name = name
        self.types = types
        self.size = size
        self.dropped = 0
        self._bus = bus
        self._events: deque[Event] = deque()
        self._arrived = anyio.Event()
        self._wanted = 0
        self._in_a_row = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._events)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if not self._events or self._in_a_row >= _IN_A_ROW:
            await self._wait(1)
            if not self._events:
                raise StopAsyncIteration

        self._in_a_row += 1
        event = self._events.popleft()
        self._bus._caught_up(self)  # noqa: SLF001 - a stream and its bus are one thing
        return event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def batch(self, max_size: int = 256, *, linger_s: float = 0.0) -> list[Event]:
        """Return what has arrived, waiting for at least one event; empty when the stream has ended.

        Args:
            max_size: How many events at most, 1 or more.
            linger_s: How long to wait for ``max_size`` of them once one is there. The wait ends
                before the stream is so full that it holds the study up, or drops events.

        Raises:
            ValueError: ``max_size`` is less than 1.
        """
        if max_size < 1:
            raise ValueError(f"max_size must be >= 1, not {max_size!r}")

        await self._wait(1)
        if linger_s and len(self._events) < max_size and not self._closed:
            with anyio.move_on_after(linger_s):
                await self._wait(min(max_size, self._full_at))

        return self._take(max_size)

    def unread(self) -> list[Event]:
        """Return what has arrived and is not taken yet; it stays in the stream."""
        return list(self._events)

    def close(self) -> None:
        """Stop receiving events; what has arrived can still be read."""
        self._closed = True
        self._bus._forget(self)  # noqa: SLF001 - a stream and its bus are one thing
        self._arrived.set()

    @property
    def _full_at(self) -> int:
        """How many unread events are one too many."""
        return self.size + 1

    def _put(self, event: Event) -> None:
        self._events.append(event)
        unread = len(self._events)
        if unread == self._wanted:
            self._arrived.set()

        if unread > self.size:
            self._bus._fell_behind(self)  # noqa: SLF001

    async def _wait(self, count: int) -> None:
        """Wait for so many events, or for the end; others have their turn now and then."""
        if self._in_a_row >= _IN_A_ROW:
            self._in_a_row = 0
            await anyio.lowlevel.checkpoint()

        if len(self._events) >= count or self._closed:
            return

        self._in_a_row = 0
        self._wanted, self._arrived = count, anyio.Event()  # a stream has one reader
        try:
            await self._arrived.wait()
        finally:
            self._wanted = 0

    def _take(self, count: int) -> list[Event]:
        events = self._events
        if len(events) <= count:
            taken = list(events)
            events.clear()
        else:
            taken = [events.popleft() for _ in range(count)]

        self._in_a_row += len(taken)
        self._bus._caught_up(self)  # noqa: SLF001
        return taken


class _LossyStream(EventStream):
    @property
    def _full_at(self) -> int:
        return self.size

    def _put(self, event: Event) -> None:
        if len(self._events) >= self.size:
            self._events.popleft()
            self.dropped += 1

        super()._put(event)


class EventBus:
    """Hands every published event to the streams that asked for its class or a parent of it."""

    def __init__(self) -> None:
        self._streams: list[EventStream] = []
        self._routes: dict[type[Event], tuple[Callable[[Event], None], ...]] = {}
        self._behind: EventStream | None = None
        self._gate = anyio.Event()
        self._closed = False

    def open(
        self, *types: type[Event], size: int = 1024, lossy: bool = False, name: str = ""
    ) -> EventStream:
        """Open a stream of events of these classes and their subclasses; of all, if none are given.

        A stream of a bus that is closed has ended.

        Args:
            types: Classes of events.
            size: How many unread events are too many: a lossy stream drops its oldest beyond it,
                a lossless one holds new runs back.
            lossy: Whether events may be dropped.
            name: What the reader is called in events and logs.

        Raises:
            ValidationError: ``size`` is less than 1.
        """
        if not size >= 1:
            raise ValidationError([f"the size of an event stream must be >= 1, not {size!r}"])

        kind = _LossyStream if lossy else EventStream
        stream = kind(self, name, types or (Event,), size)
        if self._closed:
            stream.close()
        else:
            self._streams.append(stream)
            self._routes.clear()

        return stream

    @property
    def is_closed(self) -> bool:
        """Whether nothing is said any more."""
        return self._closed

    def has_readers(self, kind: type[Event]) -> bool:
        """Return whether anyone reads events of a class; one that nobody reads need not be made."""
        route = self._routes.get(kind)
        return bool(self._route(kind) if route is None else route)

    def publish(self, event: Event) -> None:
        """Deliver an event to every stream that is open for it; never waits and never fails."""
        kind = type(event)
        for put in self._routes.get(kind) or self._route(kind):
            put(event)

    def laggard(self) -> EventStream | None:
        """Return the name of a lossless stream that is too far behind, if there is one."""
        return self._behind

    async def ready(self) -> None:
        """Wait while a lossless reader is too far behind."""
        while self.laggard() is not None:
            if self._gate.is_set():  # never replaced while someone waits on it
                self._gate = anyio.Event()

            await self._gate.wait()

    def close(self) -> None:
        """End every stream, those opened later too; what has arrived can still be read."""
        self._closed = True
        for stream in list(self._streams):
            stream.close()

    def _route(self, kind: type[Event]) -> tuple[Callable[[Event], None], ...]:
        route = self._routes.get(kind)
        if route is None:
            streams = (stream for stream in self._streams if issubclass(kind, stream.types))
            route = tuple(stream._put for stream in streams)  # noqa: SLF001
            self._routes[kind] = route

        return route

    def _fell_behind(self, stream: EventStream) -> None:
        if self._behind is None:
            self._behind = stream

    def _caught_up(self, stream: EventStream) -> None:
        if stream is self._behind and len(stream) <= stream.size:
            self._find_laggard()

    def _find_laggard(self) -> None:
        # A lossy stream is never behind: it has dropped what would be too much.
        self._behind = next((each for each in self._streams if len(each) > each.size), None)
        if self._behind is None:
            self._gate.set()

    def _forget(self, stream: EventStream) -> None:
        if stream in self._streams:
            self._streams.remove(stream)
            self._routes.clear()

        if stream is self._behind:
            self._find_laggard()


Subscriber = Callable[[EventStream], Awaitable[None]]
"""A coroutine function that reads a stream to its end."""

"""Subscribers at work: each in a task of its own; whoever raises is switched off, not the study."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import anyio
from anyio.abc import TaskGroup

from penstock._base.loop import was_asked_to_cancel
from penstock.errors import SubscriberError, message_of
from penstock.events.bus import EventBus, EventStream, Subscriber
from penstock.events.tree import Event, StudyWaiting, SubscriberFailed

__all__ = ["PATIENCE_S", "Listener", "Listeners", "one_by_one"]


PATIENCE_S = 1.0
"""How long a subscriber may hold a study up before the study says so."""


class Listener(NamedTuple):
    """A subscriber and what it listens to; ``size`` events that it has not read are too many."""

    subscriber: Subscriber
    types: tuple[type[Event], ...] = ()
    critical: bool = False
    size: int = 1024

    @property
    def name(self) -> str:
        """What the subscriber is called in events and logs."""
        function = self.subscriber
        name = getattr(function, "__qualname__", type(function).__qualname__)
        return f"{function.__module__}.{name.removesuffix('.<locals>.subscriber')}"


class _AtWork(NamedTuple):
    stream: EventStream
    scope: anyio.CancelScope
    done: anyio.Event


class Listeners:
    """The subscribers of one study while it runs.

    Args:
        bus: Where they listen.
        announce: Says `SubscriberFailed`.
        on_critical: Called when a critical subscriber has failed.
    """

    def __init__(
        self, bus: EventBus, announce: Callable[..., None], on_critical: Callable[[str], None]
    ) -> None:
        self.failure: SubscriberError | None = None
        self._bus = bus
        self._announce = announce
        self._on_critical = on_critical
        self._at_work: list[tuple[Listener, _AtWork]] = []  # a subscriber may be unhashable

    def start(self, group: TaskGroup, listener: Listener) -> None:
        """Let a subscriber begin; it hears everything from here on."""
        stream = self._bus.open(*listener.types, size=listener.size, name=listener.name)
        at_work = _AtWork(stream, anyio.CancelScope(), anyio.Event())
        self._at_work.append((listener, at_work))
        group.start_soon(self._listen, listener, at_work, name=listener.name)

    async def finish(self, *listeners: Listener) -> None:
        """Close the streams of these subscribers (of all, without any) and wait for their ends."""
        waited_for = [
            at_work
            for listener, at_work in self._at_work
            if not listeners or any(listener is each for each in listeners)
        ]
        for stream, _, _ in waited_for:
            stream.close()

        for stream, _, done in waited_for:
            with anyio.move_on_after(PATIENCE_S):
                await done.wait()

            if not done.is_set() and len(stream):
                self._announce(StudyWaiting, subscriber=stream.name, behind=len(stream))

            await done.wait()

    def name_of(self, task: Any) -> str | None:
        """Tell which subscriber a task belongs to, if to one; any thread may ask."""
        name = None if task is None else task.get_name()
        return name if any(name == listener.name for listener, _ in self._at_work) else None

    def gate(self) -> Awaitable[None] | None:
        """Give what the next run must wait for: None, or for a subscriber to catch up."""
        laggard = self._bus.laggard()
        return None if laggard is None else self._caught_up(laggard)

    async def _caught_up(self, laggard: EventStream) -> None:
        with anyio.move_on_after(PATIENCE_S):
            await self._bus.ready()
            return

        self._announce(StudyWaiting, subscriber=laggard.name, behind=len(laggard))
        await self._bus.ready()

    def cancel(self, grace_s: float) -> None:
        """Cancel subscribers that have not ended after a grace; critical ones may finish."""
        for listener, at_work in self._at_work:
            if not listener.critical:
                at_work.scope.deadline = anyio.current_time() + grace_s

    async def _listen(self, listener: Listener, at_work: _AtWork) -> None:
        try:
            with at_work.scope:
                await listener.subscriber(at_work.stream)
        except BaseException as error:
            if was_asked_to_cancel():
                raise

            self._report(listener, error)
        finally:
            at_work.stream.close()
            at_work.done.set()

    def _report(self, listener: Listener, error: BaseException) -> None:
        said = f"{type(error).__name__}: {message_of(error)}"
        self._announce(
            SubscriberFailed,
            subscriber=listener.name,
            error=said,
            critical=listener.critical,
            traceback="".join(traceback.format_exception(error)),
        )
        if listener.critical and self.failure is None:
            self.failure = SubscriberError(
                f"{listener.name} failed, and the study cannot go on without it: {said}"
            )
            self.failure.__cause__ = error
            self._on_critical(str(self.failure))


def one_by_one(function: Callable[[Any], Any]) -> Subscriber:
    """Make a subscriber of a plain or async function that takes one event."""

    async def subscriber(stream: EventStream) -> None:
        async for event in stream:
            answer = function(event)
            if answer is not None and inspect.isawaitable(answer):
                await answer

    subscriber.__module__ = getattr(function, "__module__", __name__)
    subscriber.__qualname__ = getattr(function, "__qualname__", type(function).__name__)
    return subscriber

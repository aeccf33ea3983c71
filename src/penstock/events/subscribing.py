"""Subscribers at work, each in its own task: one that raises is switched off, the study goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

import anyio

from penstock._base.loop import (
    OwnTask,
    call_later,
    calling_later,
    has_loop,
    is_closed_by,
    undisturbed,
)
from penstock._base.tracebacks import traceback_of
from penstock.errors import SubscriberError, message_of
from penstock.events.bus import EventBus, EventStream, Subscriber
from penstock.events.tree import Event, StudyWaiting, SubscriberFailed

__all__ = ["LEFT_AFTER_S", "Subscribers", "Subscription"]


_SAID_AFTER_S = 1.0
"""How long a subscriber may hold a study up before the study says so."""

LEFT_AFTER_S = 1.0
"""How long a subscriber may take to end after it was cancelled; then it is left behind."""


class Subscription(NamedTuple):
    """A subscriber and the events it subscribes to.

    Args:
        subscriber: A coroutine function over a stream of events.
        types: Classes of events; all, without any.
        critical: Whether the study cannot go on without it.
        size: How many events that it has not read are too many.
        is_waited_for: Whether it may take as long as it needs, also after a cancellation.
    """

    subscriber: Subscriber
    types: tuple[type[Event], ...] = ()
    critical: bool = False
    size: int = 1024
    is_waited_for: bool = False

    @property
    def name(self) -> str:
        """What the subscriber is called in events and logs."""
        function = self.subscriber
        name = getattr(function, "__qualname__", type(function).__qualname__)
        return f"{function.__module__}.{name.removesuffix('.<locals>.subscriber')}"


class _AtWork:
    """A subscriber at work."""

    def __init__(self, subscription: Subscription, stream: EventStream) -> None:
        self.subscription = subscription
        self.stream = stream
        self.is_over = anyio.Event()
        self.task: OwnTask | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether its study has cancelled it; a cancellation from elsewhere is a failure."""
        return self.task is not None and self.task.is_cancelled


class Subscribers:
    """The subscribers of one study while it runs.

    Args:
        bus: Where they read events.
        announce: Says `SubscriberFailed`.
        on_critical: Called when a critical subscriber has failed.
        on_interrupt: Called when Ctrl-C was pressed during a step of a subscriber.
    """

    def __init__(
        self,
        bus: EventBus,
        announce: Callable[..., None],
        on_critical: Callable[[str], None],
        on_interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        self.failure: SubscriberError | None = None
        self._bus = bus
        self._announce = announce
        self._on_critical = on_critical
        self._on_interrupt = on_interrupt
        self._at_work: list[_AtWork] = []  # a subscriber may be unhashable
        self._grace_s: float | None = None  # once they are cancelled

    def start(self, subscription: Subscription) -> None:
        """Start a subscriber; it gets every event from here on."""
        stream = self._bus.open(*subscription.types, size=subscription.size, name=subscription.name)
        at_work = _AtWork(subscription, stream)
        self._at_work.append(at_work)
        on_end = partial(self._end_unbegun, at_work)
        at_work.task = OwnTask(self._read(at_work), name=subscription.name, on_end=on_end)
        self._limit_grace()

    async def finish(self, *subscriptions: Subscription) -> None:
        """Close the streams of these subscribers, or of all, and wait for their ends."""
        waited_for = [
            at_work
            for at_work in self._at_work
            if not subscriptions or any(at_work.subscription is each for each in subscriptions)
        ]
        for at_work in waited_for:
            at_work.stream.close()

        for at_work in waited_for:
            with calling_later(_SAID_AFTER_S, self._say_waiting, at_work.stream):
                await undisturbed(at_work.is_over.wait)

    def name_of(self, task: Any) -> str | None:
        """Return the name of the subscriber that a task belongs to, if any; thread-safe."""
        name = None if task is None else task.get_name()
        return name if any(name == each.subscription.name for each in self._at_work) else None

    def gate(self) -> Awaitable[None] | None:
        """Return what the next run must wait for: None, or for a subscriber to catch up."""
        laggard = self._bus.laggard()
        return None if laggard is None else self._caught_up(laggard)

    async def _caught_up(self, laggard: EventStream) -> None:
        with anyio.move_on_after(_SAID_AFTER_S):
            await self._bus.ready()
            return

        self._say_waiting(laggard)
        await self._bus.ready()

    def _say_waiting(self, stream: EventStream) -> None:
        if len(stream):
            self._announce(StudyWaiting, subscriber=stream.name, behind=len(stream))

    def cancel(self, grace_s: float) -> None:
        """Cancel subscribers that have not ended after a grace, those that start later included.

        One that ignores its cancellation is left behind soon after. A subscriber that is waited for
        may finish.
        """
        if self._grace_s is None:
            self._grace_s = grace_s
            self._limit_grace()

    def _limit_grace(self) -> None:
        """Schedule the cancellation of the rest; one that starts later has its own grace."""
        if self._grace_s is not None and has_loop():
            call_later(self._grace_s, self._cancel_rest)
            call_later(self._grace_s + LEFT_AFTER_S, self._leave_rest_behind)

    def _rest(self) -> list[_AtWork]:
        return [
            each
            for each in self._at_work
            if not each.subscription.is_waited_for and not each.is_over.is_set()
        ]

    def _cancel_rest(self) -> None:
        for at_work in self._rest():
            if at_work.task is not None:
                at_work.task.cancel()

    def _leave_rest_behind(self) -> None:
        for at_work in self._rest():
            self._end(at_work, _LeftBehind("it ignored its cancellation and was left behind"))

    async def _read(self, at_work: _AtWork) -> None:
        error: BaseException | None = None
        try:
            await at_work.subscription.subscriber(at_work.stream)
        except BaseException as raised:
            if is_closed_by(raised):
                raise

            error = raised

        self._end(at_work, error)

    def _end_unbegun(self, at_work: _AtWork) -> None:
        """End a subscriber whose task was cancelled before its first step."""
        if at_work.task is not None:
            self._end(at_work, at_work.task.failure)

    def _end(self, at_work: _AtWork, error: BaseException | None) -> None:
        if at_work.is_over.is_set():
            return

        at_work.stream.close()
        at_work.is_over.set()
        if isinstance(error, KeyboardInterrupt):
            self._on_interrupt()

        # A subscriber that its study has cancelled may raise whatever it likes.
        is_ordered = at_work.is_cancelled and not isinstance(error, _LeftBehind)
        if error is not None and not is_ordered:
            self._report(at_work.subscription, error)

    def _report(self, subscription: Subscription, error: BaseException) -> None:
        kind = "" if isinstance(error, _LeftBehind) else f"{type(error).__name__}: "
        said = f"{kind}{message_of(error)}"
        self._announce(
            SubscriberFailed,
            subscriber=subscription.name,
            error=said,
            critical=subscription.critical,
            traceback=traceback_of(error),
        )
        if subscription.critical and self.failure is None:
            self.failure = SubscriberError(
                f"{subscription.name} failed, and the study cannot go on without it: {said}"
            )
            self.failure.__cause__ = error
            self._on_critical(str(self.failure))


class _LeftBehind(Exception):  # noqa: N818 - said, never raised
    """Why a subscriber is over that goes on."""

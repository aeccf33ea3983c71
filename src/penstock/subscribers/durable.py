"""Durable subscribers: they hear what is saved, and the store keeps how far they have come.

One reads from the store at its own pace, and the bus only says that there is more to read. So it
hears what was saved while it was down, in whichever session, and never holds a study up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf
from pathlib import Path
from time import monotonic

import anyio

from penstock._base.logger import logger
from penstock._base.loop import OwnTask
from penstock._base.threads import call_in_thread
from penstock._base.tracebacks import traceback_of
from penstock.errors import BindingError, message_of
from penstock.events.bus import EventStream, Subscriber
from penstock.events.fetched import FetchedStream
from penstock.events.subscribing import Subscription
from penstock.events.tree import (
    ActionTaken,
    Event,
    RunsSaved,
    StudyFinished,
    StudyStarted,
    SubscriberFailed,
)
from penstock.store.layout import refuse_older
from penstock.store.reader import StoreReader
from penstock.store.told_again.places import keep_place, place_of
from penstock.store.told_again.retelling import Retelling
from penstock.store.told_again.telling import kept_types

__all__ = ["Delivery", "delivered", "named_kinds"]

_TOLD_BY = (StudyStarted, RunsSaved, ActionTaken, StudyFinished)
"""After these there may be more to read."""

_LAST_WAIT_S = 10.0
"""So long a study waits at its end for one that has not heard everything."""

_KEEP_EVERY_S = 0.2
"""A place is kept as often at most; what was done with since is heard again after a kill."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
"""How long one that failed is left alone: twice as long each time, until it has done with one."""


def delivered(
    subscription: Subscription, name: str, directory: Path, announce: Callable[..., None]
) -> Subscription:
    """Make a subscription durable.

    Args:
        subscription: Who wants to hear what.
        name: Under which the subscriber's place is kept.
        directory: The study's output directory.
        announce: Says `SubscriberFailed`.

    Raises:
        BindingError: the name is empty, or such events are not kept.
    """
    kinds = named_kinds(name, subscription.types)

    async def subscriber(stream: EventStream) -> None:
        delivery = Delivery(directory, kinds, name)
        with anyio.CancelScope() as scope:
            teller = OwnTask(_tell_of_more(stream, delivery, scope))
            try:
                await _call_until_done(subscription, delivery, announce)
            finally:
                teller.cancel()
                await delivery.aclose()

        if not delivery.is_all_heard:
            log = logger()
            log.warning("subscriber.behind", subscriber=name, acknowledged=delivery.acknowledged)

    subscriber.__module__, subscriber.__qualname__ = _names_of(subscription.subscriber)
    return subscription._replace(subscriber=subscriber, types=_TOLD_BY)


def named_kinds(name: str, types: Iterable[type[Event] | str]) -> tuple[type[Event], ...]:
    """Return the classes of events that a durable subscriber hears.

    Raises:
        BindingError: its name is empty, no event has that name, or such events are not kept.
    """
    if not name.strip():
        raise BindingError("a durable subscriber needs a name, under which its place is kept")

    return kept_types(types)


def _names_of(function: Subscriber) -> tuple[str, str]:
    kind = type(function)
    module = getattr(function, "__module__", kind.__module__)
    return module, getattr(function, "__qualname__", kind.__qualname__)


async def _tell_of_more(stream: EventStream, delivery: Delivery, scope: anyio.CancelScope) -> None:
    """Signal whenever there may be more to read; soon after the end, cut the reader off."""
    async for _ in stream:
        delivery.note_more()

    delivery.note_end()
    await anyio.sleep(_LAST_WAIT_S)
    scope.cancel()


async def _call_until_done(
    subscription: Subscription, delivery: Delivery, announce: Callable[..., None]
) -> None:
    """Call a subscriber again from its place whenever it has failed, after a pause."""
    pause_s = _FIRST_PAUSE_S
    while True:
        done_with = delivery.acknowledged
        try:
            await subscription.subscriber(await delivery.stream())
        except Exception as error:
            if subscription.critical:
                raise

            if delivery.acknowledged > done_with:
                pause_s = _FIRST_PAUSE_S

            announce(
                SubscriberFailed,
                subscriber=subscription.name,
                error=f"{type(error).__name__}: {message_of(error)} (it is called again from "
                f"event {delivery.acknowledged + 1} in {pause_s:g} s)",
                critical=False,
                traceback=traceback_of(error),
            )
        else:
            return

        await anyio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


class Delivery:
    """Gives one reader what a store holds, and keeps how much of it the reader has done with.

    Args:
        directory: The study's output directory.
        kinds: Classes of events, of those that can be told again.
        name: Under which the reader's place is kept; without one it begins at the beginning.
    """

    def __init__(
        self, directory: Path, kinds: tuple[type[Event], ...], name: str | None = None
    ) -> None:
        self.acknowledged = 0
        self.is_all_heard = False
        self._directory = directory
        self._kinds = kinds
        self._name = name
        self._store: StoreReader | None = None
        self._seq = self._kept = 0
        self._kept_at = -inf
        self._is_over = False
        self._more = anyio.Event()

    def note_more(self) -> None:
        """Note that there may be more to read."""
        self._more.set()

    def note_end(self) -> None:
        """Note that nothing more is saved: whoever has read everything is at the end."""
        self._is_over = True
        self._more.set()

    async def stream(self) -> EventStream:
        """Return a stream that begins after the last event that was done with.

        Raises:
            StoreError: the store cannot be read.
        """
        if self._store is None:
            await call_in_thread(self._open)

        self._seq = self.acknowledged
        return FetchedStream(self._name or "replay", self._kinds, self._fetch, self._acknowledge)

    async def aclose(self) -> None:
        """Keep the place, and close the store; whoever cancels it."""
        await call_in_thread(self._close)

    def _open(self) -> None:
        self._store = store = StoreReader(self._directory)
        if self._name is not None:
            refuse_older(self._directory, store.layout)
            self.acknowledged = self._kept = place_of(store, self._name)

        self._retelling = Retelling(store, self._kinds)

    def _close(self) -> None:
        self._keep()
        if self._store is not None:
            self._store.close()

    async def _fetch(self) -> Sequence[Event]:
        while True:
            self._more = anyio.Event()  # before it is read: nothing is said in vain
            is_over = self._is_over
            told = await call_in_thread(partial(self._retelling.after, self._seq))
            self._seq = told.seq
            if told.events:
                return told.events

            if told.is_all and is_over:
                self.is_all_heard = True
                return ()

            if told.is_all:
                await self._more.wait()

    async def _acknowledge(self, seq: int) -> None:
        self.acknowledged = seq
        if monotonic() - self._kept_at >= _KEEP_EVERY_S:
            await call_in_thread(self._keep)

    def _keep(self) -> None:
        if self._name is not None and self.acknowledged > self._kept:
            keep_place(self._directory, self._name, self.acknowledged)
            self._kept, self._kept_at = self.acknowledged, monotonic()

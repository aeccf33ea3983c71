"""Checkpoint: every attempt into the store, in groups; then it says that they are saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from penstock.errors import StoreError
from penstock.events.bus import EventStream, Subscriber
from penstock.events.tree import Event, RunFinished, RunRetried, RunsSaved
from penstock.store.writer import Store

__all__ = ["EVENTS", "GROUP", "checkpoint"]

EVENTS = (RunFinished, RunRetried)

GROUP = 256
"""So many attempts are saved at once, and as many may wait before no more are started."""

_LINGER_S = 0.02


def checkpoint(store: Store, announce: Callable[..., None]) -> Subscriber:
    """Make the subscriber that keeps what was paid for.

    A group is what arrived while the one before was written, at most 256 attempts; the first of
    a group waits at most 20 ms for others.

    Args:
        store: Where attempts are saved.
        announce: Says `RunsSaved` once a group survives a crash.
    """

    async def save(events: Sequence[Event]) -> None:
        try:
            await store.save(
                [
                    (event.result, isinstance(event, RunFinished))
                    for event in events
                    if isinstance(event, (RunFinished, RunRetried))
                ]
            )
        except StoreError:
            if len(events) == 1:
                raise

            middle = len(events) // 2  # what still has room on a full disk is kept
            await save(events[:middle])
            await save(events[middle:])
            return

        announce(
            RunsSaved,
            run_ids=tuple(event.run_id for event in events if isinstance(event, RunFinished)),
        )

    async def subscriber(stream: EventStream) -> None:
        try:
            while events := await stream.batch(GROUP, linger_s=_LINGER_S):
                await save(events)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):  # what has arrived is paid for
                stream.close()
                while events := await stream.batch(GROUP):
                    await save(events)

            raise

    return subscriber

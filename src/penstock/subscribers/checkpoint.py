"""Checkpoint: every attempt into the store, in groups; then it says that they are saved."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from penstock._base.loop import undisturbed
from penstock.errors import StoreError
from penstock.events.bus import EventStream, Subscriber
from penstock.events.subscribing import Subscription
from penstock.events.tree import (
    Event,
    RunAnswered,
    RunCancelled,
    RunFinished,
    RunRetried,
    RunsSaved,
)
from penstock.results import RunResult, RunStage, RunStatus
from penstock.running.failures import error_of
from penstock.store.announced import Waits
from penstock.store.writer import Store

__all__ = ["EVENTS", "GROUP", "Unsaved", "checkpoint", "saving"]

EVENTS = (RunFinished, RunAnswered, RunRetried, RunCancelled)

GROUP = 256
"""So many attempts are saved at once, and as many may wait before no more are started."""

_LINGER_S = 0.02


@dataclass(slots=True)
class Unsaved:
    """What has ended and may not be saved yet, for a process that cannot wait for its event loop.

    Attributes:
        store: Where the checkpoint saves; None before it begins.
        stream: What waits for it.
        in_hand: What it has taken, until that is saved.
        is_over: Whether all was saved for a process that leaves: the checkpoint writes no more.
    """

    store: Store | None = None
    stream: EventStream | None = None
    in_hand: Sequence[Event] = ()
    is_over: bool = False

    def save(self) -> int:
        """Save it from any thread, or from a signal's handler; return how many attempts were.

        Raises:
            sqlite3.Error: the store cannot be written.
        """
        if self.store is None or self.stream is None:
            return 0

        events = [*self.in_hand, *self.stream.unread()]
        saved = self.store.save_at_once([*_attempts(events)], _waits(events))
        self.is_over = True
        return saved


def saving(
    store: Store,
    announce: Callable[..., None],
    unsaved: Unsaved,
    on_saved: Callable[[Sequence[Event]], None],
) -> Subscription:
    """Return the subscription of `checkpoint`, which is given the same.

    Nobody need pay for what cannot be kept, so the study stops where it fails.
    """
    subscriber = checkpoint(store, announce, unsaved, on_saved)
    return Subscription(subscriber, EVENTS, size=GROUP, critical=True, is_waited_for=True)


def checkpoint(
    store: Store,
    announce: Callable[..., None],
    unsaved: Unsaved | None = None,
    on_saved: Callable[[Sequence[Event]], None] = lambda _: None,
) -> Subscriber:
    """Make the subscriber that keeps what was paid for.

    A group is what arrived while the one before was written, at most 256 attempts; the first of
    a group waits at most 20 ms for others. It ends when its stream does, whoever cancels it.

    Args:
        store: Where attempts are saved.
        announce: Says `RunsSaved` once a group survives a crash.
        unsaved: Shows what is not saved yet.
        on_saved: Called with the events whose attempts are saved.
    """
    unsaved = unsaved or Unsaved()

    async def save(events: Sequence[Event]) -> None:
        attempts = [*_attempts(events)]
        try:
            summary = await undisturbed(partial(store.save, attempts, _waits(events)))
        except Exception as error:
            if unsaved.is_over:
                return  # they were saved meanwhile

            if len(events) > 1:
                middle = len(events) // 2  # what can be saved is: each alone, if need be
                await save(events[:middle])
                await save(events[middle:])
                return

            if not _is_of_the_result(error):
                raise  # the disk is full, or gone

            (result, final), *_ = attempts
            if result.status is RunStatus.SCORING:
                return  # what cannot be stored is told where the attempt ends

            refused = [(_refused(result, error), final)]
            summary = await undisturbed(partial(store.save, refused, _waits(events)))

        on_saved(events)
        announce(
            RunsSaved,
            run_ids=tuple(event.run_id for event in events if isinstance(event, RunFinished)),
            summary=summary,
        )

    async def subscriber(stream: EventStream) -> None:
        unsaved.store, unsaved.stream = store, stream
        while events := await undisturbed(partial(stream.batch, GROUP, linger_s=_LINGER_S)):
            if unsaved.is_over:
                continue  # what ends now was cut off, and these are saved

            unsaved.in_hand = events
            await save(events)
            unsaved.in_hand = ()

    return subscriber


def _attempts(events: Sequence[Event]) -> Iterator[tuple[RunResult, bool]]:
    """Yield the attempts that are to be saved, and whether each is the result of its run.

    An answer that was scored while its group came together is written once.
    """
    ends = (RunFinished, RunRetried, RunCancelled)
    ended = {
        (event.run_id, event.result.attempt)
        for event in events
        if isinstance(event, ends) and event.result is not None
    }
    for event in events:
        if isinstance(event, RunFinished):
            yield event.result, True
        elif isinstance(event, RunAnswered):
            if (event.run_id, event.result.attempt) not in ended:
                yield event.result, False
        elif isinstance(event, (RunRetried, RunCancelled)) and event.result is not None:
            yield event.result, False


def _waits(events: Sequence[Event]) -> Waits:
    """Return how long runs wait that are tried again, by run and attempt."""
    retried = (event for event in events if isinstance(event, RunRetried))
    return {(event.run_id, event.result.attempt): event.wait_s for event in retried}


def _is_of_the_result(error: Exception) -> bool:
    """Return whether a result cannot be written because of what it holds."""
    if not isinstance(error, StoreError):
        return True

    cause = error.__cause__
    return isinstance(cause, (sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError))


def _refused(result: RunResult, error: Exception) -> RunResult:
    """Make a failure of a result that cannot be stored; what it has cost is kept."""
    amounts = {name: _amount(result.metrics.get(name)) for name in _AMOUNTS}
    return result.model_copy(
        update={
            "status": RunStatus.FAILED,
            "outputs_json": "{}",
            "metrics": amounts,
            "evaluations": (),
            "reported": (),
            "trace_refs": (),
            "provenance": {},
            "error": error_of(error, RunStage.OUTPUT),
        }
    )


_AMOUNTS = ("cost_usd", "input_tokens", "output_tokens")
_LARGEST = 2**53


def _amount(value: object) -> int | float:
    return value if isinstance(value, (int, float)) and abs(value) <= _LARGEST else 0

"""How many runs of a study may be in flight: a number, or as many as its agents keep up with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from operator import index
from time import monotonic
from typing import Any, Literal

import anyio

from penstock._base.loop import call_later, has_loop
from penstock._base.open_files import most_files
from penstock.errors import ValidationError
from penstock.events.bus import EventStream
from penstock.events.subscribing import Subscription
from penstock.events.tree import LimitChanged, RunFinished, RunRetried, RunStarted, RunSucceeded
from penstock.running.automatic_limit import INITIAL, AutomaticLimit, refusal_of
from penstock.running.scheduler import Scheduler

__all__ = ["Parallelism", "first_limit"]

_MOST = 1000
"""Where it ends by itself: a thousand runs in flight hold some memory and a connection each."""

_BY_HOST = "set by the host"

_OTHER_FILES = 64
"""Open files that are left to the store, the exports and the host."""


def first_limit(wanted: int | Literal["auto"]) -> int:
    """Return the number of runs that may be in flight at first."""
    return min(INITIAL, most_in_flight()) if wanted == "auto" else wanted


def _checked(limit: int) -> int:
    try:
        whole = index(limit)
    except TypeError:
        whole = 0

    if whole < 1:
        raise ValidationError([f"concurrency must be a whole number >= 1, not {limit!r}"])

    return whole


def most_in_flight() -> int:
    """Return how many runs an automatic limit may grow to: each may hold a connection open."""
    files = most_files()
    return _MOST if files is None else max(1, min(_MOST, files - _OTHER_FILES))


class Parallelism:
    """Sets the limit of a scheduler, as the host says or as it turns out.

    Args:
        wanted: A number, or ``"auto"``.
        scheduler: Whose limit it is.
        announce: Says `LimitChanged`.
    """

    def __init__(
        self,
        wanted: int | Literal["auto"],
        scheduler: Scheduler[Any],
        announce: Callable[..., None],
    ) -> None:
        self._scheduler = scheduler
        self._announce = announce
        self._is_to_say = False
        self._automatic: AutomaticLimit | None = None
        if wanted == "auto":
            self._automatic = AutomaticLimit(most_in_flight(), self.say)

    @property
    def subscriptions(self) -> list[Subscription]:
        """The subscriber that adapts the limit; none where it is a number."""
        if self._automatic is None:
            return []

        return [Subscription(self._adapt, (RunStarted, RunRetried, RunFinished))]

    def hold_at(self, limit: int) -> None:
        """Set the limit; from then on it is not automatic.

        Changes are said, once a turn of the event loop: a subscriber that sets the limit at each
        event that it reads, this one included, does not feed itself without end.

        Raises:
            ValidationError: it is not a whole number, or less than 1.
        """
        limit = _checked(limit)
        is_changed = self._automatic is not None or limit != self._scheduler.limit
        self._automatic = None
        if is_changed:
            self._scheduler.limit = limit
            self._say_held()

    def _say_held(self) -> None:
        if not has_loop():  # the study has not begun
            self.say(self._scheduler.limit, _BY_HOST)
        elif not self._is_to_say:
            self._is_to_say = True
            call_later(0.0, self._say_now)

    def _say_now(self) -> None:
        self._is_to_say = False
        self.say(self._scheduler.limit, _BY_HOST)

    def gate(self) -> Awaitable[None] | None:
        """Return what the next run must wait for: the end of a pause, or None."""
        if self._automatic is None:
            return None

        pause_s = self._automatic.paused_until - monotonic()
        return anyio.sleep(pause_s) if pause_s > 0 else None

    async def _adapt(self, stream: EventStream) -> None:
        automatic = self._automatic
        if automatic is not None:
            self.say(automatic.value, f"automatic; it grows to {most_in_flight():,} at most")

        while automatic is not None and (events := await stream.batch()):
            now = monotonic()
            for event in events:
                if isinstance(event, RunStarted):
                    automatic.started(event.run_id, now)
                elif isinstance(event, (RunRetried, RunFinished)):
                    automatic.ended(
                        event.run_id,
                        now,
                        refusal=refusal_of(event.result),
                        succeeded=isinstance(event, RunSucceeded),
                    )

            automatic = self._automatic  # a host that sets the limit ends this
            if automatic is not None and automatic.value != self._scheduler.limit:
                self._scheduler.limit = automatic.value

    def say(self, limit: int, reason: str, *, endpoint: str | None = None) -> None:
        """Announce that a limit changed: that of the runs, or of the calls to an endpoint."""
        self._announce(LimitChanged, limit=limit, reason=reason, endpoint=endpoint)

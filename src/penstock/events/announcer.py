"""The announcer: numbers events, dates them, and publishes those that somebody reads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

from penstock._base.fact import unchecked
from penstock.events.bus import EventBus
from penstock.events.tree import Event

__all__ = ["Announcer"]


class Announcer:
    """Numbers and dates events and publishes them; one that nobody reads is not even made."""

    def __init__(self, bus: EventBus, study_id: str) -> None:
        self._bus = bus
        self._study_id = study_id
        self._seq = count(1)
        self._makers: dict[type[Event], Callable[..., Event]] = {}

    def __call__(self, kind: type[Event], **fields: Any) -> None:
        """Publish an event of a class, with the fields of its own."""
        seq = next(self._seq)
        if self._bus.has_readers(kind):
            make = self._makers.get(kind) or self._makers.setdefault(kind, unchecked(kind))
            self._bus.publish(
                make(seq=seq, at=datetime.now(UTC), study_id=self._study_id, **fields)
            )

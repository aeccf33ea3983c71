"""Events: what happens in a study, the bus that carries it, and who hears it (floor 3)."""

from __future__ import annotations

from penstock.events.bus import EventBus, EventStream, Subscriber
from penstock.events.tree import (
    Event,
    LimitChanged,
    LoopStalled,
    RunAbandoned,
    RunCancelled,
    RunEvent,
    RunFailed,
    RunFinished,
    RunObserved,
    RunRetried,
    RunSkipped,
    RunsSaved,
    RunStarted,
    RunSucceeded,
    StudyEvent,
    StudyFinished,
    StudyStarted,
    StudyStopping,
    StudyWaiting,
    SubscriberFailed,
)

__all__ = [
    "Event",
    "EventBus",
    "EventStream",
    "LimitChanged",
    "LoopStalled",
    "RunAbandoned",
    "RunCancelled",
    "RunEvent",
    "RunFailed",
    "RunFinished",
    "RunObserved",
    "RunRetried",
    "RunSkipped",
    "RunStarted",
    "RunSucceeded",
    "RunsSaved",
    "StudyEvent",
    "StudyFinished",
    "StudyStarted",
    "StudyStopping",
    "StudyWaiting",
    "Subscriber",
    "SubscriberFailed",
]

"""What is said between a study that runs and those who look at it: JSON, a message a line.

the study    Hello                          once, first
a client     Request                        as often as it likes
the study    Reply                          one for each, with where the study stands then
             Changed, Changed, ... Ended    after a request to watch; nothing else from then on
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from penstock._base.fact import EMPTY, Fact
from penstock.summary import EndpointNow, StudySummary, WorkerNow

__all__ = [
    "LONGEST",
    "PROTOCOL",
    "Changed",
    "Ended",
    "Hello",
    "Reply",
    "Request",
    "Snapshot",
    "line",
]

PROTOCOL = 1
"""The version of what is said; another one is refused."""

LONGEST = 1 << 16
"""So many bytes are a line at most."""

_ShortText = Annotated[str, Field(max_length=200)]
_Reason = Annotated[str, Field(max_length=2000)]


class Hello(Fact):
    """Who answers.

    Args:
        penstock: The version of what is said.
        study_id: The study that runs.
        pid: Its process.
    """

    penstock: int = PROTOCOL
    study_id: str
    pid: int


class Request(Fact):
    """What a client wants.

    Args:
        do: What.
        who: Who asks.
        reason: Why.
        now: With ``stop`` and ``pause``: cancel what is in flight.
        for_good: With ``stop``: nobody means to make the runs that are left.
        values: With ``set``: name in the study file -> value.
    """

    do: Literal["snapshot", "watch", "pause", "resume", "stop", "set", "unblind"]
    who: _ShortText = ""
    reason: _Reason = ""
    now: bool = False
    for_good: bool = False
    values: Mapping[str, Any] = EMPTY


class Snapshot(Fact):
    """Where a study stands; nothing in it tells conditions apart.

    Args:
        study_id: The study.
        pid: The process that runs it.
        began_at: When this session began.
        summary: Its counts and what it has cost; runs that are not yet saved are counted.
        limit: How many runs may be in flight.
        left_out: Runs that this session leaves to a later one.
        is_paused: Whether no run is started until somebody resumes.
        stalls: How often the event loop has stood still.
        culprit: Where it last did.
        workers: The workers that make its runs, where there are any.
        endpoints: The gates before endpoints that its models ask.
        settings: What can be set, as it is now: name in the study file -> value.
    """

    study_id: str
    pid: int
    began_at: datetime
    summary: StudySummary
    limit: int
    left_out: int
    is_paused: bool
    stalls: int
    culprit: str
    workers: tuple[WorkerNow, ...] = ()
    endpoints: tuple[EndpointNow, ...] = ()
    settings: Mapping[str, Any]


class Reply(Fact):
    """The answer to a request.

    Args:
        errors: What is wrong, a sentence each; empty where it is done.
        snapshot: Where the study stands now.
    """

    errors: tuple[str, ...] = ()
    snapshot: Snapshot | None = None


class Changed(Fact):
    """What of the last snapshot is not so any more.

    Args:
        changed: Field of `Snapshot` -> its value now.
    """

    changed: Mapping[str, Any]


class Ended(Fact):
    """The session has ended; nothing more is said.

    Args:
        ended: Where the study stood then.
    """

    ended: Snapshot


def line(message: Fact) -> bytes:
    """Write a message as a line."""
    return message.model_dump_json().encode() + b"\n"

"""What the driver and its workers say to each other, as JSON.

A lease is known by its number, which is used once in a session: whatever comes for a number that
is no longer leased is late.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from penstock._base.fact import Fact
from penstock._base.frozen import frozen_json
from penstock._base.json import decode
from penstock.results import Observation, RunResult

__all__ = [
    "Answered",
    "Ended",
    "FromWorker",
    "Lease",
    "Observed",
    "Revoke",
    "ToWorker",
    "read_from_worker",
    "read_to_worker",
    "written",
]


class Lease(Fact):
    """Make this attempt.

    Args:
        lease: The number of the lease.
        position: Which run, by its place in the plan.
        attempt: Which try at it, from 1.
        planned_order: See `RunContext`.
        started_order: See `RunContext`.
        timeout_s: How long the agent may take, in seconds.
        evaluator_timeout_s: How long an evaluator may take, in seconds.
        earlier: The attempt whose answer is scored, where no agent is to be called.
        has_scored: The evaluators whose scores of that answer stay.
    """

    kind: Literal["lease"] = "lease"
    lease: int
    position: int
    attempt: int
    planned_order: int = 0
    started_order: int = 0
    timeout_s: float | None = None
    evaluator_timeout_s: float | None = None
    earlier: RunResult | None = None
    has_scored: tuple[str, ...] = ()


class Revoke(Fact):
    """Cancel an attempt: the study does."""

    kind: Literal["revoke"] = "revoke"
    lease: int


class Observed(Fact):
    """An agent has reported something."""

    kind: Literal["observed"] = "observed"
    lease: int
    observation: Observation


class Answered(Fact):
    """The answer is there, and evaluators that may take long begin."""

    kind: Literal["answered"] = "answered"
    lease: int
    result: RunResult


class Ended(Fact):
    """An attempt is over.

    Args:
        lease: The number of the lease.
        result: What came of it.
        is_interrupted: See `Attempt`.
    """

    kind: Literal["ended"] = "ended"
    lease: int
    result: RunResult
    is_interrupted: bool = False


ToWorker = Annotated[Lease | Revoke, Field(discriminator="kind")]
FromWorker = Annotated[Observed | Answered | Ended, Field(discriminator="kind")]

_TO_WORKER: TypeAdapter[list[ToWorker]] = TypeAdapter(list[ToWorker])
_FROM_WORKER: TypeAdapter[list[FromWorker]] = TypeAdapter(list[FromWorker])


def written(messages: Sequence[Fact]) -> bytes:
    """Write messages as JSON: what is read is what was said, NaN and lone surrogates too."""
    plain = [message.model_dump() for message in messages]
    return json.dumps(plain, default=_plain, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else frozen_json(value)


def read_to_worker(data: bytes) -> list[ToWorker]:
    """Read what the driver has written."""
    return _TO_WORKER.validate_python(decode(data.decode()))


def read_from_worker(data: bytes) -> list[FromWorker]:
    """Read what a worker has written."""
    return _FROM_WORKER.validate_python(decode(data.decode()))

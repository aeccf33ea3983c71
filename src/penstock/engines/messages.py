"""What the driver and its workers say to each other, as JSON.

A lease is known by its number, which is used once in a session: whatever comes for a number that
is no longer leased is late.

What the driver knows by itself of a result is left out: the run, and the event that is its answer,
which together are more than half of a short result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from penstock._base.fact import Fact
from penstock._base.frozen import frozen_json
from penstock._base.json import decode
from penstock.engines.call_errors import Raised
from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest
from penstock.planning.run_spec import RunSpec
from penstock.results import Observation, RunResult, answer_of, reported_in

__all__ = [
    "Answer",
    "Answered",
    "Ask",
    "Borrow",
    "Drop",
    "Ended",
    "FromWorker",
    "GiveBack",
    "Granted",
    "Lease",
    "Observed",
    "Revoke",
    "Stalled",
    "ToWorker",
    "Turn",
    "read_from_worker",
    "read_to_worker",
    "result_of",
    "told",
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
    """The answer is there, and evaluators that may take long begin.

    Args:
        lease: The number of the lease.
        result: What there is so far; see `told`.
    """

    kind: Literal["answered"] = "answered"
    lease: int
    result: dict[str, Any]


class Ended(Fact):
    """An attempt is over.

    Args:
        lease: The number of the lease.
        run_id: Which run.
        attempt: Which try at it, from 1.
        result: What came of it; see `told`.
        is_interrupted: See `Attempt`.
    """

    kind: Literal["ended"] = "ended"
    lease: int
    run_id: str
    attempt: int
    result: dict[str, Any]
    is_interrupted: bool = False


class Ask(Fact):
    """Make this call of a model.

    Args:
        lease: The attempt that asks.
        call: The number of the call, used once by the worker.
        caller: Who calls; see `penstock.models.declared.DeclaredModels.callers`.
        request: What is asked.
        index: Which of the attempt's calls this is, where that is known.
        evaluator_id: The evaluator that asks; empty where the agent does.
    """

    kind: Literal["ask"] = "ask"
    lease: int
    call: int
    caller: str
    request: CompletionRequest
    index: str | None = None
    evaluator_id: str = ""


class Drop(Fact):
    """Cancel a call: nobody waits for it any more."""

    kind: Literal["drop"] = "drop"
    lease: int
    call: int


class Borrow(Fact):
    """Let this attempt hold a named limit, as soon as it may."""

    kind: Literal["borrow"] = "borrow"
    lease: int
    number: int
    limiter: str


class GiveBack(Fact):
    """Hold a limit no more, or wait for it no more."""

    kind: Literal["give_back"] = "give_back"
    lease: int
    number: int


class Granted(Fact):
    """The limit may be held from now on."""

    kind: Literal["granted"] = "granted"
    lease: int
    number: int


class Stalled(Fact):
    """The worker's event loop stood still; see `penstock.events.LoopStalled`."""

    kind: Literal["stalled"] = "stalled"
    duration_s: float
    culprit: str
    stack: str
    run_id: str | None = None

    def told(self) -> dict[str, Any]:
        """Return what the event says."""
        return self.model_dump(exclude={"kind"})


class Turn(Fact):
    """A call waits for its turn from now on, or does not any more: it is sent."""

    kind: Literal["turn"] = "turn"
    lease: int
    call: int
    waits: bool


class Answer(Fact):
    """What came of a call: a completion, or an error.

    Args:
        lease: The attempt that asked.
        call: The number of the call.
        completion: What was answered.
        error: Why nothing was.
        recorded: What the call has recorded in its run.
        left: The messages of calls that an attempt before had made, which are given again.
        refused_before: See `CallCounts`; so is the next.
    """

    kind: Literal["answer"] = "answer"
    lease: int
    call: int
    completion: Completion | None = None
    error: Raised | None = None
    recorded: tuple[dict[str, Any], ...] = ()
    left: tuple[tuple[ChatMessage, ...], ...] = ()
    refused_before: int = 0
    has_failed_in_passing: bool = False


ToWorker = Annotated[Lease | Revoke | Turn | Answer | Granted, Field(discriminator="kind")]
FromWorker = Annotated[
    Observed | Answered | Ended | Ask | Drop | Borrow | GiveBack | Stalled,
    Field(discriminator="kind"),
]

_TO_WORKER: TypeAdapter[list[ToWorker]] = TypeAdapter(list[ToWorker])
_FROM_WORKER: TypeAdapter[list[FromWorker]] = TypeAdapter(list[FromWorker])


def written(messages: Sequence[Fact]) -> bytes:
    """Write messages as JSON: what is read is what was said, NaN and lone surrogates too."""
    plain = [dict(message) for message in messages]
    return json.dumps(plain, default=_plain, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Fact):
        return value.model_dump()

    return value.isoformat() if isinstance(value, datetime) else frozen_json(value)


def read_to_worker(data: bytes) -> list[ToWorker]:
    """Read what the driver has written."""
    return _TO_WORKER.validate_python(decode(data.decode()))


def read_from_worker(data: bytes) -> list[FromWorker]:
    """Read what a worker has written."""
    return _FROM_WORKER.validate_python(decode(data.decode()))


def told(result: RunResult) -> dict[str, Any]:
    """Return what the driver is told of a result."""
    is_answer_alone = bool(result.observations) and not reported_in(result)
    return result.model_dump(exclude={"spec", "observations"} if is_answer_alone else {"spec"})


def result_of(said: Mapping[str, Any], spec: RunSpec, worker: str | None) -> RunResult:
    """Return the result that a worker has told of.

    Args:
        said: What `told` made, as it is read from JSON.
        spec: The run.
        worker: Who made it; None where another did before, and this one has scored it.
    """
    ended_at = datetime.fromisoformat(said["ended_at"])
    fields: dict[str, Any] = {
        **said,
        "spec": spec,
        "started_at": datetime.fromisoformat(said["started_at"]),
        "ended_at": ended_at,
    }
    if worker is not None:
        fields["provenance"] = {**said["provenance"], "worker": worker}

    if "observations" not in said:
        fields["observations"] = (answer_of(spec, said["outputs_json"], ended_at),)

    return RunResult.model_validate(fields)

"""What the driver and its workers say to each other, as JSON.

A lease is known by its number, which is used once in a session: whatever comes for a number that
is no longer leased is late.

Nothing is said that the other side knows: no default, and of a result neither the run nor the event
that is its answer. Together they are most of what a short result holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from pydantic import TypeAdapter

from penstock._base.fact import EMPTY, Fact, unchecked
from penstock._base.frozen import frozen_json
from penstock.engines.call_errors import Raised
from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest
from penstock.planning.run_spec import RunSpec
from penstock.results import (
    Evaluation,
    Observation,
    RunError,
    RunResult,
    RunStatus,
    Scored,
)

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
    "Leaving",
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


class Lease(NamedTuple):
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

    lease: int
    position: int
    attempt: int
    planned_order: int = 0
    started_order: int = 0
    timeout_s: float | None = None
    evaluator_timeout_s: float | None = None
    earlier: RunResult | None = None
    has_scored: tuple[str, ...] = ()


class Revoke(NamedTuple):
    """Cancel an attempt: the study does."""

    lease: int


class Observed(NamedTuple):
    """An agent has reported something."""

    lease: int
    observation: Observation


class Answered(NamedTuple):
    """The answer is there, and evaluators that may take long begin.

    Args:
        lease: The number of the lease.
        result: What there is so far; see `told`.
    """

    lease: int
    result: dict[str, Any]


class Ended(NamedTuple):
    """An attempt is over.

    Args:
        lease: The number of the lease.
        run_id: Which run.
        result: What came of it; see `told`.
        is_interrupted: See `Attempt`.
    """

    lease: int
    run_id: str
    result: dict[str, Any]
    is_interrupted: bool = False


class Ask(NamedTuple):
    """Make this call of a model.

    Args:
        lease: The attempt that asks.
        call: The number of the call, used once by the worker.
        caller: Who calls; see `penstock.models.declared.DeclaredModels.callers`.
        request: What is asked.
        place: Which of the attempt's calls this is, where that is known.
        evaluator_id: The evaluator that asks; empty where the agent does.
    """

    lease: int
    call: int
    caller: str
    request: CompletionRequest
    place: str | None = None
    evaluator_id: str = ""


class Drop(NamedTuple):
    """Cancel a call: nobody waits for it any more."""

    lease: int
    call: int


class Borrow(NamedTuple):
    """Let this attempt hold a named limit, as soon as it may."""

    lease: int
    number: int
    limiter: str


class GiveBack(NamedTuple):
    """Hold a limit no more, or wait for it no more."""

    lease: int
    number: int


class Granted(NamedTuple):
    """The limit may be held from now on."""

    lease: int
    number: int


class Stalled(NamedTuple):
    """The worker's event loop stood still; see `penstock.events.LoopStalled`."""

    duration_s: float
    culprit: str
    stack: str
    run_id: str | None = None

    def told(self) -> dict[str, Any]:
        """Return what the event says."""
        return self._asdict()


class Leaving(NamedTuple):
    """The worker takes nothing new: it ends what it makes, and then itself."""


class Turn(NamedTuple):
    """A call waits for its turn from now on, or does not any more: it is sent."""

    lease: int
    call: int
    waits: bool


class Answer(NamedTuple):
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

    lease: int
    call: int
    completion: Completion | None = None
    error: Raised | None = None
    recorded: tuple[dict[str, Any], ...] = ()
    left: tuple[tuple[ChatMessage, ...], ...] = ()
    refused_before: int = 0
    has_failed_in_passing: bool = False


ToWorker = Lease | Revoke | Turn | Answer | Granted
FromWorker = Observed | Answered | Ended | Ask | Drop | Borrow | GiveBack | Stalled | Leaving

_Read = Mapping[str, Callable[[Any], Any]]


def _readers(*kinds: type[NamedTuple]) -> _Read:
    return {kind.__name__: TypeAdapter(kind).validate_python for kind in kinds}


_TO_WORKER = _readers(Lease, Revoke, Turn, Answer, Granted)
_FROM_WORKER = _readers(Observed, Answered, Ended, Ask, Drop, Borrow, GiveBack, Stalled, Leaving)


def written(messages: Iterable[ToWorker | FromWorker]) -> bytes:
    """Write messages as JSON: what is read is what was said, NaN and lone surrogates too."""
    return b"[%b]" % b",".join(map(_written, messages))


def _written(message: ToWorker | FromWorker) -> bytes:
    kind, known = type(message).__name__, message._field_defaults
    said = {
        name: value
        for name, value in message._asdict().items()
        if name not in known or value != known[name]
    }
    try:
        data = orjson.dumps((kind, said), default=_plain)
    except TypeError:
        data = b"null"

    if b"null" in data:  # for NaN, perhaps: as text, which the standard library writes and reads
        return orjson.dumps((kind, json.dumps(said, default=_plain)))

    return data


def _plain(value: Any) -> Any:
    if isinstance(value, Fact):
        return value.model_dump(exclude_defaults=True)

    return value.isoformat() if isinstance(value, datetime) else frozen_json(value)


def read_to_worker(data: bytes) -> list[ToWorker]:
    """Read what the driver has written."""
    return [_TO_WORKER[kind](_of_text(said)) for kind, said in orjson.loads(data)]


def read_from_worker(data: bytes) -> list[FromWorker]:
    """Read what a worker has written."""
    return [_FROM_WORKER[kind](_of_text(said)) for kind, said in orjson.loads(data)]


def _of_text(said: Any) -> Any:
    return json.loads(said) if type(said) is str else said


_TOLD = {name: field.default for name, field in RunResult.model_fields.items() if name != "spec"}
_READ: _Read = {
    "status": RunStatus,
    "started_at": datetime.fromisoformat,
    "ended_at": datetime.fromisoformat,
    "evaluations": TypeAdapter(tuple[Evaluation, ...]).validate_python,
    "reported": TypeAdapter(tuple[Observation, ...]).validate_python,
    "trace_refs": tuple,
    "error": RunError.model_validate,
    "scored": TypeAdapter(tuple[Scored, ...]).validate_python,
}
_made = unchecked(RunResult)


def told(result: RunResult) -> dict[str, Any]:
    """Return what the driver is told of a result."""
    values = vars(result)
    return {name: values[name] for name, default in _TOLD.items() if values[name] != default}


def result_of(said: Mapping[str, Any], spec: RunSpec, worker: str | None) -> RunResult:
    """Return the result that a worker has told of.

    Args:
        said: What `told` made, as it is read from JSON.
        spec: The run.
        worker: Who made it; None where another did before, and this one has scored it.
    """
    fields = {name: _READ[name](value) if name in _READ else value for name, value in said.items()}
    if worker is not None:
        fields["provenance"] = {**said.get("provenance", EMPTY), "worker": worker}

    return _made(spec=spec, **fields)

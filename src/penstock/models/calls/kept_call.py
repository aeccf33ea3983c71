"""A call of a chat model as it is kept: what was asked, what came, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from penstock._base.fact import EMPTY
from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest, Usage

__all__ = ["CallError", "CallOrigin", "CallStore", "KeptCall", "LeftCall", "LeftCalls", "Refusal"]


class CallOrigin(NamedTuple):
    """Who calls whom.

    Args:
        endpoint: The address that is asked.
        model_name: The name under which the study declares the model; empty where it does not.
        evaluator_id: The judge that calls; empty where an agent does.
    """

    endpoint: str
    model_name: str = ""
    evaluator_id: str = ""

    @property
    def role(self) -> Literal["agent", "judge"]:
        """Who calls."""
        return "judge" if self.evaluator_id else "agent"


class CallError(NamedTuple):
    """Why a call gave no answer."""

    kind: str
    message: str
    http_status: int | None
    request_id: str | None
    usage: Usage | None
    cost_usd: float | None


class KeptCall(NamedTuple):
    """A call that is over.

    Args:
        run_id: The run that made it.
        attempt: Which try at the run.
        number: Its place among the calls of the attempt, from 1, in the order in which they began.
        origin: Who called whom.
        digest: What tells the request from others; empty where it is not needed.
        messages: The digests of its messages; none where it has none.
        request: What was asked.
        completion: What came, where an answer did.
        error: Why there is none.
        started_at: When it was to be made.
        queued_s: How long it waited to be sent, refusals included, in seconds.
        is_replayed: Whether it was made by an attempt that was cut off, and only given again.
    """

    run_id: str
    attempt: int
    number: int
    origin: CallOrigin
    digest: str
    messages: tuple[bytes, ...]
    request: CompletionRequest
    completion: Completion | None
    error: CallError | None
    started_at: datetime
    queued_s: float
    is_replayed: bool = False


class LeftCall(NamedTuple):
    """A call of an attempt that was cut off: what is given again where it is asked again."""

    digest: str
    messages: tuple[ChatMessage, ...]
    completion: Completion


class Refusal(NamedTuple):
    """How a provider has refused a request for good, with what its model said, where it did."""

    error: CallError
    completion: Completion | None


class LeftCalls(NamedTuple):
    """What was asked in a run, and need not be asked again.

    Args:
        answers: What its last attempts were answered that were cut off, or whose model failed in
            passing, and one that was refused for good, by request and number among equal ones.
        refusals: The requests that were refused for good, by their digests.
    """

    answers: Mapping[tuple[str, int], LeftCall] = MappingProxyType({})
    refusals: Mapping[str, Refusal] = EMPTY


class CallStore(Protocol):
    """Where calls are kept."""

    async def save_calls(self, calls: Sequence[KeptCall], *, with_texts: bool) -> None:
        """Save calls; when this returns they survive a crash.

        Args:
            calls: They may be of many runs.
            with_texts: Whether what was said is kept, and not only what it took.
        """
        ...

    async def left_calls(self, run_id: str, attempt: int) -> LeftCalls:
        """Return what was asked in a run before an attempt, and need not be asked again."""
        ...

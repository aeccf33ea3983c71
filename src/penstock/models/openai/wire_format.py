"""What differs between the formats in which endpoints are asked over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from penstock._base.frozen import FrozenDict
from penstock.models.chat_model import CompletionRequest
from penstock.models.openai.complaints import Complaint, complaint_in
from penstock.models.openai.request_body import body_of
from penstock.models.openai.streaming import StreamedAnswer

__all__ = ["CHAT_COMPLETIONS", "Pieces", "WireFormat"]


class Pieces(Protocol):
    """Gathers the pieces of a streamed answer."""

    is_begun: bool
    """Whether a token has come."""

    is_finished: bool
    """Whether the answer has said why it ended."""

    def add(self, piece: Any) -> None:
        """Take the JSON of one event."""
        ...

    def payload(self) -> dict[str, Any]:
        """Return the answer in the form of a chat completion that was not streamed."""
        ...


class WireFormat(NamedTuple):
    """One format: how a request is written, and how an answer is read.

    Args:
        path: What stands after the address.
        body_of: Writes the body of a request.
        completion_in: Gives the body of an answer the form of a chat completion.
        complaint_in: Reads the error in an event of a stream, given its JSON and its name.
        pieces: Makes what gathers a stream.
        headers: Headers of every request.
        key_header: The header that carries the key; None for ``Authorization: Bearer``.
    """

    path: str
    body_of: Callable[[CompletionRequest], bytes]
    completion_in: Callable[[Any], Any]
    complaint_in: Callable[[Any, str], Complaint | None]
    pieces: Callable[[], Pieces]
    headers: Mapping[str, str]
    key_header: str | None = None


CHAT_COMPLETIONS = WireFormat(
    "/chat/completions",
    body_of,
    lambda payload: payload,
    complaint_in,
    StreamedAnswer,
    FrozenDict(),
)

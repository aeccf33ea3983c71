"""A request as it arrives at a simulated provider, and what it gets."""

from __future__ import annotations

from typing import Literal, NamedTuple

from penstock.simulator.faults import Fault
from penstock.simulator.question import Question

__all__ = ["Arrival", "Reply", "RequestKind"]

RequestKind = Literal["chat", "messages", "embeddings"]
"""What is asked for, and in which format."""


class Arrival(NamedTuple):
    """A request as it arrives.

    Args:
        number: Which it is, from 1.
        at_s: When, in seconds.
        body: Its body.
        authorization: Its header of that name.
        in_flight: How many are in flight, with this one.
        kind: What is asked for, and in which format.
    """

    number: int
    at_s: float
    body: bytes
    authorization: str
    in_flight: int
    kind: RequestKind = "chat"

    @property
    def is_messages(self) -> bool:
        """Whether it is in Anthropic's messages."""
        return self.kind == "messages"

    @property
    def request_id(self) -> str:
        """The id in the response's header."""
        return f"sim-{self.number:08d}"


class Reply(NamedTuple):
    """What is to be sent, and what is to be remembered of it.

    Args:
        status: The HTTP status.
        pieces: The body: one piece, or the events of a stream.
        headers: Headers of its own.
        wait_s: How long it takes until the first piece.
        pause_s: How long between two pieces.
        is_streamed: Whether it is a stream of events.
        fault: What goes wrong.
        question: What was asked, where it could be read.
        problem_id: The problem whose recorded answer was asked for.
        attempt: How many equal requests have arrived.
        input_tokens: Tokens of the prompt that are charged.
        output_tokens: Tokens of the answer that are charged.
    """

    status: int
    pieces: list[bytes]
    headers: dict[str, str]
    wait_s: float = 0.0
    pause_s: float = 0.0
    is_streamed: bool = False
    fault: Fault | None = None
    question: Question | None = None
    problem_id: str | None = None
    attempt: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

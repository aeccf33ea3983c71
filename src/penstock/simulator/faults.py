"""What a simulated provider does wrong, when, and how it says how long to wait."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from enum import StrEnum
from math import ceil
from time import time

from penstock.simulator.draws import Draws

__all__ = [
    "FAILURES",
    "TRANSIENT",
    "WITHOUT_ANSWER",
    "Fault",
    "RetryAfterForm",
    "draw_fault",
    "retry_after",
]


class Fault(StrEnum):
    """One way in which an answer goes wrong."""

    RATE_LIMITED = "rate_limited"
    """429, with a ``Retry-After``."""
    UNAUTHORIZED = "unauthorized"
    """401."""
    BAD_REQUEST = "bad_request"
    """400."""
    CONTEXT_TOO_LONG = "context_too_long"
    """400 with the code ``context_length_exceeded``."""
    PROMPT_FILTER = "prompt_filter"
    """400 with the code ``content_filter``."""
    SERVER_ERROR = "server_error"
    """500."""
    UNAVAILABLE = "unavailable"
    """503."""
    OVERLOADED = "overloaded"
    """529."""
    DROPPED = "dropped"
    """The connection is closed before a response begins."""
    SILENT = "silent"
    """Nothing comes for ``stall_s``, and then the answer."""
    CUT_OFF = "cut_off"
    """The connection is closed in the middle of the body."""
    STALLED = "stalled"
    """The body stops in its middle for ``stall_s``, and then goes on."""
    SLOW_DRIP = "slow_drip"
    """The body comes in small pieces over ``drip_s``."""
    MALFORMED_JSON = "malformed_json"
    """A whole body that is not JSON."""
    TRUNCATED_JSON = "truncated_json"
    """A body that ends too early, although the response says that it is whole."""
    EMPTY_ANSWER = "empty_answer"
    """A completion without a text."""
    MISSING_USAGE = "missing_usage"
    """A completion that does not count its tokens."""
    CONTENT_FILTER = "content_filter"
    """A completion with the finish reason ``content_filter``."""
    REFUSAL = "refusal"
    """A completion in which the model declines."""
    WRONG_SHAPE = "wrong_shape"
    """JSON that is not a completion."""
    ERROR_IN_200 = "error_in_200"
    """200 with an error in place of a completion."""
    ERROR_IN_STREAM = "error_in_stream"
    """An error in place of the end of a stream; where nothing is streamed, as ``error_in_200``."""
    BROKEN_ANSWER = "broken_answer"
    """A completion with a finish reason that says the provider broke off."""
    UNKNOWN_ENDING = "unknown_ending"
    """A completion with a finish reason that nobody has heard of."""
    PAUSED = "paused"
    """A completion in the middle of which the provider's own tools have had their turns; it goes on
    when it is sent back. Of Anthropic's messages alone; elsewhere an answer like any."""
    TOOL_CALL = "tool_call"
    """A completion that calls a tool in place of an answer."""


FAILURES: dict[Fault, tuple[int, str, str, str | None]] = {
    Fault.RATE_LIMITED: (429, "Rate limit reached", "requests", "rate_limit_exceeded"),
    Fault.UNAUTHORIZED: (
        401,
        "Incorrect API key provided",
        "invalid_request_error",
        "invalid_api_key",
    ),
    Fault.BAD_REQUEST: (400, "Unsupported value", "invalid_request_error", "unsupported_value"),
    Fault.CONTEXT_TOO_LONG: (
        400,
        "This model's maximum context length is {tokens} tokens; your messages have more",
        "invalid_request_error",
        "context_length_exceeded",
    ),
    Fault.PROMPT_FILTER: (
        400,
        "The response was filtered: the prompt triggered the content management policy",
        "invalid_request_error",
        "content_filter",
    ),
    Fault.SERVER_ERROR: (500, "The server had an error", "server_error", None),
    Fault.UNAVAILABLE: (503, "The server is not available", "server_error", None),
    Fault.OVERLOADED: (529, "Overloaded", "overloaded_error", None),
}
"""Of each fault without an answer its status, sentence, type and code."""

WITHOUT_ANSWER = frozenset(
    {
        Fault.RATE_LIMITED,
        Fault.UNAUTHORIZED,
        Fault.BAD_REQUEST,
        Fault.CONTEXT_TOO_LONG,
        Fault.PROMPT_FILTER,
        Fault.SERVER_ERROR,
        Fault.UNAVAILABLE,
        Fault.OVERLOADED,
        Fault.DROPPED,
        Fault.ERROR_IN_200,
    }
)
"""The faults at which no answer was made, so that no tokens are charged."""

TRANSIENT = (
    Fault.RATE_LIMITED,
    Fault.SERVER_ERROR,
    Fault.UNAVAILABLE,
    Fault.OVERLOADED,
    Fault.DROPPED,
    Fault.CUT_OFF,
    Fault.MALFORMED_JSON,
    Fault.TRUNCATED_JSON,
)
"""What an error rate is shared among: faults that come at once and that a retry may cure."""


class RetryAfterForm(StrEnum):
    """How a 429 says how long to wait."""

    SECONDS = "seconds"
    FRACTION = "fraction"
    DATE = "date"
    MILLISECONDS = "ms"
    GARBAGE = "garbage"
    NEGATIVE = "negative"
    ABSURD = "absurd"
    NONE = "none"
    MIXED = "mixed"
    """One of those that can be waited for, drawn for each response."""


_WAITABLE = (
    RetryAfterForm.SECONDS,
    RetryAfterForm.FRACTION,
    RetryAfterForm.DATE,
    RetryAfterForm.MILLISECONDS,
)


def draw_fault(rates: Mapping[Fault, float], at: float) -> Fault | None:
    """Find the fault at a place between 0 and 1, where each takes up as much as its rate."""
    for fault in Fault:  # the order of the rates must not matter
        at -= rates.get(fault, 0.0)
        if at < 0:
            return fault

    return None


def retry_after(
    form: RetryAfterForm, wait_s: float, draws: Draws, *place: object
) -> dict[str, str]:
    """Make the headers that ask to wait.

    Args:
        form: How they say it.
        wait_s: How long, in seconds; ``seconds`` and ``date`` round it up.
        draws: Where ``mixed`` is drawn from.
        place: What the draw is for.
    """
    if form is RetryAfterForm.MIXED:
        form = draws.choice(_WAITABLE, "retry_after", *place)

    match form:
        case RetryAfterForm.SECONDS:
            return {"Retry-After": str(ceil(wait_s))}
        case RetryAfterForm.FRACTION:
            return {"Retry-After": f"{wait_s:.3f}"}
        case RetryAfterForm.DATE:
            return {"Retry-After": formatdate(ceil(time() + wait_s), usegmt=True)}
        case RetryAfterForm.MILLISECONDS:
            return {"retry-after-ms": str(ceil(wait_s * 1000))}
        case _:
            text = _UNREADABLE.get(form)
            return {} if text is None else {"Retry-After": text}


_UNREADABLE = {
    RetryAfterForm.GARBAGE: "soon",
    RetryAfterForm.NEGATIVE: "-5",
    RetryAfterForm.ABSURD: "31536000",
}

"""What is asked of a chat model and what it answers, whoever provides it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from penstock._base.fact import EMPTY, Fact

__all__ = [
    "ChatMessage",
    "ChatModel",
    "Completion",
    "CompletionRequest",
    "RateLimitHeaders",
    "Usage",
]


class ChatMessage(Fact):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class CompletionRequest(Fact):
    """What is asked of a chat model.

    Args:
        model: The model's name at its provider.
        messages: The conversation so far.
        temperature: How freely tokens are drawn; the provider's default where not given.
        max_tokens: The most tokens of an answer.
        seed: Asks the provider for reproducible sampling; not all keep to it.
        stop: Texts at which the answer ends.
        logprobs: Whether the log-probabilities of the answer's tokens are wanted.
        json_schema: A JSON schema that the answer must follow.
        stream: Whether the answer is streamed, so that the time to its first token is known.
        extra: Other fields of the provider's own.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    json_schema: dict[str, Any] | None = None
    stream: bool = False
    extra: Mapping[str, Any] = EMPTY


class Usage(Fact):
    """Tokens that a provider counted."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    is_estimated: bool = False
    """Whether the provider said nothing and the numbers are ours."""


class RateLimitHeaders(Fact):
    """What a provider says about its own limits; None where it says nothing.

    Args:
        limit_requests: Requests that it allows in its window.
        limit_tokens: Tokens that it allows in its window.
        remaining_requests: Requests that are left of them.
        remaining_tokens: Tokens that are left of them.
        reset_requests_s: How long until all requests are back, in seconds.
        reset_tokens_s: How long until all tokens are back, in seconds.
    """

    limit_requests: int | None = None
    limit_tokens: int | None = None
    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    reset_requests_s: float | None = None
    reset_tokens_s: float | None = None


class Completion(Fact):
    """What a chat model answered.

    Args:
        text: The answer.
        model: The model that answered, as the provider names it.
        finish_reason: Why the answer ended: ``stop``, ``length``, ``content_filter``, ...
        usage: Tokens.
        system_fingerprint: The provider's mark of its own configuration.
        request_id: The provider's id of the request.
        logprobs: Log-probabilities of the answer's tokens, as the provider gave them.
        provider_s: How long the provider took, in seconds.
        first_token_s: How long until the first token, in seconds; where the answer was streamed.
        http_status: The status of the response.
        is_cached: Whether the answer came from the response cache and cost nothing.
        rate_limits: What the provider said about its limits, where it did.
    """

    text: str
    model: str = ""
    finish_reason: str | None = None
    usage: Usage = Usage()
    system_fingerprint: str | None = None
    request_id: str | None = None
    logprobs: Any = None
    provider_s: float = 0.0
    first_token_s: float | None = None
    http_status: int | None = None
    is_cached: bool = False
    rate_limits: RateLimitHeaders | None = None


class ChatModel(Protocol):
    """Whoever completes a conversation: an endpoint, another library, a fake in a test."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Answer a request.

        Raises:
            ModelError: why there is no answer (see `penstock.models.model_errors`).
        """
        ...

"""The port of chat models: what is asked, what is answered, whoever provides it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, field_validator

from penstock._base.fact import EMPTY, Fact, unchecked
from penstock.study.model_options import NOT_EXTRA

__all__ = [
    "ChatMessage",
    "ChatModel",
    "Completion",
    "CompletionRequest",
    "Image",
    "RateLimitHeaders",
    "ToolCall",
    "Usage",
]


class ToolCall(Fact):
    """A call of a tool that a model asks for.

    Args:
        id: The provider's id of the call.
        name: The tool.
        arguments: What it is to be called with: JSON text, as the model wrote it.
    """

    id: str = ""
    name: str
    arguments: str = "{}"


class Image(Fact):
    """An image in a message.

    Args:
        url: Where it is: its data (``data:image/png;base64,...``), an address, or a path, which
            is read before the message is sent and, where it is relative, is that of a file beside
            the study file.
        detail: How closely the model is to look, where its provider lets that be said.
    """

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ChatMessage(Fact):
    """One message of a conversation.

    Args:
        role: Who speaks; ``tool`` gives what a tool returned.
        content: What is said: a text, or texts and images in their order. The parts of chat
            completions (``{type: text, text: ...}``, ``{type: image_url, image_url: {url: ...}}``)
            are taken for those.
        tool_calls: The tools that a model wanted to have called.
        tool_call_id: The call that a tool's message answers.
        name: Who of several speaks in this role, where an endpoint takes names.
        is_error: Whether that tool failed; a provider that can hear of it is told.
        sealed_reasoning: The parts of the model's reasoning that its provider wants back, as JSON.
    """

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | tuple[str | Image, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    is_error: bool = False
    sealed_reasoning: str | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _of_parts(cls, content: Any) -> Any:
        if not isinstance(content, (list, tuple)):
            return content

        parts = tuple(map(_part, content))
        are_texts = all(isinstance(part, str) for part in parts)
        return "".join(parts) if are_texts else parts

    @property
    def text(self) -> str:
        """What is said in words."""
        if isinstance(self.content, str):
            return self.content

        return "".join(part for part in self.content if isinstance(part, str))

    @property
    def images(self) -> tuple[Image, ...]:
        """The images in it."""
        if isinstance(self.content, str):
            return ()

        return tuple(part for part in self.content if isinstance(part, Image))


def _part(part: Any) -> Any:
    """Read a part of a content as chat completions have it; others are left as they are."""
    if not isinstance(part, Mapping) or "type" not in part:
        return part

    if part["type"] == "text":
        return part.get("text")

    if part["type"] == "image_url":
        return part.get("image_url")

    raise ValueError(f"a part of type {part['type']!r} cannot be sent; text and images can")


class CompletionRequest(Fact):
    """What is asked of a chat model.

    Args:
        model: The model's name at its provider.
        messages: The conversation so far.
        temperature: How freely tokens are drawn; the provider's default where not given.
        max_tokens: The most tokens of an answer.
        max_completion_tokens: The same under its newer name, which some models insist on.
        reasoning_effort: How much a model is to reason before it answers.
        seed: Asks the provider for reproducible sampling; not all keep to it.
        stop: Texts at which the answer ends.
        logprobs: Whether the log-probabilities of the answer's tokens are wanted.
        json_schema: A JSON schema that the answer must follow.
        stream: Whether the answer is streamed, so that the time to its first token is known.
        tools: The tools that the model may call, as chat completions have them.
        extra: Other fields of the provider's own.
        is_embedding: Whether vectors of the messages are asked for in place of an answer; they
            are the text of the answer, as JSON.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    max_completion_tokens: Annotated[int, Field(gt=0)] | None = None
    reasoning_effort: str | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    json_schema: dict[str, Any] | None = None
    stream: bool = False
    tools: tuple[Mapping[str, Any], ...] = ()
    extra: Mapping[str, Any] = EMPTY
    is_embedding: bool = False

    @field_validator("extra")
    @classmethod
    def _changes_no_worst_case(cls, extra: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in NOT_EXTRA.keys() & extra.keys():
            if extra[name] is not None and not (name in _ANSWERS and extra[name] == 1):
                raise ValueError(f"{name!r} is not extra: {NOT_EXTRA[name]}")

        return extra

    @property
    def most_output_tokens(self) -> int | None:
        """The most tokens of an answer, under whichever name it is sent; None for no bound."""
        if self.is_embedding:
            return 0

        if self.max_tokens is None or self.max_completion_tokens is None:
            return self.max_completion_tokens or self.max_tokens

        return max(self.max_tokens, self.max_completion_tokens)  # providers heed one of them


_ANSWERS = ("n", "best_of", "candidate_count", "num_return_sequences")


class Usage(Fact):
    """Tokens that a provider counted, and what it charged.

    Args:
        input_tokens: Tokens of the prompt, those from and for a cache included.
        output_tokens: Tokens that the model wrote, those of its reasoning included.
        cached_input_tokens: Tokens of the prompt that came from the provider's cache.
        cache_write_tokens: Tokens of the prompt that were written to it.
        cache_write_1h_tokens: Those of them that stay there for an hour.
        reasoning_tokens: Tokens of the reasoning.
        is_estimated: Whether the provider said nothing and the numbers are ours.
        cost_usd: What the provider says that it charged, in US dollars, where it does.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    is_estimated: bool = False
    cost_usd: float | None = None

    @property
    def tokens(self) -> int:
        """All tokens, of prompt and answer."""
        return self.input_tokens + self.output_tokens


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
        text: The answer, without the reasoning.
        reasoning: What the model thought before it answered, where its provider shows it.
        sealed_reasoning: The parts of it that the provider wants back, signed, as JSON.
        tool_calls: The tools that the model wants to have called.
        refusal: What it said in declining, where the provider marks that as such.
        model: The model that answered, as the provider names it.
        finish_reason: Why the answer ended, in the provider's own word
            (see `penstock.models.endings`).
        usage: Tokens.
        system_fingerprint: The provider's mark of its own configuration.
        request_id: The provider's id of the request.
        logprobs: Log-probabilities of the answer's tokens, as the provider gave them.
        provider_s: How long the provider took, in seconds.
        first_token_s: How long until the first token, in seconds; where the answer was streamed.
        http_status: The status of the response.
        is_cached: Whether the answer came from the response cache and cost nothing.
        is_redacted: Whether the key was in it, and was taken out.
        rate_limits: What the provider said about its limits, where it did.
        fields: The fields of the JSON, where the answer followed a schema.
        cost_usd: What the call cost this time, in US dollars; None where that is not known.
    """

    text: str
    reasoning: str | None = None
    sealed_reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None
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
    is_redacted: bool = False
    rate_limits: RateLimitHeaders | None = None
    fields: Mapping[str, Any] = EMPTY
    cost_usd: float | None = None

    @property
    def message(self) -> ChatMessage:
        """The answer as a message of the conversation that goes on."""
        return _message(
            role="assistant",
            content=self.text,
            tool_calls=self.tool_calls,
            sealed_reasoning=self.sealed_reasoning,
        )


_message = unchecked(ChatMessage)
"""Each field of an answer was looked at when it was made."""


class ChatModel(Protocol):
    """A provider: an endpoint, another library, a fake in a test."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Answer a request.

        Raises:
            ModelError: why there is no answer (see `penstock.models.model_errors`).
        """
        ...

"""What an agent in Python holds of a declared model: ``ctx.model("small")``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypedDict, Unpack

from penstock.models.chat_model import ChatMessage, Completion
from penstock.models.conversations.conversation import Conversation
from penstock.models.conversations.tools import GivenTool

__all__ = ["ChatFields", "Messages", "ModelInHand"]

Messages = str | Sequence[ChatMessage | Mapping[str, Any]]
"""A conversation: a text is the message of a user."""


class ChatFields(TypedDict, total=False):
    """What a call says itself; the rest is as the model is declared.

    Attributes:
        temperature: How freely tokens are drawn.
        top_p: Out of how much of the probability they are drawn.
        max_tokens: The most tokens of the answer.
        max_completion_tokens: The same under the name that newer models insist on.
        reasoning_effort: How much the model is to reason before it answers.
        seed: Asks the provider for reproducible sampling.
        stop: Texts at which the answer ends.
        logprobs: Whether the log-probabilities of the answer's tokens are wanted.
        json_schema: A JSON schema that the answer must follow.
        stream: Whether the answer is streamed, so that the time to its first token is known.
        tools: Tools that the model may ask for: functions, `Tool`, and for `run` an
            `McpServer` that has some; the answer has what it asks for in ``tool_calls``,
            and `run` is what calls them.
        extra: Other fields of the provider's own, beside those that are declared.
    """

    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    max_completion_tokens: int | None
    reasoning_effort: str | None
    seed: int | None
    stop: Sequence[str]
    logprobs: bool
    json_schema: Mapping[str, Any] | None
    stream: bool
    tools: Sequence[GivenTool]
    extra: Mapping[str, Any]


class ModelInHand(Protocol):
    """A model that the study declares, in the hand of one run."""

    name: str
    """The name that the study gives it."""

    base_url: str
    """The address that an SDK is told which asks through `transport`."""

    async def chat(self, messages: Messages, **options: Unpack[ChatFields]) -> Completion:
        """Ask once, and return what the model answered.

        The call waits at the endpoint's gate, which counts neither as latency nor towards
        ``timeout_s``; its worst case is set aside of the budget; its tokens, cost and times add
        up in the run. Where the study has a response cache, the n-th equal request of a replicate
        has one answer, in another attempt too, but for the answer that an attempt failed with.

        Args:
            messages: The conversation, each message with ``role`` and ``content``; a text is the
                message of a user.
            **options: See `ChatFields`.

        Returns:
            The answer: ``text``, ``fields`` (of the JSON, with ``json_schema``), ``reasoning``,
            ``usage``, ``cost_usd``, ``finish_reason``, ``model``. One that was cut at
            ``max_tokens`` is returned as it is.

        Raises:
            penstock.models.model_errors.ModelError: there is no answer; what is raised says
                why. Left to itself it ends the attempt, and the study tries the run again where
                that may help.
            StopStudy: the study's budget does not allow the call, or the study stops.
            TypeError: there is no option of that name, or a message cannot be one.
        """
        ...

    async def run(
        self, messages: Messages, *, max_turns: int = 8, **options: Unpack[ChatFields]
    ) -> Conversation:
        """Ask, call the tools that the model asks for, and go on until it answers without one.

        A tool is a function, async or plain (then it runs in a thread), whose name, signature and
        docstring the model is told, or a `Tool`. Tools that are asked for at once are called at
        once. Whatever one raises is told to the model as its result, but for `SkipRun` and
        `StopStudy`, which end the run. Each call of a tool is an event of the run,
        ``tool_call``. Each turn is a call as `chat` makes it.

        Args:
            messages: As for `chat`.
            max_turns: How often the model is asked at most.
            **options: See `ChatFields`.

        Returns:
            The conversation: how it ended (``outcome``: ``answered``, ``cut``, ``max_turns``,
            ``refused``, ``filtered``), the last ``text``, its ``fields``, ``messages``,
            ``tool_uses``, ``turns``, ``usage`` and ``cost_usd``.

        Raises:
            penstock.models.model_errors.ModelError: there is no answer, and the model has not
                declined.
            StopStudy: see `chat`.
            penstock.errors.BindingError: a function cannot be a tool, or two have one name.
            penstock.models.conversations.tool_servers.ToolServerError: a server of tools does
                not start, or ends.
        """
        ...

    def transport(self, library: Literal["httpx2", "httpx"] = "httpx2") -> Any:
        """Return a transport for the HTTP client of an SDK, whose calls are then calls of the run.

        ``AsyncOpenAI(base_url=model.base_url, api_key="-", http_client=httpx2.AsyncClient(
        transport=model.transport()))`` asks through the study's gate, budget and cache, as `chat`
        does, and with the study's key. Chat completions, OpenAI's responses, Anthropic's messages
        and embeddings are answered, streamed or not; any other path or host is refused, and never
        sent. The SDK is told to make no retries of its own.

        Args:
            library: The library that the SDK's client is of.
        """
        ...

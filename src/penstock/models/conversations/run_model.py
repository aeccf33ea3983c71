"""A declared model in the hand of one run; what it does is said at `ModelInHand`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Unpack

import pydantic

from penstock._base.fact import changed
from penstock._base.frozen import frozen_json
from penstock._base.json import decode
from penstock._base.pydantic_errors import in_one_sentence
from penstock._base.suggestions import did_you_mean
from penstock.agents.context import RunContext
from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest
from penstock.models.conversations.conversation import Conversation
from penstock.models.conversations.conversing import converse
from penstock.models.conversations.in_hand import ChatFields, Messages
from penstock.models.conversations.showing import shown
from penstock.models.conversations.tool_servers import ToolServers
from penstock.models.conversations.tools import free_choice, tools_of
from penstock.models.endings import Ending, ending_of
from penstock.models.model_errors import MalformedResponseError
from penstock.models.prompts.asking import Asking
from penstock.models.prompts.json_answers import JsonAnswers
from penstock.models.prompts.prompts import scope_of
from penstock.models.sdk.sdk_transport import Library, sdk_transport
from penstock.models.sdk.wire import Declared
from penstock.study.identity import stable_json_dumps

__all__ = ["RunModel"]


class RunModel:
    """Asks a declared model for one run.

    Args:
        name: The name that the study gives the model.
        asking: What is asked with.
        servers: Give the tools of servers.
        ctx: The run.
    """

    def __init__(self, name: str, asking: Asking, servers: ToolServers, ctx: RunContext) -> None:
        self.name = name
        self._asking = asking
        self._servers = servers
        self._ctx = ctx
        self._template, self._caller = asking.of({})
        self.base_url = _address(self._caller.base_url)
        is_fixed = self._template.has_fixed_fields
        scope = {} if is_fixed else scope_of(ctx.spec, ctx.problem, ctx.condition, ctx.attempt)
        self._declared = self._template.fields(scope, ctx.seed)

    def __repr__(self) -> str:
        return f"<model {self.name!r} of {self._ctx.spec.run_id}>"

    async def chat(self, messages: Messages, **options: Unpack[ChatFields]) -> Completion:
        """Ask once: see `ModelInHand.chat`."""
        request = self._request(messages, options)
        completion = await self._asked(request)
        if request.json_schema is None or (completion.tool_calls and not completion.text):
            return completion

        try:
            fields = _answers(stable_json_dumps(request.json_schema)).read(completion.text)
        except MalformedResponseError as error:
            if completion.tool_calls or ending_of(completion.finish_reason) is Ending.PAUSED:
                return completion  # what it says on its way is not the answer

            said = f"model {self.name!r}: {error}"
            raise MalformedResponseError(said, completion=completion) from None

        return completion.model_copy(update={"fields": fields})

    async def run(
        self, messages: Messages, *, max_turns: int = 8, **options: Unpack[ChatFields]
    ) -> Conversation:
        """Ask until the model answers without asking for a tool: see `ModelInHand.run`."""
        if max_turns < 1:
            raise TypeError(f"max_turns is {max_turns}; the model is asked at least once")

        tools = await self._servers.tools_of(options.get("tools", ()), self._ctx)
        given: ChatFields = {**options, "tools": tuple(tools.values())}

        async def ask(history: tuple[ChatMessage, ...]) -> Completion:
            if history[-1].role == "tool":
                extra = {**self._declared["extra"], **options.get("extra", {})}
                given["extra"] = free_choice(extra)

            return await self.chat(history, **given)

        images = self._template.images
        said = self._read(messages)
        return await converse(self._ctx, ask, said, tools, max_turns=max_turns, images=images)

    def transport(self, library: Library = "httpx2") -> Any:
        """Return a transport for an SDK's HTTP client: see `ModelInHand.transport`."""
        declared = Declared((self.name, self._declared["model"]), self._declared)
        return sdk_transport(library, self.base_url, declared, self._asked)

    def _read(self, messages: Messages) -> tuple[ChatMessage, ...]:
        images = self._template.images
        return tuple(shown(self._ctx, each, images) for each in _messages(messages))

    async def _asked(self, request: CompletionRequest) -> Completion:
        if not self._ctx.calls.evaluator_id:  # what scores an answer has not given it
            provenance = self._ctx.provenance
            provenance.setdefault("model_name", request.model)
            provenance.setdefault("model_provider", self._caller.provider)

        return await self._caller.complete(self._ctx, request)

    def _request(self, messages: Messages, options: Mapping[str, Any]) -> CompletionRequest:
        is_same = self._template.has_fixed_fields and not self._template.options.seed
        if not is_same or not all(type(value) in _PLAIN for value in options.values()):
            return changed(self._checked(options), messages=self._read(messages))

        checked = self._asking.checked
        key = tuple(f"{name}={value!r}" for name, value in options.items())
        if key not in checked:
            if len(checked) >= _MOST_CHECKED:  # each run asks in another way
                checked.clear()

            checked[key] = self._checked(options)

        return changed(checked[key], messages=self._read(messages))

    def _checked(self, options: Mapping[str, Any]) -> CompletionRequest:
        """Make a request without messages.

        Raises:
            TypeError: the model cannot be asked so.
        """
        if unknown := [name for name in options if name not in _FIELDS]:
            raise TypeError("; ".join(map(_unknown, unknown)))

        declared = self._declared
        if _LIMITS & options.keys():  # one limit under two names
            declared = {name: value for name, value in declared.items() if name not in _LIMITS}

        given: dict[str, Any] = {**declared, **options}
        if "extra" in options:
            given["extra"] = {**declared["extra"], **options["extra"]}

        if tools := options.get("tools"):
            given["tools"] = tuple(tool.told for tool in tools_of(tools).values())

        try:
            given["extra"] = frozen_json(given["extra"])
            return CompletionRequest(messages=(), **given)
        except pydantic.ValidationError as error:
            raise TypeError(
                f"model {self.name!r} cannot be asked so: {in_one_sentence(error)}"
            ) from None


def _address(base_url: str) -> str:
    """Return what an SDK is told as the address: a provider in the session has none of its own."""
    return base_url if "://" in base_url else f"http://{base_url}/v1"


_PLAIN = frozenset({str, int, float, bool, type(None)})
_MOST_CHECKED = 64
_FIELDS = frozenset(ChatFields.__annotations__)
_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})


def _messages(messages: Messages) -> Iterator[ChatMessage]:
    """Read a conversation.

    Raises:
        TypeError: it is not one.
    """
    if isinstance(messages, str):
        yield ChatMessage(role="user", content=messages)
        return

    if not messages:
        raise TypeError("there are no messages; a conversation has at least one")

    for place, message in enumerate(messages):
        if isinstance(message, ChatMessage):
            yield message
            continue

        try:
            yield ChatMessage.model_validate(message)
        except pydantic.ValidationError as error:
            raise TypeError(f"messages[{place}]: {in_one_sentence(error)}") from None


def _unknown(name: str) -> str:
    return f"chat() has no option {name!r}{did_you_mean(name, _FIELDS, mark='`')}"


@lru_cache(maxsize=64)
def _answers(schema: str) -> JsonAnswers:
    return JsonAnswers(decode(schema))

"""A conversation with tools: the model asks for them, they are called, it is told, and goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import inf
from time import perf_counter
from typing import Any

import anyio

from penstock._base.fact import EMPTY
from penstock._base.json import decode
from penstock.agents.context import RunContext
from penstock.errors import SkipRun, StopStudy, message_of
from penstock.models.chat_model import ChatMessage, Completion, ToolCall, Usage
from penstock.models.conversations.conversation import Conversation, ConversationOutcome, ToolUse
from penstock.models.conversations.showing import shown
from penstock.models.conversations.tool_results import Content, in_words
from penstock.models.conversations.tool_servers import ToolServerError
from penstock.models.conversations.tools import Tool
from penstock.models.endings import Ending, ending_of
from penstock.models.model_errors import ContentFilteredError, ModelError, RefusalError
from penstock.models.prompts.images import ImageFiles
from penstock.results import ObservationLevel

__all__ = ["converse"]

Ask = Callable[[tuple[ChatMessage, ...]], Awaitable[Completion]]
_Result = tuple[ChatMessage, float]
"""What a tool gave, as the model is told, and how long it took, in seconds."""


async def converse(
    ctx: RunContext,
    ask: Ask,
    messages: Sequence[ChatMessage],
    tools: Mapping[str, Tool],
    *,
    max_turns: int,
    images: ImageFiles,
) -> Conversation:
    """Ask until the model answers without calling a tool.

    Tools that it calls at once are called at once; those of an answer that was cut are not. One
    that fails is told to the model, which may try again; so is one that there is not. An answer
    that its provider has paused is gone on with.

    Args:
        ctx: The run.
        ask: Asks once.
        messages: What is said first.
        tools: The tools by name.
        max_turns: How often the model is asked at most.
        images: Reads those that tools show.

    Raises:
        ModelError: there is no answer, and the model has not declined.
    """
    talk = _Talk(messages)
    while True:
        try:
            completion = await ask(tuple(talk.history))
        except (RefusalError, ContentFilteredError) as error:
            talk.count(error.usage or Usage(), error.cost_usd)
            is_refused = isinstance(error, RefusalError)
            return talk.ended(
                ConversationOutcome.REFUSED if is_refused else ConversationOutcome.FILTERED,
                _said_in(error),
            )

        talk.count(completion.usage, completion.cost_usd)
        calls = completion.tool_calls
        talk.history.append(completion.message)
        ending = ending_of(completion.finish_reason)
        if ending is Ending.CUT:  # its calls too: arguments may be missing, and further calls
            return talk.ended(ConversationOutcome.CUT, completion.text, completion.fields)

        if not calls and ending is not Ending.PAUSED:
            return talk.ended(ConversationOutcome.ANSWERED, completion.text, completion.fields)

        if talk.turns >= max_turns:
            return talk.ended(ConversationOutcome.MAX_TURNS, completion.text)

        results = _made_before(ctx, talk.history, calls)
        results = results or await _call_all(ctx, tools, calls, images)
        for call, (told, seconds) in zip(calls, results, strict=True):
            talk.history.append(told)
            talk.uses.append(_use(call, told, seconds))
            _observe(ctx, talk.uses[-1])


class _Talk:
    """A conversation under way, and what it has taken."""

    def __init__(self, messages: Sequence[ChatMessage]) -> None:
        self.history = list(messages)
        self.uses: list[ToolUse] = []
        self.turns = 0
        self._usage = Usage()
        self._cost_usd: float | None = 0.0

    def count(self, usage: Usage, cost_usd: float | None) -> None:
        """Count a turn; a sum of which a part is not known is not known."""
        self.turns += 1
        self._usage = _added(self._usage, usage)
        is_known = self._cost_usd is not None and cost_usd is not None
        self._cost_usd = (self._cost_usd or 0.0) + (cost_usd or 0.0) if is_known else None

    def ended(
        self, outcome: ConversationOutcome, text: str, fields: Mapping[str, Any] = EMPTY
    ) -> Conversation:
        """Return the conversation as it is now."""
        return Conversation(
            outcome=outcome,
            text=text,
            fields=fields,
            messages=tuple(self.history),
            tool_uses=tuple(self.uses),
            turns=self.turns,
            usage=self._usage,
            cost_usd=self._cost_usd,
        )


async def _call_all(
    ctx: RunContext, tools: Mapping[str, Tool], calls: Sequence[ToolCall], images: ImageFiles
) -> list[_Result]:
    """Call tools at once.

    Raises:
        SkipRun, StopStudy: a tool ended the run.
        ToolServerError: the server of a tool ended.
        SystemExit, KeyboardInterrupt: a tool raised that.
    """
    made: dict[int, _Result] = {}
    endings: list[BaseException] = []

    async def use(place: int, call: ToolCall) -> None:
        begun = perf_counter()
        try:
            content = await _tool(tools, call).call(call, ctx)
            told = shown(ctx, _told(call, content), images)
        except (SkipRun, StopStudy, ToolServerError, SystemExit, KeyboardInterrupt) as ending:
            endings.append(ending)  # raised below: raised here some would end the event loop
            return
        except Exception as error:  # noqa: BLE001 - whatever a tool raises, the model is told
            told = _told(call, f"{type(error).__name__}: {message_of(error)}", is_error=True)
        except anyio.get_cancelled_exc_class():
            if anyio.current_effective_deadline() == -inf:
                raise

            told = _told(call, "the tool was cancelled, by itself", is_error=True)

        made[place] = told, perf_counter() - begun

    async with anyio.create_task_group() as group:
        for place, call in enumerate(calls):
            group.start_soon(use, place, call)

    if endings:
        # What its model was answered so far is given to the next attempt.
        ctx.calls.has_failed_in_passing |= isinstance(endings[0], ToolServerError)
        raise endings[0]

    return [made[place] for place in range(len(calls))]


def _told(call: ToolCall, content: Content, *, is_error: bool = False) -> ChatMessage:
    return ChatMessage(role="tool", content=content, tool_call_id=call.id, is_error=is_error)


def _tool(tools: Mapping[str, Tool], call: ToolCall) -> Tool:
    if call.name not in tools:
        known = ", ".join(tools) or "none"
        raise LookupError(f"there is no tool {call.name!r} (tools: {known})")

    return tools[call.name]


def _made_before(
    ctx: RunContext, history: Sequence[ChatMessage], calls: Sequence[ToolCall]
) -> list[_Result]:
    """Return what tools gave an attempt that was cut off, and was asked to go on from there."""
    begun, wanted = len(history), [call.id for call in calls]
    for left in (ctx.calls.left or {}).values():
        told = left.messages[begun : begun + len(wanted)]
        are_results = [each.tool_call_id for each in told if each.role == "tool"] == wanted
        if are_results and list(left.messages[:begun]) == list(history):
            return [(each, 0.0) for each in told]

    return []


def _use(call: ToolCall, told: ChatMessage, seconds: float) -> ToolUse:
    return ToolUse(
        name=call.name,
        arguments=_arguments(call),
        result=in_words(told.content),
        is_error=told.is_error,
        seconds=seconds,
    )


def _observe(ctx: RunContext, use: ToolUse) -> None:
    ctx.observe_mapping(
        {
            "event_type": "tool_call",
            "text": use.result,
            "level": ObservationLevel.TOOL_CALL,
            "actor_id": "agent",
            "tool_name": use.name,
            "meta_json": {
                "tool": use.name,
                "arguments": use.arguments,
                "is_error": use.is_error,
                "seconds": use.seconds,
            },
        }
    )


def _arguments(call: ToolCall) -> Any:
    """Read the arguments of a call, which a model may have written badly."""
    try:
        return decode(call.arguments)
    except (ValueError, RecursionError):
        return call.arguments


def _said_in(error: ModelError) -> str:
    completion = error.completion
    return "" if completion is None else completion.refusal or completion.text


def _added(one: Usage, other: Usage) -> Usage:
    sums = {
        name: getattr(one, name) + getattr(other, name)
        for name in Usage.model_fields
        if name.endswith("_tokens")
    }
    return Usage(**sums, is_estimated=one.is_estimated or other.is_estimated)

"""Turns of a conversation as models and tools make them that do not keep to the rules."""

from __future__ import annotations

import asyncio  # noqa: TID251 - what tools may do as well
import sys
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import pytest

import penstock as ps
from penstock.models.calls.kept_call import LeftCall
from penstock.models.calls.sender import with_ids
from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest, Image, ToolCall
from penstock.models.conversations.conversation import Conversation
from penstock.models.conversations.conversing import converse
from penstock.models.conversations.tools import free_choice, tools_of
from penstock.models.prompts.images import ImageFiles
from tests.builders import make_context
from tests.models.test_images import png

pytestmark = pytest.mark.anyio

GO = (ChatMessage(role="user", content="Go"),)


def calls(*names: str, text: str = "", **fields: Any) -> Completion:
    """A turn that calls tools, each with an id of its own."""
    made = tuple(ToolCall(id=f"id-{at}", name=name) for at, name in enumerate(names))
    return Completion(text=text, tool_calls=made, finish_reason="tool_calls", **fields)


def says(text: str, ending: str = "stop") -> Completion:
    return Completion(text=text, finish_reason=ending)


async def talk(
    tools: Sequence[Callable[..., Any]],
    *turns: Completion,
    max_turns: int = 8,
    ctx: ps.RunContext | None = None,
) -> Conversation:
    """Converse with a model that says these turns, one for each message of its own before."""

    async def ask(history: tuple[ChatMessage, ...]) -> Completion:
        return turns[sum(message.role == "assistant" for message in history)]

    given = tools_of(tools)
    ctx = make_context() if ctx is None else ctx
    return await converse(ctx, ask, GO, given, max_turns=max_turns, images=ImageFiles())


def good() -> str:
    return "good"


def bad() -> str:
    raise ValueError("no")


def nothing() -> None:
    return None


def shot() -> bytes:
    return png()


def lost() -> Image:
    return Image(url="no-such.png")


async def cancels() -> str:
    raise asyncio.CancelledError


async def cancels_its_task() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await anyio.sleep_forever()
    return "never"


async def waits() -> str:
    await anyio.lowlevel.checkpoint()
    return "good"


@pytest.mark.parametrize(
    ("names", "results", "errors"),
    [
        (("good",), ["good"], [False]),
        (("good", "bad", "good"), ["good", "ValueError: no", "good"], [False, True, False]),
        (("nothing",), ["null"], [False]),
        (("shot",), ["[image]"], [False]),
        (("lost",), ["ImageError: the image no-such.png is not there"], [True]),
        (("a.b",), ["LookupError: there is no tool 'a.b' (tools: "], [True]),
        (("",), ["LookupError: there is no tool '' (tools: "], [True]),
        (("cancels", "waits"), ["the tool was cancelled, by itself", "good"], [True, False]),
        (
            ("waits", "cancels_its_task"),
            ["good", "the tool was cancelled, by itself"],
            [False, True],
        ),
    ],
)
async def test_whatever_becomes_of_a_tool_the_model_is_told_and_goes_on(
    names: tuple[str, ...], results: list[str], errors: list[bool]
) -> None:
    tools = (good, bad, nothing, shot, lost, cancels, cancels_its_task, waits)
    ended = await talk(tools, calls(*names), says("done"))

    assert (ended.outcome, ended.text, ended.turns) == ("answered", "done", 2)
    for use, result in zip(ended.tool_uses, results, strict=True):
        assert use.result.startswith(result)

    assert [use.is_error for use in ended.tool_uses] == errors
    assert [message.is_error for message in ended.messages if message.role == "tool"] == errors


async def test_a_tool_that_exits_ends_the_run_and_not_the_event_loop() -> None:
    def leave() -> None:
        sys.exit(3)

    async def leave_too() -> None:
        raise KeyboardInterrupt

    for tool in (leave, leave_too):
        with pytest.raises((SystemExit, KeyboardInterrupt)):
            await talk([tool, good], calls("good", tool.__name__), says("never"))


async def test_a_conversation_that_is_cancelled_from_outside_is_cancelled() -> None:
    started = anyio.Event()

    async def slow() -> None:
        started.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:

        async def converses() -> None:
            await talk([slow], calls("slow"), says("never"))
            pytest.fail("it went on")

        group.start_soon(converses)
        await started.wait()
        group.cancel_scope.cancel()


async def test_text_beside_calls_is_kept_and_is_not_the_answer() -> None:
    ended = await talk([good], calls("good", text="First I look."), says("done"))

    assert [message.text for message in ended.messages] == ["Go", "First I look.", "good", "done"]


@pytest.mark.parametrize(("most", "turns", "outcome"), [(1, 1, "max_turns"), (3, 3, "max_turns")])
async def test_a_model_that_calls_for_ever_ends_at_its_last_turn(
    most: int, turns: int, outcome: str
) -> None:
    ended = await talk([good], *[calls("good")] * 9, max_turns=most)

    assert (ended.outcome, ended.turns, len(ended.tool_uses)) == (outcome, turns, turns - 1)


async def test_an_answer_that_its_provider_has_paused_is_sent_back_and_gone_on_with() -> None:
    paused = Completion(text="So far", finish_reason="pause_turn", sealed_reasoning="[]")
    ended = await talk([], paused, paused, says("done"))

    assert (ended.outcome, ended.text, ended.turns) == ("answered", "done", 3)
    assert [message.text for message in ended.messages] == ["Go", "So far", "So far", "done"]


async def test_a_tool_that_changes_its_arguments_changes_nothing_else() -> None:
    def pop(words: list[str]) -> str:
        return words.pop()

    call = ToolCall(id="a", name="pop", arguments='{"words": ["x", "y"]}')
    asked = Completion(text="", tool_calls=(call,), finish_reason="tool_calls")
    ended = await talk([pop], asked, says("done"))

    assert ended.tool_uses[0].arguments == {"words": ["x", "y"]}


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        (("a", "b"), ["a", "b"]),
        (("", ""), ["call_1_0", "call_1_1"]),
        (("a", "a"), ["call_1_0", "call_1_1"]),
        (("a", ""), ["call_1_0", "call_1_1"]),
        ((), []),
    ],
)
def test_each_call_has_an_id_of_its_own(given: tuple[str, ...], ids: list[str]) -> None:
    made = tuple(ToolCall(id=each, name="f") for each in given)
    request = CompletionRequest(model="m", messages=GO)

    found = with_ids(Completion(text="", tool_calls=made), request)

    assert [call.id for call in found.tool_calls] == ids


@pytest.mark.parametrize("id_of_second", ["id-0", "id-1"])
async def test_results_that_are_given_again_are_those_of_their_places(id_of_second: str) -> None:
    """Also where a provider has given two calls one id."""
    ctx = make_context()
    made = ToolCall(id="id-0", name="bad"), ToolCall(id=id_of_second, name="good")
    asked = Completion(text="", tool_calls=made, finish_reason="tool_calls")
    told = (
        ChatMessage(role="tool", content="first", tool_call_id="id-0", is_error=True),
        ChatMessage(role="tool", content="second", tool_call_id=id_of_second),
    )
    kept = LeftCall("digest", (*GO, asked.message, *told), says("done"))
    ctx.calls.left = {("digest", 0): kept}

    ended = await talk([good, bad], asked, says("done"), ctx=ctx)

    assert [(use.result, use.is_error, use.seconds) for use in ended.tool_uses] == [
        ("first", True, 0.0),
        ("second", False, 0.0),
    ]


@pytest.mark.parametrize(
    ("choice", "then"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", None),
        ({"type": "function", "function": {"name": "f"}}, None),
        ({"type": "any"}, None),
    ],
)
def test_a_model_that_had_to_call_a_tool_need_not_once_it_has(choice: Any, then: Any) -> None:
    assert free_choice({"top_k": 3, "tool_choice": choice}) == {"top_k": 3, "tool_choice": then}

"""Conversations with tools: ``await ctx.model("small").run(messages, tools=[...])``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

import penstock as ps
from penstock.errors import SkipRun
from penstock.models.conversations.conversation import Conversation
from tests.models.loopback import ANSWER, http_server
from tests.models.studies import rows
from tests.models.test_run_model import a_study, run

pytestmark = pytest.mark.anyio

Turn = str | Sequence[tuple[str, dict[str, Any]]] | dict[str, Any]


def reply(turn: Turn) -> dict[str, Any]:
    """What the provider answers in a turn: a text, calls of tools, or a choice as it is."""
    if isinstance(turn, dict):
        return ANSWER | {"choices": [turn]}

    if isinstance(turn, str):
        message: dict[str, Any] = {"role": "assistant", "content": turn}
        return ANSWER | {"choices": [{"message": message, "finish_reason": "stop"}]}

    calls = [
        {
            "id": f"call-{place}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for place, (name, arguments) in enumerate(turn)
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    return ANSWER | {"choices": [{"message": message, "finish_reason": "tool_calls"}]}


def provider(*turns: Turn, asked: list[Any]) -> Callable[[web.Request], Any]:
    """Answer by how many messages of tools or the assistant there are: the same turn alike."""

    async def handler(request: web.Request) -> web.Response:
        body = await request.json()
        asked.append(body)
        said = sum(message["role"] == "assistant" for message in body["messages"])
        return web.json_response(reply(turns[said]))

    return handler


async def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def fail(number: int) -> int:
    """Fail."""
    raise ValueError(f"{number} is unlucky")


async def converse(
    tmp_path: Path, *turns: Turn, tools: Sequence[Any] = (double, fail), **options: Any
) -> tuple[Conversation | None, ps.RunResult, list[Any]]:
    """Have an agent talk with a provider that answers so."""
    asked: list[Any] = []
    talked: list[Conversation] = []

    async def agent(ctx: ps.RunContext) -> str:
        talk = await ctx.model("small").run("Go", tools=tools, **options)
        talked.append(talk)
        return talk.text

    async with http_server(provider(*turns, asked=asked)) as url:
        (result,) = await run(a_study(tmp_path, agent, url))

    return (talked[0] if talked else None), result, asked


async def test_tools_are_called_until_the_model_answers(tmp_path: Path) -> None:
    talk, result, asked = await converse(
        tmp_path, [("double", {"number": 4})], [("double", {"number": 8})], "16"
    )

    assert talk is not None
    assert (talk.outcome, talk.text, talk.turns) == ("answered", "16", 3)
    assert [(use.name, use.arguments, use.result) for use in talk.tool_uses] == [
        ("double", {"number": 4}, "8"),
        ("double", {"number": 8}, "16"),
    ]
    assert [message.role for message in talk.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "tool",
        "assistant",
    ]
    assert {tool["function"]["name"] for tool in asked[0]["tools"]} == {"double", "fail"}
    assert asked[1]["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "call-0",
                    "type": "function",
                    "function": {"name": "double", "arguments": '{"number": 4}'},
                }
            ],
        },
        {"role": "tool", "content": "8", "tool_call_id": "call-0"},
    ]
    assert talk.usage.output_tokens == result.metrics["output_tokens"] == 9
    assert talk.cost_usd == pytest.approx(result.cost_usd)


async def test_each_call_of_a_tool_is_an_event(tmp_path: Path) -> None:
    _, result, _ = await converse(tmp_path, [("double", {"number": 4})], "8")

    (event,) = (each for each in result.observations if each.event_type == "tool_call")
    meta = json.loads(event.meta_json)
    assert (event.tool_name, event.text, event.level) == ("double", "8", "tool-call")
    assert (meta["arguments"], meta["is_error"]) == ({"number": 4}, False)
    assert meta["seconds"] >= 0
    assert result.metrics["tool_call_count"] == 1


async def test_what_a_tool_raises_is_told_to_the_model(tmp_path: Path) -> None:
    talk, _, asked = await converse(
        tmp_path,
        [("fail", {"number": 13}), ("nothing", {}), ("double", {"number": "x"})],
        "I see",
    )

    assert talk is not None
    assert talk.outcome == "answered"
    assert [use.is_error for use in talk.tool_uses] == [True, True, True]
    told = [message["content"] for message in asked[1]["messages"] if message["role"] == "tool"]
    assert told[0] == "ValueError: 13 is unlucky"
    assert told[1] == "LookupError: there is no tool 'nothing' (tools: double, fail)"
    assert told[2].startswith("ValueError: number: Input should be a valid integer")


async def test_tools_that_are_asked_for_at_once_are_called_at_once(tmp_path: Path) -> None:
    met = anyio.Event()

    async def wait() -> str:
        await met.wait()
        return "waited"

    async def come() -> str:
        met.set()
        return "came"

    talk, _, _ = await converse(tmp_path, [("wait", {}), ("come", {})], "ok", tools=[wait, come])

    assert talk is not None
    assert [use.result for use in talk.tool_uses] == ["waited", "came"]


async def test_a_model_without_a_turn_left_ends_the_conversation(tmp_path: Path) -> None:
    turn = [("double", {"number": 1})]
    talk, result, asked = await converse(tmp_path, turn, turn, turn, max_turns=2)

    assert talk is not None
    assert (talk.outcome, talk.turns, len(talk.tool_uses)) == ("max_turns", 2, 1)
    assert (result.status, len(asked)) == ("success", 2)


@pytest.mark.parametrize(
    ("choice", "outcome", "text"),
    [
        (
            {"message": {"content": None, "refusal": "Rather not."}, "finish_reason": "stop"},
            "refused",
            "Rather not.",
        ),
        ({"message": {"content": "Well"}, "finish_reason": "content_filter"}, "filtered", "Well"),
        ({"message": {"content": "The ans"}, "finish_reason": "length"}, "cut", "The ans"),
        (
            {
                "message": {
                    "content": "Let me",
                    "tool_calls": [
                        {"id": "c", "function": {"name": "double", "arguments": '{"number": 1'}}
                    ],
                },
                "finish_reason": "length",
            },
            "cut",
            "Let me",
        ),
    ],
)
async def test_a_conversation_that_has_no_answer_says_how_it_ended(
    tmp_path: Path, choice: dict[str, Any], outcome: str, text: str
) -> None:
    talk, result, _ = await converse(tmp_path, [("double", {"number": 1})], choice)

    assert talk is not None
    assert (talk.outcome, talk.text, talk.turns) == (outcome, text, 2)
    assert len(talk.tool_uses) == 1
    assert talk.cost_usd == pytest.approx(result.cost_usd)


async def test_a_tool_may_end_the_run(tmp_path: Path) -> None:
    def leave() -> str:
        raise SkipRun("not for this problem")

    talk, result, _ = await converse(tmp_path, [("leave", {})], "never", tools=[leave])

    assert talk is None
    assert result.status == "skipped"


async def test_a_tool_may_take_the_run(tmp_path: Path) -> None:
    def brief(ctx: ps.RunContext) -> str:
        return ctx.problem.brief

    talk, _, _ = await converse(tmp_path, [("brief", {})], "ok", tools=[brief])

    assert talk is not None
    assert talk.tool_uses[0].result == "What is 6 x 7?"


async def test_chat_tells_of_tools_and_leaves_them_to_the_agent(tmp_path: Path) -> None:
    asked: list[Any] = []

    async def agent(ctx: ps.RunContext) -> str:
        answer = await ctx.model("small").chat("Go", tools=[double])
        (call,) = answer.tool_calls
        return f"{call.name} {call.arguments}"

    async with http_server(provider([("double", {"number": 4})], asked=asked)) as url:
        (result,) = await run(a_study(tmp_path, agent, url))

    assert result.outputs == {"text": 'double {"number": 4}'}


async def test_no_tool_of_an_attempt_that_was_cut_off_is_called_again(tmp_path: Path) -> None:
    asked: list[Any] = []
    called: list[int] = []
    runner: ps.StudyRunner

    async def number(of: int) -> int:
        called.append(of)
        if of == 3 and len(called) == 3:
            runner.cancel()
            await anyio.sleep_forever()

        return len(called) * 100  # another one each time

    async def agent(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").run("Go", tools=[number])).text

    turns: list[Turn] = [[("number", {"of": of})] for of in (1, 2, 3)]
    turns.append("done")
    async with http_server(provider(*turns, asked=asked)) as url:
        runner = ps.StudyRunner(a_study(tmp_path, agent, url))
        await runner.run()
        before = len(asked)
        study = a_study(tmp_path, agent, url)
        (result,) = await run(study)

    assert (before, len(asked)) == (3, 4)
    assert called == [1, 2, 3, 3]
    assert result.outputs == {"text": "done"}
    found = rows(study, "SELECT text FROM events WHERE event_type = 'tool_call' ORDER BY number")
    assert [each["text"] for each in found] == ["100", "200", "400"]


async def test_a_conversation_of_no_turns_is_refused(tmp_path: Path) -> None:
    talk, result, _ = await converse(tmp_path, "never", max_turns=0)

    assert talk is None
    assert result.error is not None
    assert "the model is asked at least once" in result.error.message

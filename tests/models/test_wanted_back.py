"""What providers want back in a conversation with tools: reasoning, signatures, their own parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock._base.json import decode, encode
from penstock.models.anthropic.message_body import message_body_of
from penstock.models.anthropic.message_reading import StreamedMessage, chat_completion_in
from penstock.models.chat_model import ChatMessage, CompletionRequest, Image, ToolCall
from penstock.models.openai.request_body import body_of
from penstock.models.openai.returned import sealed_in, with_sealed
from penstock.models.openai.streaming import StreamedAnswer
from penstock.models.sdk.chat_wire import CHAT
from penstock.models.sdk.wire import Declared
from penstock.simulator import SimulatedProvider, SimulatorOptions
from tests.models.studies import rows
from tests.models.test_images import png
from tests.models.test_run_model import a_study, run

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("dialect", ["deepseek", "moonshot", "anthropic"])
async def test_a_conversation_with_tools_gives_back_what_led_to_the_calls(
    dialect: str, is_streamed: bool, tmp_path: Path
) -> None:
    def f(a: int) -> int:
        return a + 1

    async def agent(ctx: ps.RunContext) -> dict[str, Any]:
        model = ctx.model("small")
        talk = await model.run("Go", tools=[f], reasoning_effort="high", stream=is_streamed)
        return {"text": talk.text, "turns": talk.turns}

    faults = {1: "tool_call", 2: "paused", 3: "tool_call"}
    options = {"latency_s": 0.0, "answers": ("42",), "reasoning": "hm, let me see"}
    given = SimulatorOptions.model_validate({**options, "dialect": dialect, "faults_at": faults})
    async with SimulatedProvider(given) as provider:
        provider_name = "anthropic" if dialect == "anthropic" else "openai"
        small = {"provider": provider_name, "base_url": provider.url}
        study = a_study(tmp_path, agent, provider.url, small=small)
        (result,) = await run(study)

    assert result.error is None
    pauses = dialect == "anthropic"
    assert result.outputs == {"text": "42", "turns": 4 if pauses else 2}
    last = rows(study, "SELECT messages FROM calls ORDER BY number DESC LIMIT 1")[0]
    assistant = [each for each in decode(last["messages"]) if each["role"] == "assistant"]
    assert all("sealed_reasoning" in each for each in assistant)
    if pauses:
        kinds = [part["type"] for part in decode(assistant[1]["sealed_reasoning"])]
        assert kinds == [
            *("thinking", "redacted_thinking", "text"),
            *("server_tool_use", "web_search_tool_result"),
        ]


CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SIGNED = {"google": {"thought_signature": "xyz"}}
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
DETAIL = {"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0}


@pytest.mark.parametrize(
    ("message", "sealed"),
    [
        ({"content": "42", "reasoning_content": "hm"}, None),
        ({"tool_calls": [CALL]}, None),
        ({"tool_calls": [CALL], "reasoning_content": None}, None),
        ({"tool_calls": [CALL], "reasoning_content": ""}, {"reasoning_content": ""}),
        ({"tool_calls": [CALL], "reasoning": "hm"}, {"reasoning": "hm"}),
        ({"tool_calls": [CALL], "reasoning_details": [DETAIL]}, {"reasoning_details": [DETAIL]}),
        ({"tool_calls": [CALL], "content": [THOUGHT]}, {"content": [THOUGHT]}),
        ({"tool_calls": [CALL], "content": [{"type": "text", "text": "hm"}]}, None),
        (
            {"tool_calls": [CALL, {**CALL, "extra_content": SIGNED}]},
            {"tool_calls": [None, SIGNED]},
        ),
    ],
)
def test_a_field_goes_back_as_it_came_where_tools_were_called(
    message: dict[str, Any], sealed: Any
) -> None:
    found = sealed_in(message)

    assert (None if found is None else decode(found)) == sealed
    fields = {"role": "assistant", "content": "", "tool_calls": [CALL, CALL]}
    again = with_sealed(fields, found)
    if sealed is not None:
        assert {name: again[name] for name in sealed if name != "tool_calls"} == {
            name: value for name, value in sealed.items() if name != "tool_calls"
        }

    signed = [call.get("extra_content") for call in again["tool_calls"]]
    assert signed == (sealed or {}).get("tool_calls", [None, None])


def test_what_another_format_has_sealed_is_left_out() -> None:
    calls = (ToolCall(id="a", name="f"),)
    ours, theirs = '{"reasoning": "hm"}', encode([{"type": "thinking", "signature": "s"}])
    for body, foreign in ((body_of, theirs), (message_body_of, ours)):
        messages = [
            ChatMessage(role="assistant", content="", tool_calls=calls, sealed_reasoning=sealed)
            for sealed in (foreign, None)
        ]
        bodies = {body(CompletionRequest(model="m", messages=(m,), max_tokens=9)) for m in messages}
        assert len(bodies) == 1


def test_a_stream_gives_signed_details_and_calls_at_once_each_for_itself() -> None:
    answer = StreamedAnswer()
    details = [
        {"type": "reasoning.text", "text": "h", "index": 0},
        {"type": "reasoning.text", "text": "m", "signature": "s", "index": 0},
        {"type": "reasoning.encrypted", "data": "yz", "index": 1},
    ]
    for detail in details:
        answer.add({"choices": [{"delta": {"reasoning_details": [detail]}}]})

    for name in ("a", "b"):  # Gemini gives all of them the index 0
        call = {"index": 0, **CALL, "id": name, "extra_content": SIGNED}
        answer.add({"choices": [{"delta": {"tool_calls": [call]}}]})

    answer.add({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    message = answer.payload()["choices"][0]["message"]

    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0},
        {"type": "reasoning.encrypted", "data": "yz", "index": 1},
    ]
    assert [call["id"] for call in message["tool_calls"]] == ["a", "b"]
    assert {call["function"]["arguments"] for call in message["tool_calls"]} == {"{}"}
    assert all(call["extra_content"] == SIGNED for call in message["tool_calls"])


TEXT = {"type": "text", "text": "Yes"}
SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}}
USE = {"type": "tool_use", "id": "a", "name": "f", "input": {"n": 4}}
SEALED = {"type": "redacted_thinking", "data": "yz"}
CITED = {**TEXT, "citations": [{"type": "web_search_result_location", "url": "https://a.test"}]}


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("content", "is_kept_whole"),
    [
        ([SEALED, TEXT, USE], False),
        ([TEXT, USE], False),
        ([SEALED, SEALED, USE, {**USE, "id": "b"}], False),
        ([TEXT, SEALED, USE], True),
        ([SEALED, TEXT, SEALED, TEXT, USE], True),
        ([TEXT, SEARCH, TEXT, USE], True),
        ([CITED, USE], True),
    ],
)
def test_a_message_goes_back_in_the_order_in_which_it_came(
    content: list[dict[str, Any]], is_kept_whole: bool, is_streamed: bool
) -> None:
    whole = {"id": "m", "model": "m", "content": content, "stop_reason": "tool_use", "usage": {}}
    if is_streamed:
        stream = StreamedMessage()
        for event in streamed(content):
            stream.add(event)

        payload = stream.payload()
    else:
        payload = chat_completion_in(whole)

    message = payload["choices"][0]["message"]
    text = "".join(part.get("text", "") for part in content)
    calls = [
        ToolCall(id=part["id"], name=part["name"], arguments=encode(part["input"]))
        for part in content
        if part["type"] == "tool_use"
    ]
    sealed = message.get("sealed_reasoning")
    asked = ChatMessage(
        role="assistant", content=text, tool_calls=tuple(calls), sealed_reasoning=sealed
    )
    body = message_body_of(CompletionRequest(model="m", messages=(asked,), max_tokens=9))

    assert decode(body.decode())["messages"][0]["content"] == content
    assert (sealed is not None and '"text"' in sealed) is is_kept_whole


def streamed(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A message as the events of a stream."""
    events: list[dict[str, Any]] = []
    for index, block in enumerate(content):
        emptied = {"text": "", "input": {}}
        started = {name: emptied.get(name, value) for name, value in block.items()}
        deltas: list[dict[str, Any]] = []
        if block["type"] == "text":
            deltas += [{"type": "text_delta", "text": piece} for piece in block["text"]]
            started.pop("citations", None)
            for citation in block.get("citations", ()):
                deltas.append({"type": "citations_delta", "citation": citation})

        if "input" in block:
            deltas += [
                {"type": "input_json_delta", "partial_json": piece}
                for piece in encode(block["input"])
            ]

        events.append({"type": "content_block_start", "index": index, "content_block": started})
        head = {"type": "content_block_delta", "index": index}
        events += [{**head, "delta": each} for each in deltas]

    return [*events, {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}]


def test_images_of_tools_follow_in_a_message_of_the_user() -> None:
    image = Image(url=f"data:image/png;base64,{png().hex()}")
    told = [
        ChatMessage(role="tool", content=content, tool_call_id=name)
        for name, content in (("a", "8"), ("b", (image,)), ("c", ("see", image)))
    ]
    request = CompletionRequest(model="m", messages=(*told, ChatMessage(role="user", content="?")))
    messages = decode(body_of(request).decode())["messages"]

    assert [message["role"] for message in messages] == ["tool", "tool", "tool", "user", "user"]
    assert [message["content"] for message in messages[:3]] == ["8", "[shown below]", "see"]
    shown = [part.get("text", "image") for part in messages[3]["content"]]
    assert shown == [
        *("Shown by the tool of call b:", "image"),
        *("Shown by the tool of call c:", "image"),
    ]


def test_an_sdk_gives_back_what_it_was_given() -> None:
    declared = Declared(("m",), {"model": "m", "extra": {}})
    said = {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "hm"}
    body = {"model": "m", "messages": [{"role": "user", "content": "?"}, said]}
    request = CHAT.read(body, declared)

    sent = decode(body_of(request).decode())["messages"][1]
    assert (sent["reasoning_content"], sent["tool_calls"]) == ("hm", [CALL])

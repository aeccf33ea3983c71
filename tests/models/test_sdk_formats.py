"""The formats that SDKs speak behind the gate: responses, messages and embeddings."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pydantic
import pytest

import penstock as ps
from penstock._base.json import encode
from penstock.models.chat_model import ChatMessage, Completion, Image, ToolCall, Usage
from penstock.models.model_errors import AuthenticationError, ModelError, RateLimitedError
from penstock.models.sdk.embeddings_wire import EMBEDDINGS
from penstock.models.sdk.messages_wire import MESSAGES
from penstock.models.sdk.responses_wire import RESPONSES
from penstock.models.sdk.wire import Declared, SdkFormat, UnreadableRequestError
from penstock.simulator import SimulatedProvider, SimulatorOptions
from tests.models.loopback import answers, http_server
from tests.models.studies import rows
from tests.models.test_conversing import provider
from tests.models.test_run_model import a_study, run
from tests.models.test_sdk_transport import agent_with

pytestmark = pytest.mark.anyio

FIELDS = {"model": "m-1", "max_completion_tokens": 20, "temperature": 0.5, "extra": {"top_k": 3}}
DECLARED = Declared(("small", "m-1"), FIELDS)
FUNCTION = {"name": "double", "description": "Double.", "parameters": {"type": "object"}}
TOLD = {"type": "function", "function": FUNCTION}
DATA = "data:image/png;base64,abcd"
CALLED = Completion(
    text="I will",
    tool_calls=(ToolCall(id="c1", name="double", arguments='{"n": 4}'),),
    finish_reason="tool_calls",
    model="m-2026",
    usage=Usage(
        input_tokens=50,
        cached_input_tokens=20,
        cache_write_tokens=10,
        output_tokens=7,
        reasoning_tokens=2,
    ),
)


def said(role: Any, content: Any = "", **fields: Any) -> ChatMessage:
    return ChatMessage(role=role, content=content, **fields)


def events_of(form: SdkFormat, completion: Completion) -> list[dict[str, Any]]:
    """The JSON of each event of a streamed answer."""
    assert form.events is not None
    whole = b"".join(form.events(completion, {"model": "small"})).decode()
    lines = [line for line in whole.splitlines() if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def test_a_response_is_read_as_a_conversation() -> None:
    request = RESPONSES.read(
        {
            "model": "small",
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Double "}]},
                {
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": DATA, "detail": "low"}],
                },
                {"type": "reasoning", "id": "r", "summary": []},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Yes"}],
                },
                {
                    "type": "function_call",
                    "call_id": "a",
                    "name": "double",
                    "arguments": "{}",
                },
                {"type": "function_call_output", "call_id": "a", "output": "8"},
            ],
            "max_output_tokens": 9,
            "temperature": None,
            "reasoning": {"effort": "low"},
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
            "tools": [{"type": "function", **FUNCTION, "strict": None}],
            "tool_choice": {"type": "function", "name": "double"},
            "parallel_tool_calls": False,
            "store": True,
        },
        DECLARED,
    )

    assert request.messages == (
        said("system", "Be brief."),
        said("user", "Double "),
        said("user", (Image(url=DATA, detail="low"),)),
        said("assistant", "Yes", tool_calls=(ToolCall(id="a", name="double"),)),
        said("tool", "8", tool_call_id="a"),
    )
    assert (request.model, request.max_tokens, request.max_completion_tokens) == ("m-1", 9, None)
    assert (request.temperature, request.reasoning_effort) == (0.5, "low")
    assert request.json_schema == {"type": "object"}
    assert request.tools == (TOLD,)
    assert request.extra == {
        "top_k": 3,
        "tool_choice": {"type": "function", "function": {"name": "double"}},
        "parallel_tool_calls": False,
    }


def test_a_message_is_read_as_a_conversation() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    request = MESSAGES.read(
        {
            "model": "m-1",
            "max_tokens": 9,
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [
                {"role": "user", "content": "Go"},
                {
                    "role": "assistant",
                    "content": [
                        thought,
                        {"type": "text", "text": "Yes"},
                        {"type": "tool_use", "id": "a", "name": "double", "input": {"n": 4}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "a", "content": "8"},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": "abcd"},
                        },
                        {"type": "text", "text": "And this?"},
                    ],
                },
            ],
            "stop_sequences": ["X"],
            "output_config": {"effort": "low"},
            "thinking": {"type": "adaptive"},
            "tools": [
                {"name": "double", "description": "Double.", "input_schema": {"type": "object"}},
                {"type": "web_search_20260209", "name": "web_search"},
            ],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            "cache_control": {"type": "ephemeral"},
        },
        DECLARED,
    )

    assert request.messages == (
        said("system", "Be brief."),
        said("user", "Go"),
        said(
            "assistant",
            "Yes",
            tool_calls=(ToolCall(id="a", name="double", arguments='{"n": 4}'),),
            sealed_reasoning=encode([thought]),
        ),
        said("tool", "8", tool_call_id="a"),
        said("user", (Image(url=DATA), "And this?")),
    )
    assert (request.max_tokens, request.stop, request.reasoning_effort) == (9, ("X",), "low")
    assert request.tools == (TOLD, {"type": "web_search_20260209", "name": "web_search"})
    assert request.extra == {
        "top_k": 3,
        "thinking": {"type": "adaptive"},
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "cache_control": {"type": "ephemeral"},
    }


ASKED: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "?"}]}
MARKED = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("form", "body", "why"),
    [
        (RESPONSES, {"model": "small", "input": "?", "previous_response_id": "r"}, "previous_"),
        (RESPONSES, {"model": "large", "input": "?"}, "'large' is not asked here"),
        (RESPONSES, {"model": "small"}, "there are none"),
        (RESPONSES, {"model": "small", "input": [{"type": "mcp_call"}]}, "'mcp_call' cannot be"),
        (
            RESPONSES,
            {"model": "small", "input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            "a part of type 'input_file'",
        ),
        (
            RESPONSES,
            {"model": "small", "input": "?", "tools": [{"type": "web_search"}]},
            "one of type 'web_search' cannot be called",
        ),
        (RESPONSES, {"model": "small", "input": "?", "text": {"x": 1}}, "text: x cannot be sent"),
        (
            MESSAGES,
            {**ASKED, "messages": [{"role": "user", "content": [MARKED]}]},
            "cache_control of a part cannot be sent",
        ),
        (
            MESSAGES,
            {**ASKED, "messages": [{"role": "user", "content": [{"type": "document"}]}]},
            "a part of type 'document'",
        ),
        (EMBEDDINGS, {"model": "small", "input": [[1, 2]]}, "tokens cannot be sent; give texts"),
        (EMBEDDINGS, {"model": "small", "input": "a", "stream": True}, "stream cannot be sent"),
    ],
)
def test_what_would_be_left_out_is_refused(form: SdkFormat, body: dict[str, Any], why: str) -> None:
    with pytest.raises(UnreadableRequestError, match=why):
        form.read(body, DECLARED)


async def test_what_has_not_the_form_of_a_format_is_refused_and_no_failure_of_the_agent(
    tmp_path: Path,
) -> None:
    bodies = {
        "/responses": b'{"model": "small", "input": [{"type": "function_call"}]}',
        "/v1/messages": b'{"model": "small", "messages": [{"content": "a"}]}',
        "/chat/completions": b'["small"]',
        "/embeddings": b"small",
    }

    async def talk(http: Any, _: ps.RunContext) -> Any:
        found = [await http.post(path, content=body) for path, body in bodies.items()]
        return [(each.status_code, each.json()["error"]["message"]) for each in found]

    asked: list[Any] = []
    async with http_server(provider("42", asked=asked)) as url:
        (result,) = await run(a_study(tmp_path, agent_with("httpx", talk), url))

    assert [status for status, _ in result.outputs["said"]] == [400] * 4
    assert "KeyError('call_id')" in result.outputs["said"][0][1]
    assert "is not an object" in result.outputs["said"][2][1]
    assert asked == []


def test_an_answer_is_a_message_with_tokens_counted_apart() -> None:
    answer = MESSAGES.answer(CALLED, {"model": "small"})

    assert answer["content"] == [
        {"type": "text", "text": "I will"},
        {"type": "tool_use", "id": "c1", "name": "double", "input": {"n": 4}},
    ]
    assert (answer["model"], answer["stop_reason"]) == ("m-2026", "tool_use")
    assert answer["usage"] == {
        "input_tokens": 20,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 10,
        "output_tokens": 7,
    }
    cut = MESSAGES.answer(Completion(text="I", finish_reason="length"), {"model": "small"})
    assert cut["stop_reason"] == "max_tokens"


def test_a_streamed_message_is_the_answer_in_events() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    completion = CALLED.model_copy(update={"sealed_reasoning": json.dumps([thought])})
    events = events_of(MESSAGES, completion)

    assert [each["type"] for each in events] == [
        "message_start",
        *("content_block_start", "content_block_delta", "content_block_delta"),
        *("content_block_stop", "content_block_start", "content_block_delta"),
        *("content_block_stop", "content_block_start", "content_block_delta"),
        *("content_block_stop", "message_delta", "message_stop"),
    ]
    deltas = [each["delta"] for each in events if each["type"] == "content_block_delta"]
    assert deltas == [
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "s"},
        {"type": "text_delta", "text": "I will"},
        {"type": "input_json_delta", "partial_json": '{"n": 4}'},
    ]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AuthenticationError("no"), "authentication_error"),
        (RateLimitedError("no"), "rate_limit_error"),
        (UnreadableRequestError("no"), "invalid_request_error"),
        (ModelError("no"), "api_error"),
    ],
)
def test_a_failure_is_told_to_an_sdk_of_anthropic_as_it_expects(
    error: ModelError | UnreadableRequestError, kind: str
) -> None:
    assert MESSAGES.error(error)["error"] == {
        "type": kind,
        "message": f"{type(error).__name__}: no",
    }


def test_an_answer_that_was_cut_is_an_incomplete_response() -> None:
    completion = Completion(text="I", reasoning="hm", finish_reason="length")
    answer = RESPONSES.answer(completion, {"model": "small"})

    assert (answer["status"], answer["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_output_tokens"},
    )
    assert answer["output"][0]["summary"] == [{"type": "summary_text", "text": "hm"}]
    last = events_of(RESPONSES, completion)[-1]
    assert (last["type"], last["response"]) == ("response.incomplete", answer)


class Number(pydantic.BaseModel):
    """What an answer is to be."""

    n: int


async def test_the_real_sdk_of_openai_asks_responses_behind_the_gate(tmp_path: Path) -> None:
    openai = pytest.importorskip("openai")
    httpx2 = importlib.import_module("httpx2")

    async def agent(ctx: ps.RunContext) -> dict[str, Any]:
        model = ctx.model("small")
        http = httpx2.AsyncClient(transport=model.transport())
        async with openai.AsyncOpenAI(
            base_url=model.base_url, api_key="-", http_client=http
        ) as client:
            tool = {"type": "function", **FUNCTION, "strict": False}
            asked: dict[str, Any] = {"model": "small", "tools": [tool]}
            called = await client.responses.create(**asked, input="Double 4")
            (call,) = called.output
            history = [
                {"role": "user", "content": "Double 4"},
                call.to_dict(),
                {"type": "function_call_output", "call_id": call.call_id, "output": "8"},
            ]
            told = await client.responses.create(**asked, input=history)
            async with client.responses.stream(**asked, input=history) as stream:
                kinds = [event.type async for event in stream]
                streamed = await stream.get_final_response()

            parsed = await client.responses.parse(
                model="small", input=[*history, *told.output], text_format=Number
            )
            return {
                "call": [call.name, call.arguments],
                "told": told.output_text,
                "streamed": streamed.output_text,
                "delta": "response.output_text.delta" in kinds,
                "parsed": parsed.output_parsed.n,
                "tokens": told.usage.total_tokens,
            }

    asked: list[Any] = []
    turns = ([("double", {"n": 4})], "8", '{"n": 8}')
    async with http_server(provider(*turns, asked=asked)) as url:
        study = a_study(tmp_path, agent, url)
        (result,) = await run(study)

    assert result.error is None
    assert result.outputs == {
        "call": ["double", '{"n": 4}'],
        "told": "8",
        "streamed": "8",
        "delta": True,
        "parsed": 8,
        "tokens": 15,
    }
    assert [message["role"] for message in asked[1]["messages"]] == ["user", "assistant", "tool"]
    assert asked[3]["response_format"]["json_schema"]["schema"]["required"] == ["n"]
    assert rows(study, "SELECT count(*) AS n FROM calls") == [{"n": 4}]


async def test_embeddings_are_calls_that_cost_their_prompts_and_are_kept(tmp_path: Path) -> None:
    openai = pytest.importorskip("openai")
    httpx2 = importlib.import_module("httpx2")

    async def agent(ctx: ps.RunContext) -> list[float]:
        model = ctx.model("small")
        http = httpx2.AsyncClient(transport=model.transport())
        async with openai.AsyncOpenAI(
            base_url=model.base_url, api_key="-", http_client=http
        ) as client:
            ask = client.embeddings.create
            packed = await ask(model="small", input=["abcd", "efgh"])
            plain = await ask(model="small", input="abcd", dimensions=8, encoding_format="float")
            assert packed.usage.prompt_tokens == 2 * 5
            first, second = (each.embedding for each in packed.data)
            assert first == pytest.approx(plain.data[0].embedding)
            return [len(first), float(first != second)]

    async with SimulatedProvider(SimulatorOptions(latency_s=0.0)) as simulated:
        study = a_study(tmp_path, agent, simulated.url, budget={"max_tokens": 60})
        (result,) = await run(study)
        (first, _) = simulated.records

    assert result.error is None
    assert result.outputs["value"] == [8, 1.0]
    assert (first.input_tokens, first.output_tokens) == (10, 0)
    assert (result.metrics["input_tokens"], result.metrics["output_tokens"]) == (15, 0)
    assert result.cost_usd == pytest.approx(0.015)
    kept = rows(study, "SELECT messages, answer, options, is_usage_estimated FROM calls")
    assert json.loads(kept[0]["messages"])[1] == {"role": "user", "content": "efgh"}
    assert json.loads(kept[1]["options"])["is_embedding"] is True
    assert len(json.loads(kept[1]["answer"])[0]) == 8
    assert [each["is_usage_estimated"] for each in kept] == [0, 0]


@pytest.mark.parametrize(
    ("small", "body", "why"),
    [
        ({"provider": "anthropic"}, {}, "makes no embeddings"),
        ({}, {"object": "list", "data": "none"}, "no choices"),
    ],
)
async def test_who_makes_no_embeddings_says_so(
    tmp_path: Path, small: dict[str, Any], body: Any, why: str
) -> None:
    async def talk(http: Any, _: ps.RunContext) -> Any:
        answer = await http.post("/embeddings", json={"model": "small", "input": "a"})
        return answer.json()["error"]["message"]

    async with http_server(answers(body)) as url:
        (result,) = await run(a_study(tmp_path, agent_with("httpx", talk), url, small=small))

    assert why in result.outputs["said"]

"""Endpoints that speak Anthropic's messages: what is sent, what is read, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from aiohttp import web

import penstock as ps
from penstock.models.anthropic.message_body import message_body_of
from penstock.models.anthropic.message_reading import StreamedMessage
from penstock.models.anthropic.messages_client import AnthropicChatModel
from penstock.models.chat_model import (
    ChatMessage,
    Completion,
    CompletionRequest,
    Image,
    ToolCall,
    Usage,
)
from penstock.models.gate.prices import Prices
from penstock.models.gate.worst_case import WorstCases
from penstock.models.model_errors import (
    AuthenticationError,
    BadRequestError,
    ContextTooLongError,
    ModelConnectionError,
    ModelError,
    OverloadedError,
    RateLimitedError,
    RefusalError,
)
from penstock.simulator import SimulatedProvider, SimulatorOptions
from penstock.study.spending import Price
from tests.models.loopback import CANARY, Handler, answers, http_server
from tests.models.studies import chat, chat_study, rows
from tests.models.test_run_model import a_study, run

pytestmark = pytest.mark.anyio

ASKED = CompletionRequest(
    model="m", max_tokens=9, messages=(ChatMessage(role="user", content="6 x 7?"),)
)
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m-2026",
    "content": [{"type": "text", "text": "42"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 3},
}
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "s1gned"}
SEALED = {"type": "redacted_thinking", "data": "c2VhbGVk"}
TOOL = {
    "type": "function",
    "function": {"name": "double", "description": "Double.", "parameters": {}},
}


def body(*messages: ChatMessage, **fields: Any) -> dict[str, Any]:
    """What is sent for a request."""
    asked = ASKED.model_copy(update={"messages": messages or ASKED.messages, **fields})
    found: dict[str, Any] = json.loads(message_body_of(asked))
    return found


def said(role: Any, content: Any, **fields: Any) -> ChatMessage:
    return ChatMessage(role=role, content=content, **fields)


async def ask(url: str, request: CompletionRequest = ASKED) -> Completion:
    async with AnthropicChatModel(url, api_key=CANARY, timeout_s=10.0) as model:
        return await model.complete(request)


async def read(message: Any) -> Completion:
    async with http_server(answers(message)) as url:
        return await ask(url)


def test_options_have_the_names_of_the_format() -> None:
    sent = body(
        temperature=0.5,
        top_p=0.9,
        stop=("X",),
        reasoning_effort="low",
        json_schema={"type": "object"},
        stream=True,
        tools=(TOOL, {"type": "web_search_20260209", "name": "web_search"}),
        extra={"thinking": {"type": "adaptive"}, "top_k": 3},
    )

    assert sent == {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "6 x 7?"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_sequences": ["X"],
        "tools": [
            {"name": "double", "description": "Double.", "input_schema": {"type": "object"}},
            {"type": "web_search_20260209", "name": "web_search"},
        ],
        "output_config": {
            "effort": "low",
            "format": {"type": "json_schema", "schema": {"type": "object"}},
        },
        "stream": True,
        "thinking": {"type": "adaptive"},
        "top_k": 3,
    }


@pytest.mark.parametrize(
    ("extra", "sent"),
    [
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "double"}}},
            {"type": "tool", "name": "double"},
        ),
        ({"tool_choice": {"type": "any"}}, {"type": "any"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_a_choice_of_tools_as_chat_completions_have_it_is_put_into_the_format(
    extra: dict[str, Any], sent: dict[str, Any]
) -> None:
    found = body(tools=(TOOL,), extra=extra)

    assert found["tool_choice"] == sent
    assert "parallel_tool_calls" not in found


def test_a_conversation_with_tools_and_images_is_sent_in_turns() -> None:
    pixel = Image(url="data:image/png;base64,abcd")
    drawn = Image(url="https://example.test/a.png")
    calls = tuple(ToolCall(id=name, name="double", arguments='{"n": 4}') for name in ("a", "b"))
    sent = body(
        said("system", "Be brief."),
        said("developer", "Be kind."),
        said("user", (pixel, drawn, "Double both.")),
        said("assistant", "Yes.", tool_calls=calls, sealed_reasoning=json.dumps([SIGNED, SEALED])),
        said("tool", "8", tool_call_id="a"),
        said("tool", (pixel,), tool_call_id="b"),
        said("assistant", "8 and"),
    )

    base64 = {"type": "base64", "media_type": "image/png", "data": "abcd"}
    image = {"type": "image", "source": base64}
    assert sent["system"] == "Be brief.\n\nBe kind."
    user, assistant, results, begun = sent["messages"]
    assert user["content"] == [
        image,
        {"type": "image", "source": {"type": "url", "url": "https://example.test/a.png"}},
        {"type": "text", "text": "Double both."},
    ]
    assert assistant["content"] == [
        SIGNED,
        SEALED,
        {"type": "text", "text": "Yes."},
        {"type": "tool_use", "id": "a", "name": "double", "input": {"n": 4}},
        {"type": "tool_use", "id": "b", "name": "double", "input": {"n": 4}},
    ]
    assert results == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": "8"},
            {"type": "tool_result", "tool_use_id": "b", "content": [image]},
        ],
    }
    assert begun == {"role": "assistant", "content": "8 and"}


@pytest.mark.parametrize("arguments", ["{", "[1]", "null"])
def test_arguments_that_a_model_wrote_badly_are_sent_back_as_none(arguments: str) -> None:
    call = ToolCall(id="a", name="f", arguments=arguments)
    sent = body(said("user", "Go"), said("assistant", "", tool_calls=(call,)))

    assert sent["messages"][1]["content"] == [
        {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    ]


@pytest.mark.parametrize(
    ("messages", "fields", "why"),
    [
        ((), {"max_tokens": None}, "max_tokens: Anthropic's messages want it"),
        ((), {"seed": 3, "logprobs": True}, "seed and logprobs: Anthropic's messages have none"),
        ((said("user", "a"), said("system", "b")), {}, "at the beginning alone"),
        ((said("user", "a", name="Bob"),), {}, "name: Anthropic's messages have none"),
    ],
)
def test_what_the_format_does_not_have_is_not_sent(
    messages: Sequence[ChatMessage], fields: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadRequestError, match=why):
        body(*messages, **fields)


async def test_the_request_has_its_path_key_and_version(tmp_path: Path) -> None:
    heads: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        heads.append((request.path, request.headers))
        return web.json_response(MESSAGE)

    async with http_server(handler) as url:
        completion = await ask(f"{url}/messages/")

    ((path, headers),) = heads
    assert (path, headers["x-api-key"]) == ("/v1/messages", CANARY)
    assert headers["anthropic-version"] == "2023-06-01"
    assert "Authorization" not in headers
    assert (completion.text, completion.model, completion.finish_reason) == (
        "42",
        "m-2026",
        "end_turn",
    )
    assert completion.usage == Usage(input_tokens=12, output_tokens=3)


async def test_thoughts_calls_and_caches_are_read() -> None:
    used = {
        "input_tokens": 10,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_1h_input_tokens": 20, "ephemeral_5m_input_tokens": 10},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 40},
    }
    call = {"type": "tool_use", "id": "t1", "name": "double", "input": {"n": 4}}
    content = [SIGNED, SEALED, {"type": "text", "text": "I will."}, call]
    completion = await read(
        {**MESSAGE, "content": content, "stop_reason": "tool_use", "usage": used}
    )

    assert (completion.text, completion.reasoning) == ("I will.", "hm")
    assert completion.tool_calls == (ToolCall(id="t1", name="double", arguments='{"n": 4}'),)
    assert json.loads(completion.sealed_reasoning or "") == [SIGNED, SEALED]
    assert completion.usage == Usage(
        input_tokens=240,
        cached_input_tokens=200,
        cache_write_tokens=30,
        cache_write_1h_tokens=20,
        output_tokens=50,
        reasoning_tokens=40,
    )


def test_tokens_of_caches_cost_what_they_cost() -> None:
    price = Price(
        input_usd_per_million=3.0,
        output_usd_per_million=15.0,
        cached_input_usd_per_million=0.3,
        cache_write_usd_per_million=3.75,
        cache_write_1h_usd_per_million=6.0,
    )
    usage = Usage(
        input_tokens=1000,
        cached_input_tokens=500,
        cache_write_tokens=300,
        cache_write_1h_tokens=100,
        output_tokens=10,
    )
    expected = (200 * 3 + 500 * 0.3 + 200 * 3.75 + 100 * 6 + 10 * 15) / 1e6
    prices = Prices({"m": price})

    assert prices.cost_usd("m", usage) == pytest.approx(expected)
    kept = ASKED.model_copy(update={"extra": {"cache_control": {"type": "ephemeral"}}})
    worst = WorstCases(prices).expect(kept, "u")
    assert worst.cost_usd == pytest.approx((worst.input_tokens * 6 + 9 * 15) / 1e6)


def test_a_published_price_knows_what_a_cache_costs() -> None:
    url = "https://api.anthropic.com/v1"
    plain, read_, written, kept = (
        Prices({}).cost_usd("claude-sonnet-4-5", Usage(input_tokens=10**6, **fields), url)
        for fields in (
            {},
            {"cached_input_tokens": 10**6},
            {"cache_write_tokens": 10**6},
            {"cache_write_tokens": 10**6, "cache_write_1h_tokens": 10**6},
        )
    )
    assert plain is not None
    assert [read_, written] == pytest.approx([plain / 10, plain * 1.25])
    assert kept == pytest.approx(plain * 2)


def test_a_price_without_the_newer_field_is_written_as_it_was() -> None:
    price = Price(input_usd_per_million=1.0, output_usd_per_million=2.0)
    assert "cache_write_1h_usd_per_million" not in price.model_dump()


async def test_a_refusal_says_why() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "Not about that."}
    refused = {**MESSAGE, "content": [], "stop_reason": "refusal", "stop_details": details}
    with pytest.raises(RefusalError, match="declined: Not about that") as caught:
        await read(refused)

    assert caught.value.usage == Usage(input_tokens=12, output_tokens=3)


@pytest.mark.parametrize(
    ("status", "kind", "sentence", "expected"),
    [
        (400, "invalid_request_error", "max_tokens: Field required", BadRequestError),
        (400, "invalid_request_error", "prompt is too long: 9 > 8", ContextTooLongError),
        (400, "invalid_request_error", "Your credit balance is too low", AuthenticationError),
        (401, "authentication_error", "invalid x-api-key", AuthenticationError),
        (404, "not_found_error", "model: m", BadRequestError),
        (413, "request_too_large", "Request exceeds the maximum size", ContextTooLongError),
        (429, "rate_limit_error", "This request would exceed the limit", RateLimitedError),
        (500, "api_error", "Internal server error", OverloadedError),
        (529, "overloaded_error", "Overloaded", OverloadedError),
        (200, "overloaded_error", "Overloaded", OverloadedError),
    ],
)
async def test_an_error_is_what_it_says(
    status: int, kind: str, sentence: str, expected: type[ModelError]
) -> None:
    error = {"type": "error", "error": {"type": kind, "message": sentence}, "request_id": "r"}
    headers = {"request-id": "req_1", "retry-after": "7"}
    async with http_server(answers(error, status=status, headers=headers)) as url:
        with pytest.raises(ModelError) as caught:
            await ask(url)

    assert type(caught.value) is expected
    assert (caught.value.request_id, caught.value.retry_after_s) == ("req_1", 7.0)
    assert sentence in str(caught.value)
    assert caught.value.is_refusal == (status in {429, 529, 200})


def stream(*events: dict[str, Any]) -> Handler:
    written = [f"event: {each['type']}\ndata: ".encode() + orjson.dumps(each) for each in events]
    headers = {"Content-Type": "text/event-stream"}

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b"\n\n".join(written) + b"\n\n", headers=headers)

    return handler


BEGUN = {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
WORDS = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "4"}}


async def test_a_stream_is_put_together() -> None:
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    call = {"type": "tool_use", "id": "t1", "name": "double", "input": {}}

    def delta(index: int, **fields: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": fields}

    events: list[dict[str, Any]] = [
        BEGUN,
        {"type": "ping"},
        {**TEXT, "content_block": thinking},
        delta(0, type="thinking_delta", thinking="h"),
        delta(0, type="thinking_delta", thinking="m"),
        delta(0, type="signature_delta", signature="s1gned"),
        {**TEXT, "index": 1},
        {**WORDS, "index": 1},
        delta(1, type="text_delta", text="2"),
        {**TEXT, "index": 2, "content_block": call},
        delta(2, type="input_json_delta", partial_json=""),
        delta(2, type="input_json_delta", partial_json='{"n"'),
        delta(2, type="input_json_delta", partial_json=": 4}"),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 30, "input_tokens": None},
        },
        {"type": "message_stop"},
    ]
    async with http_server(stream(*events)) as url:
        completion = await ask(url)

    assert (completion.text, completion.reasoning) == ("42", "hm")
    assert completion.tool_calls == (ToolCall(id="t1", name="double", arguments='{"n": 4}'),)
    assert json.loads(completion.sealed_reasoning or "") == [SIGNED]
    assert completion.usage == Usage(input_tokens=12, output_tokens=30)
    assert completion.first_token_s is not None


async def test_a_stream_that_breaks_off_is_no_answer() -> None:
    async with http_server(stream(BEGUN, TEXT, WORDS)) as url:
        with pytest.raises(ModelConnectionError, match="in the middle of the answer"):
            await ask(url)

    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    async with http_server(stream(BEGUN, TEXT, WORDS, overloaded)) as url:
        with pytest.raises(OverloadedError, match="Overloaded") as caught:
            await ask(url)

    assert caught.value.may_be_billed


@pytest.mark.parametrize(
    ("begun", "ended"),
    [
        ({"input_tokens": 12, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 3}),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 12, "output_tokens": 3}),
        ({"input_tokens": 12, "output_tokens": 1}, {"output_tokens": 3}),
    ],
)
def test_a_count_of_0_says_nothing_wherever_in_a_stream_it_stands(
    begun: dict[str, int], ended: dict[str, int]
) -> None:
    pieces = StreamedMessage()
    pieces.add({"type": "message_start", "message": {"id": "m", "usage": begun}})
    pieces.add({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": ended})
    assert pieces.payload()["usage"] == {"input_tokens": 12, "output_tokens": 3}


def test_what_is_no_event_of_a_message_is_passed_over() -> None:
    pieces = StreamedMessage()
    nothing: tuple[Any, ...] = (None, [], {"type": "new"}, {"type": "message_start"})
    for odd in (*nothing, {"type": "message_delta"}):
        pieces.add(odd)

    assert (pieces.is_begun, pieces.is_finished) == (False, False)


# --- studies ---------------------------------------------------------------------------------


def test_no_library_and_no_address_are_needed(tmp_path: Path) -> None:
    agent = {"chat": {"provider": "anthropic", "model": "claude-sonnet-4-5", "max_tokens": 10}}
    study = chat_study(tmp_path, agent, budget={"max_cost_usd": 1}, prices={})
    ps.StudyRunner(study)

    limits = {name: {"max_in_flight": 2} for name in ("anthropic", "https://api.anthropic.com/v1")}
    for name, each in limits.items():
        ps.StudyRunner(chat_study(tmp_path, agent, limits={name: each}))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"max_tokens": None}, "agent 'gpt': max_tokens: Anthropic's messages want it"),
        ({"seed": True}, "seed: Anthropic's messages have none"),
        ({"logprobs": True}, "logprobs: Anthropic's messages have none"),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_runs(
    tmp_path: Path, fields: dict[str, Any], why: str
) -> None:
    with pytest.raises(ps.ValidationError, match=why):
        ps.StudyRunner(chat_study(tmp_path, chat("http://127.0.0.1:9/v1/messages", **fields)))


async def test_an_address_that_ends_in_messages_is_asked_so(tmp_path: Path) -> None:
    async with SimulatedProvider(SimulatorOptions(latency_s=0.0, answers=("42",))) as provider:
        study = chat_study(tmp_path, chat(f"{provider.url}/messages"), factors=())
        (result,) = await run(study)

    assert (result.outputs["text"], result.provenance["finish_reason"]) == ("42", "end_turn")
    (call,) = rows(study, "SELECT endpoint FROM calls")
    assert call["endpoint"] == provider.url


async def test_an_agent_calls_tools_and_gives_back_what_was_signed(tmp_path: Path) -> None:
    asked: list[Any] = []
    call = {"type": "tool_use", "id": "t1", "name": "double", "input": {"number": 4}}

    async def handler(request: web.Request) -> web.Response:
        asked.append(await request.json())
        if len(asked) == 1:
            turn = {"content": [SIGNED, call], "stop_reason": "tool_use"}
            return web.json_response({**MESSAGE, **turn})

        return web.json_response(MESSAGE)

    async def double(number: int) -> int:
        return 2 * number

    def agent(*, is_cut: bool) -> Any:
        async def talk(ctx: ps.RunContext) -> str:
            talked = await ctx.model("small").run("Double 4", tools=[double])
            if is_cut:
                runner.cancel()
                await anyio.sleep_forever()

            return talked.text

        return talk

    small = {"provider": "anthropic", "base_url": ""}
    async with http_server(handler) as url:
        small["base_url"] = url
        runner = ps.StudyRunner(a_study(tmp_path, agent(is_cut=True), url, small=dict(small)))
        await runner.run()
        study = a_study(tmp_path, agent(is_cut=False), url, small=dict(small))
        (result,) = await run(study)

    assert (result.outputs["text"], len(asked)) == ("42", 2)
    assert result.metrics["replayed_calls"] == 2
    _, assistant, results = asked[1]["messages"]
    assert assistant["content"] == [SIGNED, call]
    assert results["content"][0] == {"type": "tool_result", "tool_use_id": "t1", "content": "8"}


async def test_a_cache_is_paid_for_as_the_provider_counts_it(tmp_path: Path) -> None:
    price = {
        "input_usd_per_million": 1000.0,
        "output_usd_per_million": 0.0,
        "cached_input_usd_per_million": 100.0,
        "cache_write_usd_per_million": 1250.0,
    }
    options = SimulatorOptions(latency_s=0.0, answers=("42",))
    async with SimulatedProvider(options) as provider:
        agent = chat(
            f"{provider.url}/messages",
            system="x" * 400,
            prompt="abcd",
            extra={"cache_control": {"type": "ephemeral"}},
        )
        prices = {"some-model": price}
        study = chat_study(tmp_path, agent, factors=(), replicates=2, prices=prices)
        results = await run(study, concurrency=1)

    first, second = (result.metrics for result in results)
    assert first["input_tokens"] == second["input_tokens"] == 109
    assert first["cost_usd"] == pytest.approx((100 * 1250 + 9 * 1000) / 1e6)
    assert second["cost_usd"] == pytest.approx((100 * 100 + 9 * 1000) / 1e6)
    assert (first.get("cached_input_tokens"), second["cached_input_tokens"]) == (None, 100)

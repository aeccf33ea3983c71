"""Streamed answers: what their events say together, however they are cut into pieces."""

from __future__ import annotations

from typing import Any

import anyio
import orjson
import pytest
from aiohttp import web
from anyio.abc import SocketStream
from hypothesis import given
from hypothesis import strategies as st

from penstock.models import model_errors as errors
from penstock.models.chat_model import Completion, ToolCall, Usage
from penstock.models.model_errors import ModelError, ModelTimeoutError
from penstock.models.openai.streaming import EventReader, ServerEvent
from tests.models.loopback import ANSWER, REQUEST, answers, ask, http_server, tcp_server

pytestmark = pytest.mark.anyio

STREAMED = REQUEST.model_copy(update={"stream": True})
HEAD = {"id": "c1", "model": "served", "system_fingerprint": "fp"}
USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}


USED = {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}
STOP = {"finish_reason": "stop"}


def piece(text: Any = None, **choice: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return HEAD | {"choices": [{"index": 0, "delta": delta, **choice}]}


END = piece(**STOP)


def events(*pieces: Any, done: bool = True) -> bytes:
    body = b": keep-alive\n\n" + b"".join(b"data: %s\n\n" % orjson.dumps(each) for each in pieces)
    return body + b"data: [DONE]\n\n" * done


WHOLE = events(piece(""), piece("4"), piece("2"), piece(finish_reason="stop"), USAGE)


async def streamed(body: bytes) -> Completion:
    async def handler(request: web.Request) -> web.Response:
        assert (await request.json())["stream_options"] == {"include_usage": True}
        return web.Response(body=body, content_type="text/event-stream", charset="utf-8")

    async with http_server(handler) as base_url:
        return await ask(base_url, STREAMED)


async def failure(body: bytes) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await streamed(body)

    return caught.value


async def test_a_streamed_answer_is_put_together_and_tells_when_it_began() -> None:
    completion = await streamed(WHOLE)
    assert completion.first_token_s is not None
    assert 0 < completion.first_token_s <= completion.provider_s
    assert completion == Completion(
        text="42",
        model="served",
        finish_reason="stop",
        usage=Usage(input_tokens=5, output_tokens=2),
        system_fingerprint="fp",
        request_id="c1",
        provider_s=completion.provider_s,
        first_token_s=completion.first_token_s,
        http_status=200,
    )


@pytest.mark.virtual_time
async def test_the_first_token_is_timed_when_it_comes_and_not_at_the_end() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(events(piece("4"), done=False))
        await anyio.sleep(0.05)
        await response.write(events(piece("2", finish_reason="stop")))
        return response

    async with http_server(handler) as base_url:
        completion = await ask(base_url, STREAMED)

    assert completion.first_token_s is not None
    assert completion.first_token_s <= completion.provider_s - 0.04


async def test_thinking_aloud_is_the_first_token_and_not_the_answer() -> None:
    thought = {"choices": [{"delta": {"reasoning_content": "hm"}}]}
    completion = await streamed(events(thought, piece("42", finish_reason="stop")))
    assert completion.text == "42"
    assert completion.first_token_s is not None


async def test_log_probabilities_of_all_pieces_are_kept_in_order() -> None:
    tokens = [piece(text, logprobs={"content": [{"token": text}]}) for text in "42"]
    completion = await streamed(events(*tokens))
    assert completion.logprobs == {"content": [{"token": "4"}, {"token": "2"}]}


async def test_a_server_that_ignores_the_wish_for_a_stream_is_understood() -> None:
    async with http_server(answers()) as base_url:
        completion = await ask(base_url, STREAMED)

    assert (completion.text, completion.first_token_s) == ("42", None)


async def test_a_stream_that_gives_its_reason_needs_no_done() -> None:
    body = events(piece("42", finish_reason="stop"), done=False)
    assert (await streamed(body.rstrip(b"\n"))).text == "42"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", errors.ModelConnectionError),
        (events(piece("4"), done=False), errors.ModelConnectionError),
        (b'data: {"choices"\n\n', errors.MalformedResponseError),
        (b"<html><h1>Log in</h1></html>", errors.MalformedResponseError),
        (b'[{"error": {"message": "no", "code": 429}}]', errors.RateLimitedError),
        (b": working\n\n: working\n\n", errors.ModelConnectionError),
        (events(), errors.MalformedResponseError),
        (events([1], {"choices": 3}, piece(finish_reason="stop")), errors.MalformedResponseError),
        (events(piece("4"), {"error": {"message": "no", "code": 429}}), errors.RateLimitedError),
        (events({"error": {"message": "no", "type": "server_error"}}), errors.OverloadedError),
        (events(piece("4", finish_reason="content_filter")), errors.ContentFilteredError),
        (
            events({"choices": [{"delta": {"refusal": "I will not"}}]}),
            errors.RefusalError,
        ),
    ],
)
async def test_what_is_wrong_with_a_stream_is_told_apart(
    body: bytes, kind: type[ModelError]
) -> None:
    assert type(await failure(body)) is kind


@pytest.mark.virtual_time
async def test_a_stream_that_stalls_between_tokens_says_so() -> None:
    async def stall(stream: SocketStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        await stream.send(events(piece("4"), done=False))
        await anyio.sleep_forever()

    async with tcp_server(stall) as base_url:
        with pytest.raises(ModelTimeoutError) as caught:
            await ask(base_url, STREAMED, timeout_s=0.2)

    assert caught.value.phase == "stalled"


@pytest.mark.virtual_time
async def test_a_server_that_keeps_the_line_open_after_done_does_not_hold_the_answer_up() -> None:
    async def linger(stream: SocketStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + WHOLE)
        await anyio.sleep_forever()

    async with tcp_server(linger) as base_url:
        completion = await ask(base_url, STREAMED)

    assert completion.text == "42"
    assert completion.provider_s < 5


@given(
    st.lists(st.integers(0, 200), max_size=6).map(sorted),
    st.sampled_from([b"\n", b"\r\n"]),
    st.lists(st.text(max_size=10).map(orjson.dumps), max_size=5),
)
def test_events_are_the_same_however_they_are_cut(
    cuts: list[int], end: bytes, data: list[bytes]
) -> None:
    body = b"".join(b"event: x%b: note%bdata:%b%b%b" % (end, end, each, end, end) for each in data)
    reader, found = EventReader(), []
    for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True):
        found += reader.feed(body[start:stop] if start < stop else b"")

    assert [event.data for event in found + reader.close()] == data


def test_the_lines_of_one_event_belong_together() -> None:
    reader = EventReader()
    assert reader.feed(b"data: a\ndata: b\nid: 1\n") == []
    assert reader.close() == [ServerEvent("", b"a\nb")]
    assert reader.close() == []


BROKEN: list[tuple[str, bytes, type[ModelError], str]] = [
    (
        "vLLM",
        b'data: {"object":"error","message":"engine died","code":500}\n\ndata: [DONE]\n\n',
        errors.OverloadedError,
        "engine died",
    ),
    (
        "FastAPI",
        b'data: {"detail":"Internal Server Error"}\n\n',
        errors.OverloadedError,
        "Internal Server Error",
    ),
    (
        "an event of the name",
        b'event: error\ndata: {"message":"upstream overloaded","code":529}\n\n',
        errors.OverloadedError,
        "upstream overloaded",
    ),
    (
        "Anthropic",
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n',
        errors.OverloadedError,
        "overloaded_error",
    ),
    (
        "MiniMax",
        b'data: {"base_resp":{"status_code":1027,"status_msg":"output new_sensitive"}}\n\n',
        errors.ContentFilteredError,
        "output new_sensitive",
    ),
    ("words", b"event: error\ndata: boom\n\n", errors.OverloadedError, "boom"),
    ("a problem", b'data: {"status":500,"title":"died"}\n\n', errors.OverloadedError, "died"),
]


@pytest.mark.field("models-F4")
@pytest.mark.parametrize(
    ("error", "kind", "said"), [each[1:] for each in BROKEN], ids=[each[0] for each in BROKEN]
)
async def test_a_stream_that_breaks_off_with_an_error_is_that_error_and_may_be_billed(
    error: bytes, kind: type[ModelError], said: str
) -> None:
    whole = await failure(events(piece("par"), done=False) + error)
    assert type(whole) is kind
    assert said in str(whole)
    assert whole.may_be_billed
    assert not (await failure(error)).may_be_billed, "nothing was written"


@pytest.mark.field("models-F4")
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (b'{"error":{"message":"boom"}}\n', errors.OverloadedError),
        (b"data: [ERROR] boom\n\n", errors.MalformedResponseError),
    ],
)
async def test_what_breaks_a_stream_that_has_begun_may_be_billed_whatever_its_form(
    error: bytes, kind: type[ModelError]
) -> None:
    whole = await failure(events(piece("par"), done=False) + error)
    assert type(whole) is kind
    assert "boom" in str(whole)
    assert whole.may_be_billed


@pytest.mark.field("models-F4")
async def test_a_stream_that_is_done_without_a_reason_is_an_answer_of_an_unknown_ending() -> None:
    completion = await streamed(events(piece("par")))
    assert (completion.text, completion.finish_reason) == ("par", None)


ODD: list[tuple[str, bytes]] = [
    ("a list of parts", events(piece([{"type": "text", "text": "4"}]), piece("2"), END)),
    ("no index", events(piece("4", index=None), piece("2", index=None), END)),
    ("another index", events(piece("4", index=1), piece("2", index=1), piece(**STOP, index=1))),
    ("an index as text", events(piece("4", index="0"), piece("2", index="0"), END)),
    ("a second choice", events(piece("4"), piece("no", index=1), piece("2"), END)),
    ("a mark of UTF-8", b"\xef\xbb\xbf" + events(piece("4"), piece("2"), END)[14:]),
    (
        "no blank lines between",
        b"data: %s\ndata: %s\ndata: %s\n\n"
        % tuple(map(orjson.dumps, (piece("4"), piece("2"), END))),
    ),
    (
        "a space after the end",
        events(piece("4"), piece("2"), END, done=False) + b"data: [DONE] \n\n",
    ),
    ("the word null", events(piece("4", finish_reason="null"), piece("2"), END)),
    (
        "the whole message at the end",
        events(
            piece("4"), piece("2"), HEAD | {"choices": [{"message": {"content": "42"}, **STOP}]}
        ),
    ),
    (
        "usage in the choice",
        events(piece("4"), piece("2"), HEAD | {"choices": [{"delta": {}, **STOP, **USED}]}),
    ),
    ("usage of Groq", events(piece("4"), piece("2"), END, {"choices": [], "x_groq": USED})),
    (
        "usage that grows in every piece",
        events(
            piece("4") | {"usage": {"prompt_tokens": 5, "completion_tokens": 1}},
            piece("2") | USED,
            END | {"usage": {"prompt_tokens": 0, "completion_tokens": 0}},
        ),
    ),
    ("usage after the end", events(piece("4"), piece("2"), END) + events(USAGE, done=False)),
    (
        "nonsense after the end",
        events(piece("4"), piece("2"), END) + b'data: {"error": "late"}\n\ndata: bye\n\n',
    ),
]


@pytest.mark.field("models-F10", "models-F5")
@pytest.mark.parametrize("body", [each[1] for each in ODD], ids=[each[0] for each in ODD])
async def test_what_is_plainly_there_is_read(body: bytes) -> None:
    completion = await streamed(body)
    assert (completion.text, completion.finish_reason) == ("42", "stop")
    if b"prompt_tokens" in body:
        assert completion.usage == Usage(input_tokens=5, output_tokens=2)


@pytest.mark.field("models-F10")
@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/plain", "", "Text/Event-Stream", "text/event-stream;charset=utf-8"],
)
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"\n", b"event: message\n"])
async def test_a_stream_is_known_by_what_it_is_and_not_by_its_type(
    content_type: str, before: bytes
) -> None:
    async def handler(_: web.Request) -> web.Response:
        body = before + WHOLE.removeprefix(b": keep-alive\n\n")
        return web.Response(body=body, headers={"Content-Type": content_type})

    async with http_server(handler) as base_url:
        assert (await ask(base_url, STREAMED)).text == "42"


async def test_a_body_that_only_calls_itself_a_stream_is_read() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(ANSWER), content_type="text/event-stream")

    async with http_server(handler) as base_url:
        assert (await ask(base_url, STREAMED)).text == "42"


@pytest.mark.field("models-F12")
async def test_calls_of_tools_are_put_together() -> None:
    pieces = [
        {"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 1, "id": "c2", "function": {"name": "g", "arguments": "{}"}},
        {"index": 0, "function": {"arguments": ":1}"}},
    ]
    chunks = [HEAD | {"choices": [{"delta": {"tool_calls": [each]}}]} for each in pieces]
    completion = await streamed(events(*chunks, piece(finish_reason="tool_calls")))
    assert completion.tool_calls == (
        ToolCall(id="c1", name="f", arguments='{"a":1}'),
        ToolCall(id="c2", name="g", arguments="{}"),
    )


@pytest.mark.field("models-F12")
@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        pytest.param(
            [
                {"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}},
                {"index": 0, "id": "c2", "function": {"name": "g", "arguments": "{}"}},
            ],
            [("c1", "f", "{}"), ("c2", "g", "{}")],
            id="one index for all, as of Gemini",
        ),
        pytest.param(
            [
                {"id": "", "function": {"name": "f", "arguments": "{}"}},
                {"id": "", "function": {"name": "f", "arguments": "{}"}},
            ],
            [("", "f", "{}"), ("", "f", "{}")],
            id="neither index nor id",
        ),
        pytest.param(
            [
                {"index": 0, "id": "c1", "function": {"name": "f"}},
                {"index": 0, "id": "c9", "function": {"arguments": "{"}},
                {"index": 0, "id": "c1", "function": {"name": "f", "arguments": "}"}},
            ],
            [("c1", "f", "{}")],
            id="an id anew in each piece, as of older vLLM",
        ),
        pytest.param(
            [
                {"index": 0, "id": "c1", "type": "custom", "custom": {"name": "f", "input": "{"}},
                {"index": 0, "custom": {"input": "}"}},
            ],
            [("c1", "f", "{}")],
            id="a tool of OpenAI's own kind",
        ),
    ],
)
async def test_calls_of_tools_are_told_apart_however_they_are_numbered(
    pieces: list[dict[str, Any]], calls: list[tuple[str, str, str]]
) -> None:
    chunks = [HEAD | {"choices": [{"delta": {"tool_calls": [each]}}]} for each in pieces]
    completion = await streamed(events(*chunks, piece(finish_reason="tool_calls")))
    assert [(each.id, each.name, each.arguments) for each in completion.tool_calls] == calls


@pytest.mark.field("models-F11")
async def test_reasoning_is_put_together_apart_from_the_answer() -> None:
    thoughts = [
        HEAD | {"choices": [{"delta": {"reasoning": word, "reasoning_content": word}}]}
        for word in ("first ", "then")
    ]
    completion = await streamed(events(*thoughts, piece("42"), END))
    assert (completion.text, completion.reasoning) == ("42", "first then")


@pytest.mark.field("studies-SEC5")
def test_a_long_line_is_joined_once() -> None:
    reader, chunk = EventReader(), b"x" * 1000

    for _ in range(1000):
        assert reader.feed(chunk) == []

    assert len(reader._rest) == 1000, "kept in pieces, until its end comes"
    (event,) = [*reader.feed(b"\n\n"), *reader.feed(b"data: 1\n\n")]
    assert event == ServerEvent("", b"1")

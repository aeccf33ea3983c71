"""The chat client over real HTTP: what it sends, what it reads, and what it says went wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import orjson
import pytest
from aiohttp import web
from anyio.abc import SocketStream

from penstock.errors import ValidationError
from penstock.models import model_errors as errors
from penstock.models.chat_model import ChatMessage, Completion, RateLimitHeaders, Usage
from penstock.models.model_errors import ModelError, ModelTimeoutError
from penstock.models.openai.client import OpenAIChatModel
from tests.models.loopback import ANSWER, REQUEST, answers, ask, http_server, tcp_server

pytestmark = pytest.mark.anyio

TCP = Callable[[SocketStream], Awaitable[None]]


async def failure(base_url: str, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await ask(base_url, **options)

    return caught.value


async def failure_of(body: Any, **options: Any) -> ModelError:
    async with http_server(answers(body, **options)) as base_url:
        return await failure(base_url)


async def test_an_answer_holds_all_that_the_provider_said() -> None:
    limits = {"x-ratelimit-remaining-requests": "99", "x-ratelimit-reset-tokens": "6m0s"}
    headers = {"x-request-id": "req_1", **limits}
    async with http_server(answers(headers=headers)) as base_url:
        completion = await ask(base_url)

    assert 0 < completion.provider_s < 10
    assert completion == Completion(
        text="42",
        model="some-model-2026",
        finish_reason="stop",
        usage=Usage(input_tokens=12, output_tokens=3),
        system_fingerprint="fp_1",
        request_id="req_1",
        provider_s=completion.provider_s,
        http_status=200,
        rate_limits=RateLimitHeaders(remaining_requests=99, reset_tokens_s=360.0),
    )


async def test_a_request_says_what_was_asked_and_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    seen: list[tuple[web.Request, bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request, await request.read()))
        response = web.json_response(ANSWER)
        response.set_cookie("tracked", "yes")
        return response

    async with (
        http_server(handler) as base_url,
        OpenAIChatModel(base_url, api_key=" k \n") as model,
    ):
        for _ in range(2):
            await model.complete(REQUEST)

    request, body = seen[1]
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["Authorization"] == "Bearer k"
    assert "Cookie" not in request.headers
    assert orjson.loads(body) == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "What is 6 x 7?"}],
    }


async def test_a_query_of_the_address_is_sent_and_never_shown() -> None:
    async def handler(request: web.Request) -> web.Response:
        status = 200 if request.query_string == "api-version=1&code=hidden" else 418
        return web.json_response(ANSWER, status=status)

    async with http_server(handler) as base_url:
        address = f"{base_url}/?api-version=1&code=hidden"
        assert (await ask(address)).text == "42"
        assert "hidden" not in repr(OpenAIChatModel(address))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, errors.BadRequestError),
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (402, errors.AuthenticationError),
        (403, errors.AccessDeniedError),
        (404, errors.BadRequestError),
        (408, errors.OverloadedError),
        (422, errors.BadRequestError),
        (429, errors.RateLimitedError),
        (500, errors.OverloadedError),
        (501, errors.BadRequestError),
        (502, errors.OverloadedError),
        (503, errors.OverloadedError),
        (529, errors.OverloadedError),
    ],
)
async def test_a_status_becomes_the_error_that_it_means(
    status: int, kind: type[ModelError]
) -> None:
    body = {"error": {"message": "so it is"}}
    error = await failure_of(body, status=status, headers={"x-request-id": "req_2"})
    assert type(error) is kind
    assert (error.http_status, error.request_id) == (status, "req_2")
    assert f"/v1 answered {status}" in str(error)
    assert "so it is" in str(error)


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    error = await failure_of(b"", status=307, headers={"Location": "http://elsewhere/v1"})
    assert "http://elsewhere/v1" in str(error)


async def test_an_authentication_error_names_the_endpoint_and_the_variable() -> None:
    async with http_server(answers(b"", status=401)) as base_url:
        known = await failure(base_url)
        none_sent = await failure(base_url, api_key=None)
        unnamed = await failure(base_url, api_key=None, key_name=None)

    assert str(known).startswith(base_url)
    assert "check the key in the environment variable SOME_KEY" in str(known)
    assert "no key was sent: there is none in the environment variable SOME_KEY" in str(none_sent)
    assert "none named for this endpoint" in str(unnamed)
    assert known.stops_study
    assert not known.retryable


async def test_a_wait_that_is_asked_for_is_told_and_one_too_long_is_another_error() -> None:
    async with http_server(answers(b"", status=429, headers={"Retry-After": "2"})) as base_url:
        brief = await failure(base_url)
        long = await failure(base_url, max_retry_after_s=1.5)

    assert (type(brief), brief.retry_after_s) == (errors.RateLimitedError, 2.0)
    assert (type(long), long.retry_after_s) == (errors.RetryAfterTooLongError, 2.0)
    assert "asks to wait 2 s, more than max_retry_after_s=1.5" in str(long)
    assert not long.retryable


async def test_limits_of_the_provider_come_with_errors_too() -> None:
    error = await failure_of(b"", status=429, headers={"X-RateLimit-Remaining-Tokens": "0"})
    assert error.rate_limits == RateLimitHeaders(remaining_tokens=0)


async def test_an_error_body_that_breaks_off_does_not_hide_its_status() -> None:
    async def reset(stream: SocketStream) -> None:
        await stream.send(b'HTTP/1.1 429 No\r\ncontent-length: 900\r\n\r\n{"error": "slow do')

    async with tcp_server(reset) as base_url:
        error = await failure(base_url)

    assert type(error) is errors.RateLimitedError
    assert "slow do" in str(error)


def stall(*pieces: bytes) -> TCP:
    async def answer(stream: SocketStream) -> None:
        for piece in pieces:
            await stream.send(piece)

        await anyio.sleep_forever()

    return answer


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9000\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "phase"),
    [
        (stall(), "first_byte"),
        (stall(HEAD), "first_byte"),
        (stall(HEAD, b'{"choices": '), "stalled"),
    ],
)
@pytest.mark.virtual_time
async def test_a_timeout_says_where_it_was_waited_for(answer: TCP, phase: str) -> None:
    async with tcp_server(answer) as base_url:
        error = await failure(base_url, timeout_s=0.2)

    assert isinstance(error, ModelTimeoutError)
    assert error.phase == phase
    assert "timeout_s=0.2" in str(error)
    assert error.retryable


@pytest.mark.virtual_time
async def test_a_slow_drip_that_never_ends_runs_out_of_the_total_time() -> None:
    async def drip(stream: SocketStream) -> None:
        await stream.send(HEAD)
        while True:
            await stream.send(b" ")
            await anyio.sleep(0.01)

    async with tcp_server(drip) as base_url:
        error = await failure(base_url, timeout_s=0.4)

    assert isinstance(error, ModelTimeoutError)
    assert error.phase == "total"
    assert error.http_status == 200


@pytest.mark.virtual_time
async def test_a_connection_that_is_never_made_is_a_timeout_of_its_own() -> None:
    async with (
        tcp_server(stall()) as base_url,
        OpenAIChatModel(base_url, max_connections=1, connect_timeout_s=0.1) as model,
        anyio.create_task_group() as group,
    ):
        group.start_soon(model.complete, REQUEST)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ModelTimeoutError) as caught:  # the only connection is taken
            await model.complete(REQUEST)

        group.cancel_scope.cancel()

    assert caught.value.phase == "connect"
    assert "connect_timeout_s=0.1" in str(caught.value)


async def _close(_stream: SocketStream) -> None:
    pass


async def _close_in_the_middle(stream: SocketStream) -> None:
    await stream.send(HEAD + b'{"choices": ')


async def _no_http(stream: SocketStream) -> None:
    await stream.send(b"220 mail.example ESMTP\r\n\r\n")


async def _bad_gzip(stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope")


@pytest.mark.parametrize(
    ("answer", "kind", "what"),
    [
        (_close, errors.ModelConnectionError, "closed the connection"),
        (_close_in_the_middle, errors.ModelConnectionError, "closed the connection"),
        (_no_http, errors.MalformedResponseError, "HTTP that cannot be read"),
        (_bad_gzip, errors.MalformedResponseError, "HTTP that cannot be read"),
    ],
)
async def test_a_connection_that_breaks_says_how(
    answer: TCP, kind: type[ModelError], what: str
) -> None:
    async with tcp_server(answer) as base_url:
        error = await failure(base_url)

    assert type(error) is kind
    assert what in str(error)
    assert error.__context__ is None


async def test_a_refused_connection_and_an_unknown_host_are_told_apart() -> None:
    async with tcp_server(_close) as base_url:
        pass

    refused = await failure(base_url)
    unknown = await failure("http://no-such-host.invalid/v1")
    assert type(refused) is type(unknown) is errors.ModelConnectionError
    assert "refused the connection" in str(refused)
    assert "the host of http://no-such-host.invalid/v1 is not known" in str(unknown)


async def test_a_body_larger_than_any_answer_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("penstock.models.openai.reading._MOST_BYTES", 10)
    error = await failure_of(None)
    assert type(error) is errors.MalformedResponseError
    assert "more than 10 bytes" in str(error)


async def test_a_prompt_of_megabytes_is_sent_whole() -> None:
    async def handler(request: web.Request) -> web.Response:
        content = (await request.json())["messages"][0]["content"]
        return web.json_response({"choices": [{"message": {"content": str(len(content))}}]})

    message = ChatMessage(role="user", content="x" * 3_000_000)
    async with http_server(_unlimited(handler)) as base_url:
        completion = await ask(base_url, REQUEST.model_copy(update={"messages": (message,)}))

    assert completion.text == "3000000"


def _unlimited(handler: Callable[[web.Request], Awaitable[web.Response]]) -> Any:
    async def large(request: web.Request) -> web.Response:
        return await handler(request.clone(client_max_size=10_000_000))

    return large


async def test_500_calls_are_in_flight_at_once_over_shared_connections() -> None:
    count, everyone_is_here = 500, anyio.Event()
    waiting, connections = [], set()

    async def handler(request: web.Request) -> web.Response:
        waiting.append(request)
        connections.add(request.transport)
        if len(waiting) == count:
            everyone_is_here.set()

        await everyone_is_here.wait()
        return web.json_response(ANSWER)

    texts = []
    async with http_server(handler) as base_url, OpenAIChatModel(base_url) as model:

        async def call() -> None:
            for _ in range(2):
                completion = await model.complete(REQUEST)
                texts.append(completion.text)

        async with anyio.create_task_group() as group:
            for _ in range(count):
                group.start_soon(call)

    assert texts == ["42"] * 2 * count
    assert len(connections) == count


async def test_a_call_that_is_cancelled_leaves_the_client_usable() -> None:
    is_first = True

    async def handler(_request: web.Request) -> web.Response:
        nonlocal is_first
        if is_first:
            is_first = False
            arrived.set()
            await anyio.sleep_forever()

        return web.json_response(ANSWER)

    arrived = anyio.Event()
    async with (
        http_server(handler) as base_url,
        OpenAIChatModel(base_url, max_connections=1) as model,
        anyio.create_task_group() as group,
    ):
        group.start_soon(model.complete, REQUEST)
        await arrived.wait()
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            assert (await model.complete(REQUEST)).text == "42"


async def test_a_client_that_is_closed_says_so() -> None:
    model = OpenAIChatModel("http://127.0.0.1:1/v1")
    await model.aclose()
    with pytest.raises(ModelError, match=r"the client of http://127.0.0.1:1/v1 is closed"):
        await model.complete(REQUEST)


@pytest.mark.parametrize(
    ("base_url", "options"),
    [
        ("ftp://host/v1", {}),
        ("http:///v1", {}),
        ("http://user:secret-word@host/v1", {}),
        ("http://host/v1", {"api_key": "secret-word\nX-Evil: 1", "key_name": "SOME_KEY"}),
        ("http://host/v1", {"api_key": "secret-wörd"}),
    ],
)
def test_options_that_cannot_be_used_are_refused_without_being_shown(
    base_url: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as caught:
        OpenAIChatModel(base_url, **options)

    assert "secret" not in str(caught.value)


def test_aiohttp_is_imported_when_a_client_is_made_and_not_before() -> None:
    script = (
        "import sys, penstock, penstock.models.openai.client as client\n"
        "assert 'aiohttp' not in sys.modules\n"
        "sys.modules['aiohttp'] = None\n"
        "try:\n    client.OpenAIChatModel('http://host/v1')\n"
        "except ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert "pip install 'penstock[models]'" in done.stdout
    assert "needs aiohttp" in done.stdout

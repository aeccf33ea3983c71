"""What an endpoint may need: headers, a query, a key under another name, a proxy, certificates."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import penstock as ps
from penstock.models.openai import connections
from tests.models.loopback import ANSWER, answers, ask, http_server
from tests.models.studies import chat, chat_study

pytestmark = pytest.mark.anyio


class Server:
    """Answers everything, and keeps what it was sent."""

    def __init__(self, *statuses: int) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[dict[str, Any]] = []
        self._statuses = list(statuses)

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.bodies.append(await request.json())
        status = self._statuses.pop(0) if self._statuses else 200
        return web.json_response(ANSWER, status=status)


async def run(folder: Path, agent: dict[str, Any], **fields: Any) -> ps.StudyResult:
    problem = ps.Problem(problem_id="p", brief="6 x 7?")
    given = {"factors": (), "problems": [problem], **fields}
    return await ps.arun_study(chat_study(folder, agent, **given), show_progress=False)


@pytest.mark.field("models-E1", "models-E4", "models-E12", "models-F16")
async def test_headers_query_key_and_address_come_from_the_study_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    async with http_server(server.answer) as url:
        monkeypatch.setenv("SOME_ENDPOINT", url)
        monkeypatch.setenv("SOME_KEY", "0123456789abcdef0123")
        (tmp_path / ".env").write_text("TEAM=blue\n")
        agent = chat(
            "${SOME_ENDPOINT}",
            headers={"X-Team": "${TEAM}", "HTTP-Referer": "https://example.org"},
            query={"api-version": "2024-10-21"},
            api_key_env="SOME_KEY",
            api_key_header="api-key",
        )
        results = await run(tmp_path, agent, limits={"${SOME_ENDPOINT}": {"max_in_flight": 3}})

    assert results[0].error is None
    (request,) = server.requests
    assert request.headers["X-Team"] == "blue"
    assert request.headers["HTTP-Referer"] == "https://example.org"
    assert request.headers["api-key"] == "0123456789abcdef0123"
    assert "Authorization" not in request.headers
    assert dict(request.query) == {"api-version": "2024-10-21"}
    assert request.path == "/v1/chat/completions"


@pytest.mark.field("models-E1")
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"headers": {"X-Api-Key": "abc"}}, "holds a key"),
        ({"headers": {"X-Team": "{{ condition.team }}"}}, "NAME"),
        ({"headers": {"X-Team": "sk-0123456789abcdef"}}, "holds a key"),
        ({"api_key_env": "A_KEY", "api_key_file": "key"}, "there is one key"),
        ({"base_url": "http://h/v1?api-version=3"}, "query"),
        ({"base_url": "{{ condition.url }}"}, "a model for each endpoint"),
    ],
)
def test_what_cannot_be_sent_or_must_not_be_written_is_refused(
    fields: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ps.ValidationError, match=said):
        chat_study(tmp_path, chat(fields.get("base_url", "http://h/v1"), **fields))


@pytest.mark.field("models-E12")
async def test_an_address_or_header_that_the_environment_does_not_know_is_told_before_a_call(
    tmp_path: Path,
) -> None:
    with pytest.raises(ps.ValidationError, match="PENSTOCK_NO_SUCH_VARIABLE is set neither"):
        await run(tmp_path, chat("${PENSTOCK_NO_SUCH_VARIABLE}"))


NOT_EXTRA = {
    "max_tokens": 5000,
    "max_completion_tokens": 5000,
    "max_output_tokens": 5000,
    "n": 3,
    "best_of": 3,
    "model": "other",
    "messages": [{"role": "user", "content": "?"}],
    "prompt": "?",
    "stream": True,
    "seed": 1,
    "temperature": 1,
    "reasoning_effort": "high",
}


@pytest.mark.field("models-F6", "models-E17")
@pytest.mark.parametrize("name", NOT_EXTRA)
def test_extra_cannot_change_what_prompt_price_and_budget_are_made_from(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(ps.ValidationError, match=f"extra.*{name!r} is not extra"):
        chat_study(tmp_path, chat("http://h/v1", extra={name: NOT_EXTRA[name]}))


async def test_the_system_prompt_may_stand_before_the_prompt(tmp_path: Path) -> None:
    server = Server()
    async with http_server(server.answer) as url:
        await run(tmp_path, chat(url, system="Be brief.", system_as_user=True))

    (body,) = server.bodies
    (message,) = body["messages"]
    assert message["role"] == "user"
    assert message["content"].split() == ["Be", "brief.", "6", "x", "7?"]


@pytest.mark.field("models-E5", "models-F16")
async def test_a_proxy_is_used_where_it_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    async with http_server(server.answer) as url:
        monkeypatch.setenv("OUR_PROXY", url.removesuffix("/v1"))
        (result,) = await run(tmp_path, chat("http://a.invalid/v1", proxy="${OUR_PROXY}"))

    assert result.error is None
    assert server.requests[0].headers["Host"] == "a.invalid"


@pytest.mark.field("models-F16")
async def test_a_proxy_of_the_environment_is_not_used_but_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    (result,) = await run(tmp_path, chat("http://a.invalid/v1"))
    assert "HTTPS_PROXY is not used: write proxy: ${HTTPS_PROXY}" in str(result.error)


@asynccontextmanager
async def tls_server(folder: Path) -> AsyncIterator[tuple[str, Path]]:
    """Serve with a certificate of its own; gives the base URL and the certificate's file."""
    certificate, key = folder / "ca.pem", folder / "key.pem"
    subprocess.run(  # noqa: ASYNC221 - before anything is asked
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answers())
    runner = web.AppRunner(application, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}/v1", certificate
    finally:
        await runner.cleanup()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.field("models-E5", "models-F16")
async def test_a_certificate_of_one_s_own_authority_is_trusted_where_its_file_is_named(
    tmp_path: Path,
) -> None:
    async with tls_server(tmp_path) as (url, certificate):
        (trusted,) = await run(tmp_path / "a", chat(url, ca_file=str(certificate)))
        (unverified,) = await run(tmp_path / "b", chat(url, verify_tls=False))
        (refused,) = await run(tmp_path / "c", chat(url))
        (mistaken,) = await run(tmp_path / "d", chat(url.replace("https:", "http:")))

    assert trusted.error is unverified.error is None
    assert "name the certificates of its authority in ca_file" in str(refused.error)
    assert "if the server speaks TLS, write https://" in str(mistaken.error)


@pytest.mark.field("models-E13")
@pytest.mark.parametrize("is_command", [False, True])
async def test_a_key_that_has_expired_is_read_again_and_the_call_made_once_more(
    is_command: bool, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("old-key-0123456789\n")
    keys: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        keys.append(request.headers["Authorization"].removeprefix("Bearer "))
        if keys[-1].startswith("old"):
            file.write_text("new-key-0123456789\n")
            return web.json_response({"error": "the token has expired"}, status=401)

        return web.json_response(ANSWER)

    shows = "import sys; print(open(sys.argv[1]).read())"
    where: dict[str, Any] = (
        {"api_key_command": [sys.executable, "-c", shows, str(file)]}
        if is_command
        else {"api_key_file": str(file)}
    )
    problems = [ps.Problem(problem_id=f"p{number}", brief="?") for number in range(5)]
    async with http_server(handler) as url:
        results = await run(tmp_path, chat(url, **where), problems=problems)

    assert results.summary.succeeded == 5
    assert set(keys) == {"old-key-0123456789", "new-key-0123456789"}
    assert {row.attempt for row in results} == {1}


@pytest.mark.field("models-E13")
async def test_a_key_that_stays_refused_stops_the_study_and_says_where_it_came_from(
    tmp_path: Path,
) -> None:
    (tmp_path / "key").write_text("old-key-0123456789")
    server = Server(*[401] * 20)
    problems = [ps.Problem(problem_id=f"p{number}", brief="?") for number in range(20)]
    async with http_server(server.answer) as url:
        agent = chat(url, api_key_file="key")
        results = await run(
            tmp_path, agent, problems=problems, run_budget={"replicates": 1, "parallelism": 1}
        )

    assert len(server.requests) == 1
    assert f"the file {tmp_path / 'key'}" in (results.summary.stopped_because or "")


@pytest.mark.field("models-F21")
async def test_a_connection_is_kept_alive_by_the_system_while_an_answer_takes_long() -> None:
    made = connections._socket((socket.AF_INET, socket.SOCK_STREAM, 0))
    with made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if sys.platform == "linux":
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < 350

    async with http_server(answers()) as url:
        assert (await ask(url)).text == "42"

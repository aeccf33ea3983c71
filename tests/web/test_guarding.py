"""Who may ask the live page, over HTTP on loopback."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse

from penstock.web.guarding import Guard

pytestmark = pytest.mark.anyio

TOKEN = "a-token-that-nobody-guesses"
HOST = "127.0.0.1:8765"
ORIGIN = {"origin": f"http://{HOST}"}
BEARER = {"authorization": f"Bearer {TOKEN}"}


async def application(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse(f"seen by {scope.get('penstock.who')!r}")(scope, receive, send)


def browser(**options: Any) -> httpx.AsyncClient:
    guard = Guard(application, token=TOKEN, **options)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(guard), base_url=f"http://{HOST}", follow_redirects=False
    )


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/?token=guessed", {}),
        ("/?token=", {}),
        ("/", {"cookie": "penstock-8765=guessed"}),
        ("/", {"cookie": f"penstock-80={TOKEN}"}),
        ("/", {"authorization": f"Basic {TOKEN}"}),
        ("/", {"authorization": "Bearer"}),
    ],
)
async def test_nobody_looks_without_the_token(path: str, headers: dict[str, str]) -> None:
    async with browser() as client:
        answer = await client.get(path, headers=headers)

    assert answer.status_code == 401
    assert "penstock has printed" in answer.text
    assert TOKEN not in answer.text


async def test_a_token_in_the_address_becomes_a_cookie_that_scripts_and_sites_do_not_get() -> None:
    async with browser() as client:
        first = await client.get(f"/studies/one/?token={TOKEN}&run=2")
        assert first.status_code == 303
        assert first.headers["location"] == "/studies/one/?run=2"
        cookie = first.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert (await client.get(first.headers["location"])).status_code == 200
        assert (await client.get("/", headers=BEARER)).status_code == 200


async def test_the_way_on_never_leads_to_another_host() -> None:
    async with browser() as client:
        answer = await client.get(f"http://{HOST}//elsewhere.example/?token={TOKEN}")

    assert answer.headers["location"].startswith("/elsewhere.example")


@pytest.mark.parametrize(
    "host", ["evil.example:8765", "evil.example", "", "127.0.0.1.evil.example"]
)
async def test_a_name_that_was_made_to_lead_here_is_refused_even_with_the_token(host: str) -> None:
    async with browser() as client:
        answer = await client.get("/", headers={**BEARER, "host": host})

    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["localhost:8765", "127.0.0.1", "[::1]:8765"])
async def test_the_names_of_this_machine_are_its_own(host: str) -> None:
    async with browser() as client:
        answer = await client.get("/", headers={**BEARER, "host": host})

    assert answer.status_code == 200


async def test_a_server_on_the_network_is_asked_by_address_and_not_by_any_name() -> None:
    async with browser(hosts=("*",)) as client:
        by_address = await client.get("/", headers={**BEARER, "host": "10.1.2.3:80"})
        by_name = await client.get("/", headers={**BEARER, "host": "evil.example"})

    assert (by_address.status_code, by_name.status_code) == (200, 421)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
async def test_what_another_site_sends_is_refused(method: str, origin: str) -> None:
    async with browser() as client:
        answer = await client.request(method, "/", headers={**BEARER, "origin": origin})

    assert answer.status_code == 403


async def test_what_acts_must_say_where_it_comes_from() -> None:
    async with browser() as client:
        unsaid = await client.post("/", headers=BEARER)
        said = await client.post("/", headers={**BEARER, **ORIGIN})

    assert (unsaid.status_code, said.status_code) == (403, 200)


async def test_every_answer_forbids_what_a_page_could_be_made_to_do() -> None:
    async with browser() as client:
        answers = [await client.get("/"), await client.get("/", headers=BEARER)]

    for answer in answers:
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("said", "status", "text"),
    [(True, 200, "seen by ''"), ("ada", 200, "seen by 'ada'"), (False, 403, ""), ("", 403, "")],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_host_has_its_own_check(
    said: bool | str, status: int, text: str, is_async: bool
) -> None:
    def plain(connection: HTTPConnection) -> bool | str:
        return said

    async def waits(connection: HTTPConnection) -> bool | str:
        return said

    async with browser(authorize=waits if is_async else plain, hosts=None) as client:
        answer = await client.get("/", headers={"host": "study.example.org"})

    assert answer.status_code == status
    assert text in answer.text


async def test_a_web_socket_is_not_answered() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await Guard(application, token=TOKEN)({"type": "websocket"}, send, send)  # type: ignore[arg-type]

    assert sent == []

"""A key is never shown: not in answers, errors, tracebacks, nor in what anything is printed as."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from aiohttp import web
from anyio.abc import SocketStream

from penstock._base.secrets import REDACTED, Redactor
from penstock.models.chat_model import Completion
from penstock.models.model_errors import ModelError
from penstock.models.openai.client import OpenAIChatModel
from tests.models.loopback import ANSWER, CANARY, answers, ask, http_server, tcp_server

pytestmark = pytest.mark.anyio

ESCAPED = "".join(f"\\u{ord(character):04x}" for character in CANARY)


def shown(error: BaseException) -> str:
    """All that could be stored of an error: its sentence, its fields, its whole traceback."""
    chain = [repr(error), str(error), repr(vars(error)), *traceback.format_exception(error)]
    if error.__context__ is not None:
        chain.append(shown(error.__context__))

    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    own = [frame for frame in captured.stack if "penstock/models" in frame.filename]
    chain += [f"{frame.locals}" for frame in own if frame.name == "complete"]
    return "\n".join(chain)


async def what_is_kept(base_url: str) -> str:
    try:
        completion = await ask(base_url)
    except ModelError as error:
        return shown(error)

    return repr(completion) + completion.model_dump_json()


BODIES: list[bytes] = [
    f'{{"error": {{"message": "bad key {CANARY}", "code": "{CANARY}"}}}}'.encode(),
    f'{{"error": "bad key {ESCAPED}"}}'.encode(),
    f"<html><body>bad key {CANARY}</body></html>".encode(),
    f"{CANARY[:10]}\0{CANARY[10:]} {CANARY}".encode(),
    CANARY.encode() * 500,
    b"\xff\xfe" + CANARY.encode(),
    f'{{"{CANARY}": 1}}'.encode(),
    f'[{{"error": {{"message": "{CANARY}"}}}}]'.encode(),
]


@pytest.mark.parametrize("status", [200, 301, 400, 401, 429, 500])
@pytest.mark.parametrize("body", BODIES)
async def test_an_error_that_quotes_the_key_is_kept_without_it(body: bytes, status: int) -> None:
    headers = {"x-request-id": f"req-{CANARY}", "Location": f"http://elsewhere/?key={CANARY}"}
    async with http_server(answers(body, status=status, headers=headers)) as base_url:
        kept = await what_is_kept(base_url)

    assert CANARY not in kept
    assert f"req-{REDACTED}" in kept


@pytest.mark.parametrize("written", [CANARY, ESCAPED])
async def test_an_answer_that_repeats_the_key_is_kept_without_it(written: str) -> None:
    body = f"""{{"id": "{written}", "model": "{written}", "system_fingerprint": "{written}",
        "choices": [{{"message": {{"content": "You sent {written}!"}}, "finish_reason": "{written}",
        "logprobs": {{"content": [{{"token": "{written}"}}]}}}}]}}""".encode()
    async with http_server(answers(body)) as base_url:
        kept = await what_is_kept(base_url)

    assert CANARY not in kept
    assert f"You sent {REDACTED}!" in kept


async def test_a_streamed_answer_that_repeats_the_key_in_pieces_is_kept_without_it() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in ("You sent ", CANARY[:8], CANARY[8:], "!"):
            await response.write(
                b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n' % piece.encode()
            )

        await response.write(b"data: [DONE]\n\n")
        return response

    async with http_server(handler) as base_url:
        completion = await ask(base_url)

    assert completion.text == f"You sent {REDACTED}!"


@pytest.mark.parametrize(
    "answer",
    [f"{CANARY}\r\n\r\n", f"HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n", f"HTTP/1.1 {CANARY}\r\n\r\n"],
)
async def test_what_is_no_http_and_quotes_the_key_is_kept_without_it(answer: str) -> None:
    async def quote(stream: SocketStream) -> None:
        await stream.send(answer.encode())

    async with tcp_server(quote) as base_url:
        assert CANARY not in await what_is_kept(base_url)


def test_a_client_is_printed_without_its_key() -> None:
    model = OpenAIChatModel("http://host/v1/", api_key=CANARY, key_name="SOME_KEY")
    assert repr(model) == "OpenAIChatModel('http://host/v1', key_name='SOME_KEY')"
    assert CANARY not in f"{model} {model._endpoint!r}"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Incorrect API key provided: sk-proj-****************abcd.", "provided: [redacted]"),
        ("header was 'Authorization: Bearer abc'", "Authorization: [redacted]"),
        ("a\r\n\t b\x00c\u202ed", "a b c d"),
        ("<html><style>p {}</style><h1>502</h1>\n</html>", "502"),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_an_excerpt_is_one_printable_line_without_anything_like_a_key(text: str, kept: str) -> None:
    excerpt = Redactor(None).excerpt(text)
    assert kept in excerpt
    assert excerpt.isprintable()
    assert len(excerpt) <= 300


def test_a_key_is_found_however_a_server_writes_it() -> None:
    hidden = Redactor('pass/word-2026&"9"')
    forms = (
        'pass/word-2026&"9"',
        "pass%2Fword-2026%26%229%22",
        "pass/word-2026&amp;&quot;9&quot;",
    )
    for form in forms:
        assert hidden.text(f"<{form}>") == f"<{REDACTED}>"

    assert hidden.body(b'{"a":"pass\\/word-2026&\\"9\\""}') == b'{"a":"[redacted]"}'


def test_a_placeholder_for_a_key_is_no_secret_and_no_word_of_an_answer_is_lost() -> None:
    assert Redactor("EMPTY").text("the set is EMPTY") == "the set is EMPTY"


async def test_a_body_that_is_no_json_is_kept_without_the_key_also_where_escapes_hide_it() -> None:
    assert Redactor(CANARY).body(b'{"\\u0061') == b'{"\\u0061'
    plain: dict[str, Any] = ANSWER | {"note": "a\\u0062\\/"}
    async with http_server(answers(plain)) as base_url:
        assert isinstance(await ask(base_url), Completion)

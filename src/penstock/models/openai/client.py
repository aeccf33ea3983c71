"""A chat model behind an OpenAI-compatible endpoint, over HTTP (extra ``penstock[models]``).

The client is thin: it asks once, and says exactly what came of it. It retries nothing and waits
for nobody's permission; retries are the study's, and rates and budgets are the gate's.
"""

from __future__ import annotations

from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import anyio

from penstock._base.extras import load_extra
from penstock._base.secrets import Redactor
from penstock.errors import ValidationError
from penstock.models.chat_model import Completion, CompletionRequest
from penstock.models.model_errors import MalformedResponseError, ModelConnectionError, ModelError
from penstock.models.openai.endpoint import Endpoint, ResponseHead
from penstock.models.openai.error_response import failure_of_status
from penstock.models.openai.request_body import body_of
from penstock.models.openai.response import completion_of, payload_of
from penstock.models.openai.streaming import DONE, EventReader, StreamedAnswer

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

    from penstock.models.openai.transport import Call

__all__ = ["OpenAIChatModel"]

_SUCCESS = range(200, 300)
_MOST_BYTES = 64 * 2**20
_LARGE_BYTES = 2**20
"""aiohttp warns of larger bodies of bytes: sending them at once would hold up the event loop."""


class OpenAIChatModel:
    """Completes conversations at one endpoint; all calls share connections, DNS and TLS.

    Use it as an async context manager, or call `aclose`. It belongs to the event loop of its
    first call.

    Args:
        base_url: The endpoint, as ``http://host:port/v1``; a query is kept.
        api_key: The key, where the endpoint wants one. No error, log or ``repr`` shows it.
        key_name: The name of the environment variable that the key came from, for errors.
        max_connections: The most connections at once; 0 is no bound. Give it the gate's limit.
        timeout_s: How long a call may take, in seconds, connecting and reading included.
        connect_timeout_s: How long it may wait for a connection, in seconds.
        max_retry_after_s: The longest wait that the endpoint may ask for, in seconds.

    Raises:
        ValidationError: an option cannot be used, or aiohttp is not installed.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        key_name: str | None = None,
        max_connections: int = 0,
        timeout_s: float = 60.0,
        connect_timeout_s: float = 10.0,
        max_retry_after_s: float = 300.0,
    ) -> None:
        self._transport = load_extra(
            "penstock.models.openai.transport", extra="models", what="a chat model"
        )
        key = (api_key or "").strip() or None
        name, self._url = _addresses(base_url)
        self._headers = _headers(key, key_name)
        self._endpoint = Endpoint(name, key_name, key is not None, max_retry_after_s, Redactor(key))
        self._max_connections = max_connections
        self._timeouts = {"timeout_s": timeout_s, "connect_timeout_s": connect_timeout_s}
        self._session: ClientSession | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        return f"OpenAIChatModel({self._endpoint.name!r}, key_name={self._endpoint.key_name!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections, also where the caller is being cancelled; nobody may ask again."""
        self._is_closed = True
        if self._session is not None:
            with anyio.CancelScope(shield=True):
                await self._session.close()

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask once.

        An answer that ended at ``max_tokens`` is given as it is, with its ``finish_reason``
        ``length``: whether that will do is the caller's to decide.

        Raises:
            ModelError: why there is no answer; nothing of it holds the key.
        """
        body = body_of(request)
        session = self._open_session()
        call: Call = self._transport.Call()
        try:
            return await self._ask(session, request, body, call)
        except ModelError:
            raise
        except self._transport.FAILURES as error:
            failure = self._transport.failure_of(error, self._endpoint, call, **self._timeouts)

        # Raised out here it carries no context: what aiohttp raised may hold the key.
        raise failure

    def _open_session(self) -> ClientSession:
        if self._is_closed:
            raise ModelError(f"the client of {self._endpoint.name} is closed")

        if self._session is None:
            self._session = self._transport.open_session(
                headers=self._headers, max_connections=self._max_connections, **self._timeouts
            )

        return self._session

    async def _ask(
        self, session: ClientSession, request: CompletionRequest, body: bytes, call: Call
    ) -> Completion:
        data = body if len(body) <= _LARGE_BYTES else BytesIO(body)
        async with session.post(self._url, data=data, allow_redirects=False) as response:
            head = self._endpoint.head_of(response.status, response.headers)
            call.http_status, call.request_id = head.status, head.request_id
            if head.status not in _SUCCESS:
                raise failure_of_status(
                    self._endpoint, head, await self._transport.error_body(response)
                )

            kind = response.headers.get("content-type", "")
            if kind.startswith("text/event-stream"):
                return await self._read_stream(response, head, request, call)

            payload = payload_of(self._endpoint, head, await self._read(response, call))

        return completion_of(self._endpoint, head, request, payload, provider_s=call.elapsed_s())

    async def _read(self, response: ClientResponse, call: Call) -> bytes:
        pieces, size = [], 0
        while piece := await response.content.readany():
            call.touch()
            pieces.append(piece)
            size += len(piece)
            if size > _MOST_BYTES:
                raise self._too_large(call)

        return b"".join(pieces)

    async def _read_stream(
        self, response: ClientResponse, head: ResponseHead, request: CompletionRequest, call: Call
    ) -> Completion:
        events, answer = EventReader(), StreamedAnswer()
        first_token_s, size, is_done = None, 0, False
        while not is_done and (chunk := await response.content.readany()):
            call.touch()
            size += len(chunk)
            if size > _MOST_BYTES:
                raise self._too_large(call)

            is_done = self._take(events.feed(chunk), head, answer)
            if first_token_s is None and answer.is_begun:
                first_token_s = call.elapsed_s()

        await self._transport.read_out(response)
        if not (is_done or self._take(events.close(), head, answer) or answer.is_finished):
            raise ModelConnectionError(
                f"{self._endpoint.name} ended its stream in the middle of the answer",
                http_status=head.status,
                request_id=head.request_id,
            )

        return completion_of(
            self._endpoint,
            head,
            request,
            answer.payload(),
            provider_s=call.elapsed_s(),
            first_token_s=first_token_s,
        )

    def _take(self, events: list[bytes], head: ResponseHead, answer: StreamedAnswer) -> bool:
        """Add events to the answer; say whether the stream has said that it is done."""
        for data in events:
            if data == DONE:
                return True

            answer.add(payload_of(self._endpoint, head, data))

        return answer.is_failed

    def _too_large(self, call: Call) -> ModelError:
        return MalformedResponseError(
            f"{self._endpoint.name} answered with more than {_MOST_BYTES:,} bytes",
            http_status=call.http_status,
            request_id=call.request_id,
        )


def _addresses(base_url: str) -> tuple[str, str]:
    """Give the endpoint's address to show and the address to ask.

    Raises:
        ValidationError: it is no http(s) address, or holds a password.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValidationError([f"base_url: {parts.scheme}://… is no http(s) address with a host"])

    if "@" in parts.netloc:
        raise ValidationError(["base_url: a name or a password does not belong in an address"])

    path = parts.path.rstrip("/")
    shown = parts._replace(path=path, query="", fragment="").geturl()
    asked = parts._replace(path=f"{path}/chat/completions", fragment="").geturl()
    return shown, asked


def _headers(key: str | None, key_name: str | None) -> dict[str, str]:
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "User-Agent": "penstock",
    }
    if key is None:
        return headers

    if not key.isprintable() or not key.isascii():
        whose = f"the key in {key_name}" if key_name else "the key"
        raise ValidationError([f"api_key: {whose} holds a character that no HTTP header can"])

    return headers | {"Authorization": f"Bearer {key}"}

"""A chat model behind an OpenAI-compatible endpoint, over HTTP (extra ``penstock[models]``).

The client is thin: it asks once, and says exactly what came of it. It retries nothing and waits
for nobody's permission; retries are the study's, and rates and budgets are the gate's.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import anyio

from penstock._base.deadlines import fail_after
from penstock._base.extras import load_extra
from penstock._base.secrets import Redactor
from penstock.errors import ValidationError
from penstock.models.chat_model import Completion, CompletionRequest
from penstock.models.keys import KeySource
from penstock.models.model_errors import AuthenticationError, BadRequestError, ModelError
from penstock.models.openai.embeddings import EMBEDDINGS
from penstock.models.openai.endpoint import Endpoint, addresses_of, headers_of
from penstock.models.openai.error_response import failure_of_status
from penstock.models.openai.wire_format import CHAT_COMPLETIONS, WireFormat

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from penstock.models.openai.connections import Call, Route
    from penstock.models.openai.reading import Answer

__all__ = ["OpenAIChatModel"]

_NOTHING: Mapping[str, str] = {}
_SUCCESS = range(200, 300)
_LARGE_BYTES = 2**20
"""aiohttp warns of larger bodies of bytes: sending them at once would hold up the event loop."""


class _Post(NamedTuple):
    """A request as it is sent."""

    request: CompletionRequest
    wire: WireFormat
    url: str
    body: bytes


class OpenAIChatModel:
    """Completes conversations at one endpoint; all calls share connections, DNS and TLS.

    Use it as an async context manager, or call `aclose`. It belongs to the event loop of its
    first call.

    Args:
        base_url: The endpoint, as ``http://host:port/v1``; a query is kept.
        api_key: The key, where the endpoint wants one. No error, log or ``repr`` shows it.
        key_name: The name of the environment variable that the key came from, for errors.
        key_source: Where a key that expires comes from, in place of ``api_key``.
        key_header: The header that carries the key: ``api-key`` for Azure. Where not given it
            is ``Authorization``, with ``Bearer`` before the key.
        headers: Further headers; they may hold secrets too, and none is shown.
        query: Further fields of the address's query.
        max_connections: The most connections at once; 0 means no bound. Give it the gate's limit.
        timeout_s: How long a call may take, in seconds, connecting and reading included.
        connect_timeout_s: How long it may wait for a connection, in seconds.
        max_retry_after_s: The longest wait that the endpoint may ask for, in seconds.
        proxy: The address of a proxy; those that the environment names are not used.
        ca_file: A file with the certificates of the authorities that are trusted.
        verify_tls: Whether certificates are verified.
        think_tags: Whether text between ``<think>`` tags at the beginning of an answer, and its
            like, is reasoning.
        name: What errors call the endpoint, where that is not its address.

    Raises:
        ValidationError: an option cannot be used, or aiohttp is not installed.
    """

    wire: ClassVar[WireFormat] = CHAT_COMPLETIONS
    embeddings: ClassVar[WireFormat | None] = EMBEDDINGS

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        key_name: str | None = None,
        key_source: KeySource | None = None,
        key_header: str | None = None,
        headers: Mapping[str, str] = _NOTHING,
        query: Mapping[str, str] = _NOTHING,
        max_connections: int = 0,
        timeout_s: float = 60.0,
        connect_timeout_s: float = 10.0,
        max_retry_after_s: float = 300.0,
        proxy: str | None = None,
        ca_file: str | None = None,
        verify_tls: bool = True,
        think_tags: bool = True,
        name: str | None = None,
    ) -> None:
        self._connections, self._transport, self._reading = (
            load_extra(f"penstock.models.openai.{name}", extra="models", what="a chat model")
            for name in ("connections", "transport", "reading")
        )
        self._key = (api_key or "").strip() or None
        self._key_name = key_name
        self._key_header = key_header or self.wire.key_header
        self._source = key_source
        self._renewing = anyio.Lock()
        self._secrets = tuple(headers.values())
        address, self._url = addresses_of(base_url, query, self.wire.path)
        place = f"the environment variable {key_name}" if key_name else None
        self._endpoint = Endpoint(
            name or address,
            place if key_source is None else key_source.place,
            self._key is not None or key_source is not None,
            max_retry_after_s,
            Redactor(self._key, *self._secrets),
            think_tags,
        )
        self._headers = {**self.wire.headers, **headers_of(headers), **self._authorization()}
        self._route: Route = self._connections.Route(
            max_connections, timeout_s, connect_timeout_s, proxy, ca_file, verify_tls
        )
        self._session: ClientSession | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint.name!r}, key_name={self._key_name!r})"

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
        ``length``: whether that will do is the caller's to decide. Where the key comes from a
        file or a command and is refused, it is read again, and the call made once more.

        Raises:
            ModelError: why there is no answer; nothing of it holds the key.
        """
        post = self._post_of(request)
        if self._source is None:
            return await self._complete(post)

        key = self._key or await self._renewed(None)
        try:
            return await self._complete(post)
        except AuthenticationError:
            if await self._renewed(key) == key:
                raise

        return await self._complete(post)

    def _post_of(self, request: CompletionRequest) -> _Post:
        if not request.is_embedding:
            return _Post(request, self.wire, self._url, self.wire.body_of(request))

        wire = self.embeddings
        if wire is None:
            raise BadRequestError(f"{self._endpoint.name} makes no embeddings")

        begun, _, rest = self._url.rpartition(self.wire.path)
        return _Post(request, wire, f"{begun}{wire.path}{rest}", wire.body_of(request))

    async def _complete(self, post: _Post) -> Completion:
        session = self._open_session()
        call: Call = self._connections.Call()
        mark = self._connections.CALL.set(call)
        try:
            with fail_after(self._route.timeout_s):
                return await self._ask(session, post, call)
        except ModelError:
            raise
        except self._transport.FAILURES as error:
            failure = self._transport.failure_of(error, self._endpoint, call, self._route)
        finally:
            self._connections.CALL.reset(mark)

        # Raised out here it carries no context: what aiohttp raised may hold the key.
        raise failure

    async def _renewed(self, refused: str | None) -> str:
        """Read the key again, unless somebody else has since it was refused."""
        async with self._renewing:
            if self._source is not None and self._key == refused:
                self._key = await self._source.read()
                hidden = Redactor(refused, self._key, *self._secrets)
                self._endpoint = self._endpoint._replace(hidden=hidden)
                self._headers |= self._authorization()

        return self._key or ""

    def _authorization(self) -> dict[str, str]:
        if self._key is None:
            return {}

        if not self._key.isprintable() or not self._key.isascii():
            whose = f"the key in {self._endpoint.key_place}" if self._endpoint.key_place else "it"
            raise ValidationError([f"api_key: {whose} holds a character that no HTTP header can"])

        name = self._key_header
        return {"Authorization": f"Bearer {self._key}"} if name is None else {name: self._key}

    def _open_session(self) -> ClientSession:
        if self._is_closed:
            raise ModelError(f"the client of {self._endpoint.name} is closed")

        if self._session is None:
            self._session = self._connections.open_session(self._route)

        return self._session

    async def _ask(self, session: ClientSession, post: _Post, call: Call) -> Completion:
        data = post.body if len(post.body) <= _LARGE_BYTES else BytesIO(post.body)
        async with session.post(
            post.url,
            data=data,
            headers=self._headers,
            allow_redirects=False,
        ) as response:
            head = self._endpoint.head_of(response.status, response.headers)
            call.http_status, call.request_id = head.status, head.request_id
            if head.status in _SUCCESS:
                answer: Answer = self._reading.Answer(
                    self._endpoint, head, post.request, call, post.wire
                )
                return await answer.read(response)

            said = await self._transport.error_body(response)

        raise failure_of_status(self._endpoint, head, said)

"""A transport for the HTTP clients of SDKs: what they ask goes through the study's gate."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any, Literal

import pydantic

from penstock._base.pydantic_errors import in_one_sentence
from penstock.errors import BindingError
from penstock.models.chat_model import Completion, CompletionRequest
from penstock.models.model_errors import (
    AuthenticationError,
    ModelError,
    ModelTimeoutError,
    RateLimitedError,
)
from penstock.models.sdk.chat_wire import CHAT
from penstock.models.sdk.embeddings_wire import EMBEDDINGS
from penstock.models.sdk.messages_wire import MESSAGES
from penstock.models.sdk.responses_wire import RESPONSES
from penstock.models.sdk.wire import Declared, SdkFormat, UnreadableRequestError

__all__ = ["Library", "sdk_transport"]

Library = Literal["httpx2", "httpx"]
"""The libraries whose clients take such a transport."""

_FORMATS = (CHAT, RESPONSES, MESSAGES, EMBEDDINGS)
_VERSION = "/v1"
"""What some SDKs write before the path, as others have it at the end of their address."""

_NOT_ASYNC = (
    "a client that blocks cannot ask through the study's gate; use the async client of the SDK "
    "(AsyncOpenAI, AsyncAnthropic) with an AsyncClient, in an `async def` agent"
)
_HEADERS = {"content-type": "application/json", "x-should-retry": "false"}
"""Retries are the study's: SDKs that heed this make none of their own."""


def sdk_transport(
    library: Library,
    base_url: str,
    declared: Declared,
    ask: Callable[[CompletionRequest], Awaitable[Completion]],
) -> Any:
    """Make a transport that answers calls of a model, and refuses all else.

    Args:
        library: The library whose client takes it.
        base_url: The address that the SDK is told.
        declared: The model that may be asked.
        ask: Makes a call of the run.

    Raises:
        BindingError: the library is not installed.
    """
    try:
        base = import_module(library)
    except ImportError:
        said = f"{library} is not installed; the SDK that the transport is for would bring it"
        raise BindingError(said) from None

    wanted = base.URL(base_url)

    async def handle_async_request(_: object, request: Any) -> Any:
        http = _library_of(request)
        spoken = _format_of(request, wanted)
        if spoken is None:
            return _refused(http, CHAT, 404, UnreadableRequestError(_refusal(request, wanted)))

        try:
            body = _body_in(await request.aread())
            completion = await ask(_read(spoken, body, declared))
            return _answer(http, spoken, completion, body)
        except pydantic.ValidationError as error:
            said = UnreadableRequestError(in_one_sentence(error))
            return _refused(http, spoken, 400, said)
        except (UnreadableRequestError, ModelError) as error:
            return _refused(http, spoken, _status(error), error)

    def handle_request(_: object, request: Any) -> Any:
        return _refused(_library_of(request), CHAT, 400, UnreadableRequestError(_NOT_ASYNC))

    # The classes that it is to be of are known only now.
    members = {"handle_async_request": handle_async_request, "handle_request": handle_request}
    return type("PenstockTransport", (base.AsyncBaseTransport, base.BaseTransport), members)()


def _library_of(request: Any) -> Any:
    """Return the library that a request is of, whichever the transport was made for."""
    return import_module(type(request).__module__.partition(".")[0])


def _format_of(request: Any, wanted: Any) -> SdkFormat | None:
    """Return what a request speaks; None where it is sent nowhere."""
    url = request.url
    is_there = (url.scheme, url.host, url.port) == (wanted.scheme, wanted.host, wanted.port)
    if request.method != "POST" or not is_there:
        return None

    path = url.path.removeprefix(wanted.path.rstrip("/"))
    paths = {each.path: each for each in _FORMATS}
    return paths.get(path) or paths.get(path.removeprefix(_VERSION))


def _refusal(request: Any, wanted: Any) -> str:
    paths = ", ".join(each.path for each in _FORMATS)
    return (
        f"{request.method} {request.url.copy_with(query=None)} does not pass the study's gate and "
        f"is not sent; this transport answers POST at {str(wanted).rstrip('/')}: {paths}"
    )


def _body_in(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except ValueError as error:
        raise UnreadableRequestError(f"the body is not JSON: {error}") from None

    if not isinstance(body, dict):
        raise UnreadableRequestError("the body is not an object")

    return body


def _read(spoken: SdkFormat, body: Mapping[str, Any], declared: Declared) -> CompletionRequest:
    try:
        return spoken.read(body, declared)
    except (KeyError, TypeError, AttributeError) as error:
        said = f"{spoken.path}: what is asked has not the form of the format: {error!r}"
        raise UnreadableRequestError(said) from None


def _answer(http: Any, spoken: SdkFormat, completion: Completion, body: Mapping[str, Any]) -> Any:
    headers = {**_HEADERS, "x-request-id": completion.request_id or ""}
    if spoken.events is None or not body.get("stream"):
        content = json.dumps(spoken.answer(completion, body)).encode()
        return http.Response(200, headers=headers, content=content)

    events = b"".join(spoken.events(completion, body))
    headers["content-type"] = "text/event-stream"
    return http.Response(200, headers=headers, content=events)


def _refused(
    http: Any, spoken: SdkFormat, status: int, error: ModelError | UnreadableRequestError
) -> Any:
    content = json.dumps(spoken.error(error)).encode()
    return http.Response(status, headers=_HEADERS, content=content)


def _status(error: ModelError | UnreadableRequestError) -> int:
    """Return the status that an SDK makes its own error of the same kind from."""
    if isinstance(error, UnreadableRequestError):
        return 400

    if error.http_status is not None and error.http_status >= _FIRST_OF_ERRORS:
        return error.http_status

    return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 502)


_FIRST_OF_ERRORS = 400
_STATUSES: Mapping[type[ModelError], int] = {
    AuthenticationError: 401,
    RateLimitedError: 429,
    ModelTimeoutError: 504,
}

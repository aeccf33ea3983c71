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
from penstock.models.wire import (
    UnreadableRequestError,
    answer_body,
    answer_events,
    error_body,
    read_request,
)

__all__ = ["Library", "sdk_transport"]

Library = Literal["httpx2", "httpx"]
"""The libraries whose clients take such a transport."""

_PATH = "/chat/completions"
_HEADERS = {"content-type": "application/json", "x-should-retry": "false"}
"""Retries are the study's: SDKs that heed this make none of their own."""


def sdk_transport(
    library: Library,
    base_url: str,
    names: tuple[str, ...],
    declared: Mapping[str, Any],
    ask: Callable[[CompletionRequest], Awaitable[Completion]],
) -> Any:
    """Make a transport that answers chat completions, and refuses all else.

    Args:
        library: The library whose client takes it.
        base_url: The address that the SDK is told.
        names: What the model may be called in a request: the study's name, and its provider's.
        declared: The fields of a request that hold where it says nothing.
        ask: Makes a call of the run.

    Raises:
        BindingError: the library is not installed.
    """
    try:
        http = import_module(library)
    except ImportError:
        said = f"{library} is not installed; the SDK that the transport is for would bring it"
        raise BindingError(said) from None

    wanted = http.URL(base_url)

    async def handle_async_request(_: object, request: Any) -> Any:
        if why := _refusal(request, wanted):
            return _refused(http, 404, UnreadableRequestError(why))

        try:
            body = json.loads(await request.aread())
            completion = await ask(read_request(body, declared, names))
        except pydantic.ValidationError as error:
            return _refused(http, 400, UnreadableRequestError(in_one_sentence(error)))
        except (UnreadableRequestError, ModelError) as error:
            return _refused(http, _status(error), error)

        return _answer(http, completion, body)

    # The class that it is to be of is known only now.
    members = {"handle_async_request": handle_async_request}
    return type("PenstockTransport", (http.AsyncBaseTransport,), members)()


def _refusal(request: Any, wanted: Any) -> str | None:
    """Return why a request is not sent; None where it may be."""
    url = request.url
    path = url.path.removeprefix(wanted.path.rstrip("/"))
    is_there = (url.scheme, url.host, url.port) == (wanted.scheme, wanted.host, wanted.port)
    if request.method == "POST" and is_there and path == _PATH:
        return None

    return (
        f"{request.method} {url.copy_with(query=None)} does not pass the study's gate and is not "
        f"sent; this transport answers POST {str(wanted).rstrip('/')}{_PATH}"
    )


def _answer(http: Any, completion: Completion, body: Mapping[str, Any]) -> Any:
    request_id = {"x-request-id": completion.request_id or ""}
    if not body.get("stream"):
        content = json.dumps(answer_body(completion, body["model"])).encode()
        return http.Response(200, headers={**_HEADERS, **request_id}, content=content)

    wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    events = b"".join(answer_events(completion, body["model"], wants_usage=wants_usage))
    headers = {**_HEADERS, **request_id, "content-type": "text/event-stream"}
    return http.Response(200, headers=headers, content=events)


def _refused(http: Any, status: int, error: ModelError | UnreadableRequestError) -> Any:
    return http.Response(status, headers=_HEADERS, content=json.dumps(error_body(error)).encode())


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

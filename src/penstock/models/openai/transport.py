"""What aiohttp raises, in our words; imported when a client is made."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from time import perf_counter
from typing import Literal

import aiohttp
import anyio
from aiohttp import http_exceptions

from penstock.models.model_errors import (
    MalformedResponseError,
    ModelConnectionError,
    ModelError,
    ModelTimeoutError,
)
from penstock.models.openai.connections import Call, Route
from penstock.models.openai.endpoint import Endpoint

__all__ = ["FAILURES", "error_body", "failure_of", "read_out"]

FAILURES = (aiohttp.ClientError, OSError)
"""What aiohttp raises; `TimeoutError` and `ConnectionError` are an `OSError`."""

_MOST_ERROR_BYTES = 64 * 2**10
_ERROR_BODY_S = 5.0
_LAST_CHUNK_S = 0.1
_STALLED_PART = 0.25
"""A body is stalled where the last quarter of the time, or more of it, brought nothing."""


async def error_body(response: aiohttp.ClientResponse) -> bytes:
    """Read what comes of an error's body; its status counts, also where the body breaks off."""
    body = b""
    with anyio.move_on_after(_ERROR_BODY_S), suppress(*FAILURES):
        while len(body) < _MOST_ERROR_BYTES and (piece := await response.content.readany()):
            body += piece

    return body[:_MOST_ERROR_BYTES]


async def read_out(response: aiohttp.ClientResponse) -> bytes:
    """Read the end of a stream that is done, or its connection could not be used again."""
    if not response.content.at_eof():
        with anyio.move_on_after(_LAST_CHUNK_S), suppress(*FAILURES):
            return await response.content.readany()

    return b""


def failure_of(error: BaseException, endpoint: Endpoint, call: Call, route: Route) -> ModelError:
    """Return our own error for what aiohttp raised.

    Args:
        error: What it raised.
        endpoint: Who was asked.
        call: How far the call had come.
        route: How the connection was made.
    """
    name = endpoint.name
    if isinstance(error, aiohttp.ConnectionTimeoutError) or _errno_of(error) == errno.ETIMEDOUT:
        return ModelTimeoutError(
            f"no connection to {name} within connect_timeout_s={route.connect_timeout_s:g}"
            f"{_hint(error, name, route)}",
            phase="connect",
        )

    if isinstance(error, TimeoutError):
        return _late(endpoint, call, route.timeout_s)

    why = endpoint.hidden.excerpt(_said(error)) or type(error).__name__
    if isinstance(error, aiohttp.ClientResponseError) or _is_undecodable(error):
        return MalformedResponseError(
            f"{name} answered in HTTP that cannot be read: {why}",
            http_status=call.http_status,
            request_id=call.request_id,
        )

    failure = ModelConnectionError(
        f"{_what_broke(error, name)}: {why}{_hint(error, name, route)}",
        http_status=call.http_status,
        request_id=call.request_id,
        may_be_billed=call.is_sent,
    )
    failure.is_unread = call.is_reused and call.http_status is None
    return failure


def _said(error: BaseException) -> str:
    """Leave out the status 400 that aiohttp makes up for what it cannot read."""
    message = error.message if isinstance(error, aiohttp.ClientResponseError) else ""
    return message or str(error)


def _hint(error: BaseException, name: str, route: Route) -> str:
    """Return what to do where the way to the endpoint is at fault."""
    is_tls = name.startswith("https:")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "; name the certificates of its authority in ca_file, or in SSL_CERT_FILE"

    if isinstance(error, aiohttp.ClientConnectorDNSError | aiohttp.ConnectionTimeoutError):
        names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
        found = next((each for each in names if os.environ.get(each)), None)
        if found is not None and route.proxy is None:
            return f"; {found} is not used: write proxy: ${{{found}}} if it is to be"

    if isinstance(error, aiohttp.ConnectionTimeoutError) and is_tls:
        return "; if the server does not speak TLS, write http://"

    if isinstance(error, aiohttp.ServerDisconnectedError) and not is_tls:
        return "; if the server speaks TLS, write https://"

    return ""


def _late(endpoint: Endpoint, call: Call, timeout_s: float) -> ModelTimeoutError:
    within = f"within timeout_s={timeout_s:g}"
    quiet_s = 0.0 if call.last_byte_at is None else perf_counter() - call.last_byte_at
    phase: Literal["first_byte", "stalled", "total"]
    if call.last_byte_at is None:
        phase, what = "first_byte", f"did not begin to answer {within}"
    elif quiet_s >= timeout_s * _STALLED_PART:
        phase, what = "stalled", f"stalled: nothing came in the last {quiet_s:.3g} s {within}"
    else:
        phase, what = "total", f"did not finish its answer {within}"

    return ModelTimeoutError(
        f"{endpoint.name} {what}",
        phase=phase,
        http_status=call.http_status,
        request_id=call.request_id,
    )


def _what_broke(error: BaseException, name: str) -> str:
    code = _errno_of(error)
    if code == errno.ECONNREFUSED:
        return f"{name} refused the connection"

    if code == errno.ECONNRESET or isinstance(error, ConnectionResetError):
        return f"{name} reset the connection"

    for kind, sentence in _SENTENCES.items():
        if isinstance(error, kind):
            return sentence.format(name)

    return f"the connection to {name} broke"


_EARLY = "{} closed the connection before the end of its answer"
_SENTENCES: dict[type[Exception], str] = {
    aiohttp.ClientConnectorDNSError: "the host of {} is not known",
    aiohttp.ClientConnectorCertificateError: "the certificate of {} is not trusted",
    aiohttp.ClientSSLError: "no TLS connection to {}",
    aiohttp.ClientConnectorError: "no connection to {}",
    aiohttp.ServerDisconnectedError: _EARLY,
    aiohttp.ClientPayloadError: _EARLY,
}


def _errno_of(error: BaseException) -> int | None:
    """Find the system's error number; where several addresses were tried, that of the last."""
    found = getattr(error, "errno", None)
    inner = getattr(error, "os_error", None)
    return found if isinstance(found, int) else getattr(inner, "errno", None)


def _is_undecodable(error: BaseException) -> bool:
    cause = error.__cause__
    return isinstance(error, aiohttp.ClientPayloadError) and isinstance(cause, _UNDECODABLE)


_UNDECODABLE = http_exceptions.ContentEncodingError

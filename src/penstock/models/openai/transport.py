"""aiohttp as the client uses it, and its errors in our words; imported when a client is made."""

from __future__ import annotations

import errno
from contextlib import suppress
from math import inf
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
from penstock.models.openai.endpoint import Endpoint

__all__ = ["FAILURES", "Call", "error_body", "failure_of", "open_session", "read_out"]

FAILURES = (aiohttp.ClientError, OSError)
"""What aiohttp raises; `TimeoutError` and `ConnectionError` are an `OSError`."""

_MOST_ERROR_BYTES = 64 * 2**10
_ERROR_BODY_S = 5.0
_LAST_CHUNK_S = 0.1
_STALLED_PART = 0.25
"""A body is stalled where the last quarter of the time, or more of it, brought nothing."""

_CONNECT_PART = 0.9
"""Connecting ends before the whole call does, so that it is known which of them took too long."""


class Call:
    """How far a call has come; times are of `perf_counter`, in seconds."""

    __slots__ = ("http_status", "last_byte_at", "request_id", "started_at")

    def __init__(self) -> None:
        self.started_at = perf_counter()
        self.last_byte_at: float | None = None
        self.http_status: int | None = None
        self.request_id: str | None = None

    def touch(self) -> None:
        """Note that something of the body has come."""
        self.last_byte_at = perf_counter()

    def elapsed_s(self) -> float:
        """Say how long the call has taken so far."""
        return perf_counter() - self.started_at


def open_session(
    *,
    headers: dict[str, str],
    max_connections: int,
    timeout_s: float,
    connect_timeout_s: float,
) -> aiohttp.ClientSession:
    """Open a session: one pool of connections, no cookies, and nothing from the environment.

    Args:
        headers: What every request carries.
        max_connections: The size of the pool; 0 is no bound.
        timeout_s: How long a call may take, in seconds.
        connect_timeout_s: How long it may wait for a connection, in seconds.
    """
    timeout = aiohttp.ClientTimeout(
        total=timeout_s,
        connect=min(connect_timeout_s, timeout_s * _CONNECT_PART),
        ceil_threshold=inf,  # or it would round up to whole seconds
    )
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=max_connections, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=headers,
        timeout=timeout,
        trust_env=False,  # a proxy or a .netrc would see, or replace, the key
        requote_redirect_url=False,
    )


async def error_body(response: aiohttp.ClientResponse) -> bytes:
    """Read what comes of an error's body; its status counts, also where the body breaks off."""
    body = b""
    with anyio.move_on_after(_ERROR_BODY_S), suppress(*FAILURES):
        while len(body) < _MOST_ERROR_BYTES and (piece := await response.content.readany()):
            body += piece

    return body[:_MOST_ERROR_BYTES]


async def read_out(response: aiohttp.ClientResponse) -> None:
    """Read the end of a stream that is done, or its connection could not be used again."""
    if not response.content.at_eof():
        with anyio.move_on_after(_LAST_CHUNK_S), suppress(*FAILURES):
            await response.content.readany()


def failure_of(
    error: BaseException,
    endpoint: Endpoint,
    call: Call,
    *,
    timeout_s: float,
    connect_timeout_s: float,
) -> ModelError:
    """Say in our words what aiohttp raised.

    Args:
        error: What it raised.
        endpoint: Who was asked.
        call: How far the call had come.
        timeout_s: How long it was allowed to take, in seconds.
        connect_timeout_s: How long it was allowed to wait for a connection, in seconds.
    """
    name = endpoint.name
    if isinstance(error, aiohttp.ConnectionTimeoutError) or _errno_of(error) == errno.ETIMEDOUT:
        return ModelTimeoutError(
            f"no connection to {name} within connect_timeout_s={connect_timeout_s:g}",
            phase="connect",
        )

    if isinstance(error, TimeoutError):
        return _late(endpoint, call, timeout_s)

    why = endpoint.hidden.excerpt(str(error)) or type(error).__name__
    if isinstance(error, aiohttp.ClientResponseError) or _is_undecodable(error):
        return MalformedResponseError(
            f"{name} did not answer in HTTP: {why}",
            http_status=call.http_status,
            request_id=call.request_id,
        )

    return ModelConnectionError(
        f"{_what_broke(error, name)}: {why}",
        http_status=call.http_status,
        request_id=call.request_id,
    )


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

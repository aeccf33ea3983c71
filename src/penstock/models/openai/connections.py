"""Connections as the client makes them, with aiohttp; imported when a client is made."""

from __future__ import annotations

import socket
import ssl
from contextvars import ContextVar
from math import inf
from time import perf_counter
from typing import Any, NamedTuple
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from penstock.errors import ValidationError

__all__ = ["CALL", "Call", "Route", "open_session"]

_CONNECT_PART = 0.9
"""Connecting ends before the whole call does, so that it is known which of them took too long."""


class Call:
    """How far a call has come; times are of `perf_counter`, in seconds."""

    __slots__ = (
        "http_status",
        "is_redacted",
        "is_reused",
        "is_sent",
        "last_byte_at",
        "request_id",
        "started_at",
    )

    def __init__(self) -> None:
        self.started_at = perf_counter()
        self.last_byte_at: float | None = None
        self.http_status: int | None = None
        self.request_id: str | None = None
        self.is_reused = False
        """Whether its connection has served before."""
        self.is_sent = False
        self.is_redacted = False

    def touch(self) -> None:
        """Note that something of the body has come."""
        self.last_byte_at = perf_counter()

    def elapsed_s(self) -> float:
        """Return how long the call has taken so far."""
        return perf_counter() - self.started_at


CALL: ContextVar[Call] = ContextVar("call")
"""The call that a task makes: aiohttp tells a connector nothing of it."""


class Route(NamedTuple):
    """How connections are made.

    Args:
        max_connections: The size of the pool; 0 means no bound.
        timeout_s: How long a call may take, in seconds.
        connect_timeout_s: How long it may wait for a connection, in seconds.
        proxy: The address of a proxy.
        ca_file: A file with the certificates of the authorities that are trusted.
        verify_tls: Whether certificates are verified.
    """

    max_connections: int = 0
    timeout_s: float = 60.0
    connect_timeout_s: float = 10.0
    proxy: str | None = None
    ca_file: str | None = None
    verify_tls: bool = True


def open_session(route: Route) -> aiohttp.ClientSession:
    """Open a session: one pool of connections, no cookies, and nothing from the environment.

    Args:
        route: How connections are made.

    Raises:
        ValidationError: the file of certificates cannot be used.
    """
    timeout = aiohttp.ClientTimeout(
        total=None,  # the client limits it, and not for a pause of the process
        connect=min(route.connect_timeout_s, route.timeout_s * _CONNECT_PART),
        ceil_threshold=inf,  # or it would round up to whole seconds
    )
    return aiohttp.ClientSession(
        connector=_Connector(
            limit=route.max_connections,
            ttl_dns_cache=300,
            keepalive_timeout=_KEPT_S,
            ssl=_tls(route),
            socket_factory=_socket,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=timeout,
        max_line_size=_MOST_HEADER_BYTES,
        max_field_size=_MOST_HEADER_BYTES,
        proxy=route.proxy,
        trust_env=False,  # a proxy or a .netrc would see, or replace, the key
        requote_redirect_url=False,
    )


_MOST_HEADER_BYTES = 2**16
_KEPT_S = 4.0
"""uvicorn and Node close what is idle for five seconds; a request that meets it is lost."""


def _tls(route: Route) -> ssl.SSLContext | bool:
    if not route.verify_tls:
        return False

    if route.ca_file is None:
        return True

    try:
        return ssl.create_default_context(cafile=route.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ValidationError([f"ca_file: {route.ca_file} cannot be used: {error}"]) from None


def _socket(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket whose connection a router does not forget during a long answer."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), _PROBE_S)

    return made


_PROBE_S = 60
"""Routers forget connections that are idle for some 350 s."""


class _Connector(aiohttp.TCPConnector):
    """Notes in a call that it has a connection, and whether that has served before.

    Tracing, with which aiohttp tells the same, takes a tenth of a request.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._served = WeakSet[ResponseHandler]()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - as aiohttp has it
    ) -> Connection:
        """Give a connection for a request."""
        connection = await super().connect(req, traces, timeout)
        call, protocol = CALL.get(), connection.protocol
        call.is_sent = True
        call.is_reused = protocol in self._served
        if protocol is not None and not call.is_reused:
            self._served.add(protocol)

        return connection

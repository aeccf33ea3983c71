"""Who may ask: a token or the host's own check, the name of the host, the origin of what acts.

A page on 127.0.0.1 can be asked by every program of the machine and by every web site that its
user visits. The token keeps both out. That names of hosts are checked keeps out a site whose name
was made to lead here (DNS rebinding), and origins keep out what a site sends here by itself.
"""

from __future__ import annotations

import hmac
import inspect
import ipaddress
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOOPBACK", "Authorize", "Guard"]

Authorize = Callable[[HTTPConnection], "bool | str | Awaitable[bool | str]"]
"""Says whether a request may look, and act where acting is allowed; a text is who asks."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""The names of this machine in its own browsers."""

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_READING = ("GET", "HEAD")


class Guard:
    """Lets through who may ask, and says in each answer what browsers may do with it.

    Args:
        application: What is guarded.
        token: What a browser brings once in the address and then as a cookie, and a program as
            ``Authorization: Bearer``.
        authorize: The host's own check in its place; None for the token.
        hosts: The names under which the server may be asked, besides addresses where ``*`` is
            among them; None where the host checks them.
    """

    def __init__(
        self,
        application: ASGIApp,
        *,
        token: str,
        authorize: Authorize | None = None,
        hosts: Collection[str] | None = LOOPBACK,
    ) -> None:
        self._application = application
        self._token = token
        self._authorize = authorize
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._application(scope, receive, send)

            return  # a web socket is refused

        connection = HTTPConnection(scope)
        refusal = self._misled(connection) or await self._unknown(connection)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                more = [
                    (name.encode(), value.encode())
                    for name, value in _HEADERS.items()
                    if name.encode() not in given
                ]
                message = {**message, "headers": [*message["headers"], *more]}

            await send(message)

        answer = self._application if refusal is None else refusal
        await answer(scope, receive, send_with_headers)

    def _misled(self, connection: HTTPConnection) -> Response | None:
        """Refuse what comes under a name that is not ours, or from another site's page."""
        host = connection.headers.get("host", "")
        if self._hosts is not None and not _is_named(host, self._hosts):
            return PlainTextResponse(f"this server is not {host!r}\n", status_code=421)

        origin = connection.headers.get("origin")
        acts = connection.scope["method"] not in _READING
        if (acts or origin is not None) and urlsplit(origin or "").netloc != host:
            return PlainTextResponse("this comes from another site\n", status_code=403)

        return None

    async def _unknown(self, connection: HTTPConnection) -> Response | None:
        """Refuse who brings no token; who brings it in the address is given a cookie."""
        if self._authorize is not None:
            found = self._authorize(connection)
            said = await found if inspect.isawaitable(found) else found
            if said is False or said == "":
                return PlainTextResponse("you may not look at this\n", status_code=403)

            connection.scope["penstock.who"] = said if isinstance(said, str) else ""
            return None

        cookie = f"penstock-{(connection.scope.get('server') or ('', 0))[1]}"
        kind, _, bearer = connection.headers.get("authorization", "").partition(" ")
        brought = bearer if kind.lower() == "bearer" else connection.cookies.get(cookie, "")
        if self._is_token(brought):
            return None

        given = connection.query_params.get("token", "")
        if connection.scope["method"] in _READING and self._is_token(given):
            return self._welcome(connection, cookie)

        return PlainTextResponse(
            "open the address that penstock has printed: it holds a token\n", status_code=401
        )

    def _is_token(self, brought: str) -> bool:
        return hmac.compare_digest(brought.encode(), self._token.encode())

    def _welcome(self, connection: HTTPConnection, cookie: str) -> Response:
        """Lead to the same address without its token, which nobody is to see or keep."""
        asked = urlsplit(str(connection.url))
        rest = [each for each in parse_qsl(asked.query) if each[0] != "token"]
        # With a single slash first: "//elsewhere" would be another host.
        place = "/" + asked.path.lstrip("/") + (f"?{urlencode(rest)}" if rest else "")
        response = RedirectResponse(place, status_code=303)
        response.set_cookie(
            cookie, self._token, path="/", httponly=True, samesite="strict", max_age=30 * 86_400
        )
        return response


def _is_named(host: str, names: Collection[str]) -> bool:
    """Return whether the header ``Host`` is one of some names; with ``*``, or an address."""
    name = (urlsplit(f"//{host}").hostname or "") if host else ""
    if name in names:
        return True

    try:
        return "*" in names and bool(ipaddress.ip_address(name))
    except ValueError:
        return False

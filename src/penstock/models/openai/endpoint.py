"""Where a client asks, and how its errors speak of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from penstock._base.secrets import Redactor
from penstock.errors import ValidationError
from penstock.models.chat_model import RateLimitHeaders
from penstock.models.openai.retry_after import rate_limits_of

__all__ = ["Endpoint", "ResponseHead", "addresses_of", "headers_of"]

_LONGEST_ID = 200


class Endpoint(NamedTuple):
    """An endpoint as its errors name it.

    Args:
        name: Its address, without anything that could be secret.
        key_place: Where the key comes from, for errors: ``the environment variable NAME``.
        has_key: Whether a key is sent.
        max_retry_after_s: The longest wait that it may ask for, in seconds.
        hidden: Takes the key out of whatever it says.
    """

    name: str
    key_place: str | None
    has_key: bool
    max_retry_after_s: float
    hidden: Redactor
    has_marks: bool = True
    """Whether marks of reasoning at the beginning of a text are looked for."""

    @property
    def has_version(self) -> bool:
        """Whether the address has a version in its path, as most have."""
        return re.search(r"/v\d", self.name) is not None

    def head_of(self, status: int, headers: Mapping[str, str]) -> ResponseHead:
        """Read what the head of a response says."""
        request_id = headers.get("x-request-id") or headers.get("request-id")
        if request_id is not None:
            request_id = self.hidden.text(request_id)[:_LONGEST_ID]

        return ResponseHead(status, headers, request_id, rate_limits_of(headers))


class ResponseHead(NamedTuple):
    """The head of a response.

    Args:
        status: The HTTP status.
        headers: All headers, as they came; they are read, and not kept.
        request_id: The provider's id of the request.
        rate_limits: What it said about its limits.
    """

    status: int
    headers: Mapping[str, str]
    request_id: str | None
    rate_limits: RateLimitHeaders | None


def addresses_of(
    base_url: str, query: Mapping[str, str], path: str = "/chat/completions"
) -> tuple[str, str]:
    """Return the endpoint's address to show and the address to ask.

    Args:
        base_url: The endpoint; a query is kept, and what a client adds to its path is left out.
        query: Further fields of the query.
        path: What a client adds to its path.

    Raises:
        ValidationError: it is not an http(s) address, or holds a password.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        said = f"base_url: {parts.scheme}://… is not an http(s) address with a host"
        raise ValidationError([said])

    if "@" in parts.netloc:
        raise ValidationError(["base_url: a name or a password does not belong in an address"])

    begun = parts.path.rstrip("/").removesuffix(path)
    fields = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *query.items()])
    shown = parts._replace(path=begun, query="", fragment="").geturl()
    asked = parts._replace(path=f"{begun}{path}", query=fields, fragment="").geturl()
    return shown, asked


def headers_of(others: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of every request but for the key.

    Raises:
        ValidationError: one of them cannot be a header.
    """
    for name, value in others.items():
        if not (name + value).isprintable() or not (name + value).isascii():
            said = f"headers: {name!r} holds a character that no HTTP header can"
            raise ValidationError([said])

    return {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "User-Agent": "penstock",
        **others,
    }

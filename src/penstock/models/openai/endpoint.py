"""Where a client asks, and how its errors speak of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from penstock._base.secrets import Redactor
from penstock.models.chat_model import RateLimitHeaders
from penstock.models.openai.retry_after import rate_limits_of

__all__ = ["Endpoint", "ResponseHead"]

_LONGEST_ID = 200


class Endpoint(NamedTuple):
    """An endpoint as its errors name it.

    Args:
        name: Its address, without anything that could be secret.
        key_name: The environment variable that holds the key.
        has_key: Whether a key is sent.
        max_retry_after_s: The longest wait that it may ask for, in seconds.
        hidden: Takes the key out of whatever it says.
    """

    name: str
    key_name: str | None
    has_key: bool
    max_retry_after_s: float
    hidden: Redactor

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

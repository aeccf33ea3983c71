"""Why a chat model gave no answer, told apart; each says whether another attempt may help.

ModelError
├─ RateLimitedError             429: too many requests or tokens          retryable
├─ OverloadedError              500, 502, 503, 529 and their like: the provider's fault   retryable
├─ ModelTimeoutError            nothing in time: connect, first_byte, total, stalled  retryable
├─ ModelConnectionError         refused, reset, closed early              retryable
├─ MalformedResponseError       not the JSON of a completion              retryable
├─ AuthenticationError          401, 402, 403, or no credit left: stops the study at once
├─ BadRequestError              400, 404, 422 and their like: the request itself
│   └─ ContextTooLongError      more tokens than the model takes
├─ ContentFilteredError         the provider filtered prompt or answer
├─ RefusalError                 the model declined
├─ TruncatedError               the answer hit max_tokens
└─ RetryAfterTooLongError       the provider asks for a wait beyond the bound
"""

from __future__ import annotations

from typing import ClassVar, Literal

from penstock.errors import RunFault
from penstock.models.chat_model import RateLimitHeaders, Usage

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "ContentFilteredError",
    "ContextTooLongError",
    "MalformedResponseError",
    "ModelConnectionError",
    "ModelError",
    "ModelTimeoutError",
    "OverloadedError",
    "RateLimitedError",
    "RefusalError",
    "RetryAfterTooLongError",
    "TruncatedError",
]


class ModelError(RunFault):
    """A chat model gave no answer.

    Args:
        message: What happened, where, and what to do; never a key.
        http_status: The status of the response, where there was one.
        retry_after_s: How long the provider asks to wait, in seconds.
        request_id: The provider's id of the request, where it gave one.
        usage: Tokens that were used all the same, where the provider counted them.
        rate_limits: What the provider said about its limits, where it did.
    """

    retryable: ClassVar[bool] = False
    stops_study: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
        usage: Usage | None = None,
        rate_limits: RateLimitHeaders | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.usage = usage
        self.rate_limits = rate_limits


class RateLimitedError(ModelError):
    """The provider has had too many requests or tokens."""

    retryable = True


class OverloadedError(ModelError):
    """The provider failed or is overloaded."""

    retryable = True


class ModelTimeoutError(ModelError, TimeoutError):
    """The provider did not answer in time; ``phase`` says where it was waited for."""

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        phase: Literal["connect", "first_byte", "total", "stalled"],
        http_status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, http_status=http_status, request_id=request_id)
        self.phase = phase


class ModelConnectionError(ModelError, ConnectionError):
    """The connection could not be made, or broke."""

    retryable = True


class MalformedResponseError(ModelError):
    """The response is not the JSON of a completion."""

    retryable = True


class AuthenticationError(ModelError):
    """The provider does not know the key, or lets it do nothing; no other call can succeed."""

    stops_study = True


class BadRequestError(ModelError):
    """The provider refuses the request as it is."""


class ContextTooLongError(BadRequestError):
    """The conversation has more tokens than the model takes."""


class ContentFilteredError(ModelError):
    """The provider filtered the prompt or the answer."""


class RefusalError(ModelError):
    """The model declined to answer."""


class TruncatedError(ModelError):
    """The answer ended at ``max_tokens``."""


class RetryAfterTooLongError(ModelError):
    """The provider asks for a longer wait than the study is willing to make."""

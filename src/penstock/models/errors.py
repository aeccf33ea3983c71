"""Why a chat model gave no answer, told apart; each says whether another attempt may help.

ModelError
├─ RateLimitedError             429: too many requests or tokens          retryable
├─ OverloadedError              500, 502, 503, 529: the provider's fault   retryable
├─ ModelTimeoutError            nothing in time: connect, first_byte, total, stalled  retryable
├─ ModelConnectionError         refused, reset, closed early              retryable
├─ MalformedResponseError       not the JSON of a completion              retryable
├─ AuthenticationError          401, 403: stops the study at once
├─ BadRequestError              400, 404, 422: the request itself
│   └─ ContextTooLongError      more tokens than the model takes
├─ ContentFilteredError         the provider filtered prompt or answer
├─ RefusalError                 the model declined
├─ TruncatedError               the answer hit max_tokens
└─ RetryAfterTooLongError       the provider asks for a wait beyond the bound
"""

from __future__ import annotations

from typing import ClassVar, Literal

from penstock.errors import RunFault

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
    """

    retryable: ClassVar[bool] = False
    stops_study: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.retry_after_s = retry_after_s


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
        self, message: str, *, phase: Literal["connect", "first_byte", "total", "stalled"]
    ) -> None:
        super().__init__(message)
        self.phase = phase


class ModelConnectionError(ModelError, ConnectionError):
    """The connection could not be made, or broke."""

    retryable = True


class MalformedResponseError(ModelError):
    """The response is not the JSON of a completion."""

    retryable = True


class AuthenticationError(ModelError):
    """The provider does not know the key, or does not let it in; no other call can succeed."""

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

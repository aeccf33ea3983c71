"""Why a chat model gave no answer, told apart; each says whether another attempt may help.

ModelError
├─ RateLimitedError             429: too many requests or tokens          retryable
├─ OverloadedError              500, 502, 503, 529 and their like: the provider's fault   retryable
├─ ModelTimeoutError            nothing in time: connect, first_byte, total, stalled  retryable
├─ ModelConnectionError         refused, reset, closed early              retryable
├─ MalformedResponseError       not the JSON of a completion              retryable
├─ AuthenticationError          a wrong key, or no credit left: stops the study at once
├─ BadRequestError              400, 404, 422 and their like: the request itself
│   ├─ ContextTooLongError      more tokens than the model takes
│   └─ AccessDeniedError        403: this model or request is not for this key
├─ ContentFilteredError         the provider filtered prompt or answer
├─ RefusalError                 the model declined
├─ TruncatedError               the answer hit max_tokens
├─ RetryAfterTooLongError       the provider asks for a wait beyond the bound
└─ UnboundedCallError           nobody knows what the call may cost, and the study has a budget
"""

from __future__ import annotations

from typing import ClassVar, Literal

from penstock._base.aimd import REFUSED_STATUSES
from penstock.errors import RunFault
from penstock.models.chat_model import Completion, RateLimitHeaders, Usage

__all__ = [
    "FOR_GOOD",
    "PASSING",
    "REFUSED_REQUEST",
    "AccessDeniedError",
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
    "UnboundedCallError",
]

REFUSED_REQUEST = "refused_request"
"""Stands in the provenance of a run that was refused for good; it tells the request from others."""


class ModelError(RunFault):
    """A chat model gave no answer.

    Args:
        message: What happened, where, and what to do; never a key.
        http_status: The status of the response, where there was one.
        retry_after_s: How long the provider asks to wait, in seconds.
        request_id: The provider's id of the request, where it gave one.
        usage: Tokens that were used all the same, where the provider counted them.
        rate_limits: What the provider said about its limits, where it did.
        completion: What came and is not an answer, where something did; the four above are read
            from it where they are not given.
        may_be_billed: Whether the provider may charge for the call without having said so; what
            the class says, where not given.
        is_refusal: Whether the provider did nothing and said "not now": a rate, or too much load.
    """

    retryable: bool = False
    stops_study: ClassVar[bool] = False
    may_be_billed: bool = False
    is_for_good: ClassVar[bool] = False
    """Whether the same request would come to the same again, also in another session."""
    passes: ClassVar[bool] = False
    cost_usd: float | None = None
    """What the call cost all the same, in US dollars, where that is known."""

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
        usage: Usage | None = None,
        rate_limits: RateLimitHeaders | None = None,
        completion: Completion | None = None,
        may_be_billed: bool | None = None,
        is_refusal: bool | None = None,
    ) -> None:
        super().__init__(message)
        if completion is not None:
            http_status = http_status or completion.http_status
            request_id = request_id or completion.request_id
            usage = usage or completion.usage
            rate_limits = rate_limits or completion.rate_limits

        self.http_status = http_status
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.usage = usage
        self.rate_limits = rate_limits
        self.completion = completion
        if may_be_billed is not None:
            self.may_be_billed = may_be_billed

        self.is_refusal = http_status in REFUSED_STATUSES if is_refusal is None else is_refusal

    @property
    def is_passing(self) -> bool:
        """Whether it passes by itself, as a rule; a refusal was waited for already."""
        return self.passes and not self.is_refusal


class RateLimitedError(ModelError):
    """The provider has had too many requests or tokens."""

    retryable = True


class OverloadedError(ModelError):
    """The provider failed or is overloaded."""

    retryable = True
    passes = True


class ModelTimeoutError(ModelError, TimeoutError):
    """The provider did not answer in time; ``phase`` says where it was waited for."""

    retryable = True
    passes = True

    def __init__(
        self,
        message: str,
        *,
        phase: Literal["connect", "first_byte", "total", "stalled"],
        http_status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(
            message,
            http_status=http_status,
            request_id=request_id,
            may_be_billed=phase != "connect",
        )
        self.phase = phase


class ModelConnectionError(ModelError, ConnectionError):
    """The connection could not be made, or broke.

    ``is_unread`` says that it broke on a connection that had served before, and before a byte of
    an answer: as a rule the server had closed it and read nothing, so asking again costs nothing.
    """

    retryable = True
    passes = True
    may_be_billed = True
    is_unread = False


class MalformedResponseError(ModelError):
    """The response is not the JSON of a completion."""

    retryable = True
    may_be_billed = True


class AuthenticationError(ModelError):
    """The provider does not know the key, or its account has no credit; no call can succeed."""

    stops_study = True


class BadRequestError(ModelError):
    """The provider refuses the request as it is."""

    is_for_good = True


class ContextTooLongError(BadRequestError):
    """The conversation has more tokens than the model takes."""


class AccessDeniedError(BadRequestError):
    """The provider does not let this key have this model, or this request; others may succeed.

    It may be given access without a change of the request.
    """

    is_for_good = False


class ContentFilteredError(ModelError):
    """The provider filtered the prompt or the answer."""

    is_for_good = True


class RefusalError(ModelError):
    """The model declined to answer; ``completion`` holds what it said."""

    is_for_good = True


class TruncatedError(ModelError):
    """The answer ended at ``max_tokens``."""


class RetryAfterTooLongError(ModelError):
    """The provider asks for a longer wait than the study is willing to make."""


class UnboundedCallError(ModelError):
    """The study has a budget, and nobody knows what the call may cost at most; it is not made."""

    stops_study = True


FOR_GOOD = {
    error.__name__: error
    for error in (BadRequestError, ContextTooLongError, ContentFilteredError, RefusalError)
}
"""The classes of what a provider refuses for good, by name."""

PASSING = frozenset(
    error.__name__ for error in (OverloadedError, ModelTimeoutError, ModelConnectionError)
)
"""The names of the classes of what passes by itself."""

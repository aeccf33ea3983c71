"""What an error of a provider means: which error it becomes, and its sentence.

Statuses alone do not tell: a 400 may be a bad field, too long a conversation, a filter or an empty
account, a 429 a rate or an empty account, and a 200 any of them. So the words come first
(see `penstock.models.openai.error_words`).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple

from penstock._base.aimd import REFUSED_STATUSES
from penstock.models.model_errors import (
    AccessDeniedError,
    AuthenticationError,
    BadRequestError,
    ContentFilteredError,
    ContextTooLongError,
    MalformedResponseError,
    ModelError,
    OverloadedError,
    RateLimitedError,
    RetryAfterTooLongError,
)
from penstock.models.openai.complaints import Complaint, complaint_of
from penstock.models.openai.endpoint import Endpoint, ResponseHead
from penstock.models.openai.error_words import (
    BAD_ANSWER,
    BAD_KEY,
    BAD_REQUEST,
    FILTERED,
    NEVER_FITS,
    NO_ACCESS,
    NO_CREDIT,
    OVERLOADED,
    RATE,
    TOO_LONG,
)
from penstock.models.openai.retry_after import retry_after_s

__all__ = ["failure_of_complaint", "failure_of_status"]

_SUCCESS = range(200, 300)
_REDIRECTS = range(300, 400)
_REQUEST_ERRORS = range(400, 500)
_SERVER_ERRORS = range(500, 1000)
_RETRYABLE_4XX = frozenset({408, 409, 424, 425, 498, 499})
_PHRASES = {529: "Overloaded", 498: "Capacity Exceeded"}


class _Verdict(NamedTuple):
    """What an error is; ``is_refusal`` where the provider only says "not now"."""

    kind: type[ModelError]
    is_refusal: bool = False
    advice: str = ""


def failure_of_status(endpoint: Endpoint, head: ResponseHead, body: bytes) -> ModelError:
    """Make the error of a response whose status is not a success.

    Args:
        endpoint: Who answered.
        head: The head of the response.
        body: As much of its body as came.
    """
    complaint = complaint_of(endpoint.hidden.body(body))
    said = f"{head.status} {_phrase(head.status)}".rstrip()
    return _failure(endpoint, head, head.status, complaint, f"{endpoint.name} answered {said}")


def failure_of_complaint(
    endpoint: Endpoint, head: ResponseHead, complaint: Complaint, **fields: Any
) -> ModelError:
    """Make the error that a body holds although its status says success.

    Args:
        endpoint: Who answered.
        head: The head of the response.
        complaint: What the body says.
        fields: Further fields of the error: what was used all the same.
    """
    status = complaint.status or head.status
    said = f"{endpoint.name} answered {head.status} with an error"
    return _failure(endpoint, head, status, complaint, said, **fields)


def _failure(
    endpoint: Endpoint,
    head: ResponseHead,
    status: int,
    complaint: Complaint,
    sentence: str,
    **fields: Any,
) -> ModelError:
    kind, is_refusal, advice = _verdict(status, complaint, endpoint)
    given_s = retry_after_s(head.headers)
    wait_s = complaint.wait_s if given_s is None else given_s
    excerpt = endpoint.hidden.excerpt(complaint.sentence)
    sentence += f": {excerpt}" if excerpt else ""
    if status in _REDIRECTS:
        where = endpoint.hidden.excerpt(head.headers.get("location", "somewhere else"), 200)
        advice = f"it redirects to {where}: write that address as base_url if you trust it"

    if kind in _WAITED_FOR and wait_s is not None and wait_s > endpoint.max_retry_after_s:
        most_s = endpoint.max_retry_after_s
        kind = RetryAfterTooLongError
        advice = f"it asks to wait {wait_s:.15g} s, more than max_retry_after_s={most_s:g}"

    failure = kind(
        f"{sentence}; {advice}" if advice else sentence,
        http_status=status,
        retry_after_s=wait_s,
        request_id=head.request_id,
        rate_limits=head.rate_limits,
        is_refusal=is_refusal,
        **fields,
    )
    if head.headers.get("x-should-retry") == "false":
        failure.retryable = False

    return failure


_WAITED_FOR = (RateLimitedError, OverloadedError)


def _verdict(status: int, complaint: Complaint, endpoint: Endpoint) -> _Verdict:
    is_about_request = status in _REQUEST_ERRORS or status in _SUCCESS
    if status in _OF_ACCESS and NO_ACCESS.are_in(complaint):
        return _Verdict(AccessDeniedError)

    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED}:
        has_no_credit = status == HTTPStatus.PAYMENT_REQUIRED or NO_CREDIT.are_in(complaint)
        return _Verdict(
            AuthenticationError, advice=_about_the_key(endpoint, has_no_credit=has_no_credit)
        )

    if is_about_request:
        verdict = _of_content(status, complaint) or _of_account(status, complaint, endpoint)
        if verdict is not None:
            return verdict

    if status == HTTPStatus.INTERNAL_SERVER_ERROR and TOO_LONG.are_in(complaint):
        return _Verdict(ContextTooLongError)  # of some local servers; no attempt would change it

    if is_about_request and (verdict := _of_load(status, complaint)) is not None:
        return verdict

    return _of_status(status, complaint, endpoint)


_OF_ACCESS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def _of_content(status: int, complaint: Complaint) -> _Verdict | None:
    """Judge what is about this one request; a rate may speak of too many tokens, too."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return None

    if status == HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS or FILTERED.are_in(complaint):
        return _Verdict(ContentFilteredError)

    if BAD_ANSWER.are_in(complaint):
        return _Verdict(MalformedResponseError)

    if RATE.are_in(complaint):
        return None

    is_too_long = status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or TOO_LONG.are_in(complaint)
    return _Verdict(ContextTooLongError) if is_too_long else None


def _of_account(status: int, complaint: Complaint, endpoint: Endpoint) -> _Verdict | None:
    """Judge what is about the key and its account: nothing else can succeed."""
    # Who says until when speaks of a rate, also where credits would lift it (OpenRouter) or the
    # current quota is exceeded (Gemini).
    is_quota = "exceeded your current quota" in complaint.words
    is_quota = is_quota and "resource_exhausted" not in complaint.codes
    if (NO_CREDIT.are_in(complaint) or is_quota) and complaint.wait_s is None:
        return _Verdict(AuthenticationError, advice=_about_the_key(endpoint, has_no_credit=True))

    if status != HTTPStatus.TOO_MANY_REQUESTS and BAD_KEY.are_in(complaint):
        return _Verdict(AuthenticationError, advice=_about_the_key(endpoint, has_no_credit=False))

    return None


def _of_load(status: int, complaint: Complaint) -> _Verdict | None:
    """Judge what is about how much is asked; it is waited for."""
    if status == HTTPStatus.TOO_MANY_REQUESTS or RATE.are_in(complaint):
        if NEVER_FITS.are_in(complaint):
            return _Verdict(BadRequestError)

        return _Verdict(RateLimitedError, is_refusal=True)

    return _Verdict(OverloadedError, is_refusal=True) if OVERLOADED.are_in(complaint) else None


def _of_status(status: int, complaint: Complaint, endpoint: Endpoint) -> _Verdict:
    if status in _SUCCESS:
        return _Verdict(BadRequestError if BAD_REQUEST.are_in(complaint) else OverloadedError)

    is_theirs = status in _SERVER_ERRORS and status != HTTPStatus.NOT_IMPLEMENTED
    if is_theirs or status in _RETRYABLE_4XX:
        is_refusal = status in REFUSED_STATUSES
        return _Verdict(OverloadedError, is_refusal)

    if status == HTTPStatus.FORBIDDEN:
        return _Verdict(AccessDeniedError, advice="" if endpoint.has_key else _NO_KEY)

    is_bare = status == HTTPStatus.NOT_FOUND and not endpoint.has_version
    return _Verdict(BadRequestError, advice=_NO_VERSION if is_bare else "")


_NO_KEY = "no key was sent: none is named for this endpoint"
_NO_VERSION = "most endpoints want a base_url that ends with /v1"


def _about_the_key(endpoint: Endpoint, *, has_no_credit: bool) -> str:
    place = f" in {endpoint.key_place}" if endpoint.key_place else ""
    if not endpoint.has_key:
        return f"no key was sent: there is none{place or ' named for this endpoint'}"

    if has_no_credit:
        return f"the account of the key{place} has no credit left, or is closed"

    return f"check the key{place}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return _PHRASES.get(status, "")

"""What an error response of a provider means: which error it becomes, and its sentence.

Statuses alone do not tell: a 400 may be a bad field, too long a conversation or a filter, and a
429 may be a rate or an empty account. Codes are looked at first, then the sentences of common
servers (OpenAI, Azure, Anthropic, Gemini, Mistral, OpenRouter, Groq, vLLM, SGLang, TGI, llama.cpp).
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, NamedTuple

from penstock._base.json import decode
from penstock.models.model_errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilteredError,
    ContextTooLongError,
    ModelError,
    OverloadedError,
    RateLimitedError,
    RetryAfterTooLongError,
)
from penstock.models.openai.endpoint import Endpoint, ResponseHead
from penstock.models.openai.retry_after import retry_after_s

__all__ = ["failure_in_payload", "failure_of_status"]

_TOO_LONG_CODES = {
    "context_length_exceeded",
    "exceed_context_size_error",
    "context_window_exceeded",
}
_TOO_LONG = re.compile(
    r"maximum context length|context (?:window|size|length)|prompt is too long"
    r"|input is too long|too many (?:input )?tokens"
    r"|(?:prompt|input) (?:length|token count)(?: \(\d+\))? exceed"
    r"|inputs`? tokens \+ `?max_new_tokens|reduce the length of the|range of input length",
)
_FILTERED_CODES = {
    "content_filter",
    "content_policy_violation",
    "data_inspection_failed",
    "responsibleaipolicyviolation",
}
_FILTERED = re.compile(r"content (?:management )?(?:filter|policy)|flagged by|safety system")
_NO_CREDIT_CODES = {"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"}
_NEVER_FITS = re.compile(r"request too large")

_REDIRECTS = range(300, 400)
_SERVER_ERRORS = range(500, 1000)
_ERRORS = range(400, 600)
_ABOUT_THE_KEY = frozenset({401, 402, 403})
_ABOUT_THE_REQUEST = frozenset(range(400, 500)) - {401, 402, 429}
_MAYBE_TOO_LONG = _ABOUT_THE_REQUEST | {500}
"""Some servers of local models say 500 for it, which no other attempt would change."""

_RETRYABLE_4XX = frozenset({408, 409, 425, 498, 499})
_PHRASES = {529: "Overloaded", 498: "Capacity Exceeded"}


class _Complaint(NamedTuple):
    """What an error body says: its sentence, and its codes and types in lower case."""

    sentence: str
    codes: frozenset[str]
    status: int | None = None


def failure_of_status(endpoint: Endpoint, head: ResponseHead, body: bytes) -> ModelError:
    """Make the error of a response whose status is not a success.

    Args:
        endpoint: Who answered.
        head: The head of the response.
        body: As much of its body as came.
    """
    return _failure(endpoint, head, head.status, _complaint_of(endpoint.hidden.body(body)))


def failure_in_payload(endpoint: Endpoint, head: ResponseHead, payload: Any) -> ModelError:
    """Make the error of a body that holds one although its status says success."""
    complaint = _read(payload)
    guessed = 429 if any("rate_limit" in code for code in complaint.codes) else 500
    return _failure(endpoint, head, complaint.status or guessed, complaint)


def _failure(
    endpoint: Endpoint, head: ResponseHead, status: int, complaint: _Complaint
) -> ModelError:
    kind = _kind_of(status, complaint)
    wait_s = retry_after_s(head.headers)
    sentence = f"{endpoint.name} answered {status} {_phrase(status)}".rstrip()
    excerpt = endpoint.hidden.excerpt(complaint.sentence)
    if excerpt:
        sentence += f": {excerpt}"

    if kind is AuthenticationError:
        sentence += _about_the_key(endpoint, status)
    elif status in _REDIRECTS:
        where = endpoint.hidden.excerpt(head.headers.get("location", "somewhere else"), 200)
        sentence += f"; it redirects to {where}: write that address as base_url if you trust it"

    if kind in _WAITED_FOR and wait_s is not None and wait_s > endpoint.max_retry_after_s:
        most_s = endpoint.max_retry_after_s
        kind = RetryAfterTooLongError
        sentence += f"; it asks to wait {wait_s:.15g} s, more than max_retry_after_s={most_s:g}"

    return kind(
        sentence,
        http_status=status,
        retry_after_s=wait_s,
        request_id=head.request_id,
        rate_limits=head.rate_limits,
    )


_WAITED_FOR = (RateLimitedError, OverloadedError)


def _about_the_key(endpoint: Endpoint, status: int) -> str:
    variable = f" in the environment variable {endpoint.key_name}" if endpoint.key_name else ""
    if not endpoint.has_key:
        return f"; no key was sent: there is none{variable or ' named for this endpoint'}"

    if status in (402, 429):
        return f"; the account of the key{variable} has no credit left"

    return f"; check the key{variable}"


def _kind_of(status: int, complaint: _Complaint) -> type[ModelError]:
    codes, sentence = complaint.codes, complaint.sentence.lower()
    if status in _ABOUT_THE_REQUEST and (codes & _FILTERED_CODES or _FILTERED.search(sentence)):
        return ContentFilteredError

    if status in _MAYBE_TOO_LONG and (codes & _TOO_LONG_CODES or _TOO_LONG.search(sentence)):
        return ContextTooLongError

    is_rate = status == HTTPStatus.TOO_MANY_REQUESTS
    if status in _ABOUT_THE_KEY or (is_rate and codes & _NO_CREDIT_CODES):
        return AuthenticationError

    if is_rate:
        return BadRequestError if _NEVER_FITS.search(sentence) else RateLimitedError

    is_theirs = status in _SERVER_ERRORS and status != HTTPStatus.NOT_IMPLEMENTED
    return OverloadedError if is_theirs or status in _RETRYABLE_4XX else BadRequestError


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return _PHRASES.get(status, "")


def _complaint_of(body: bytes) -> _Complaint:
    text = body.decode("utf-8", "replace")
    try:
        payload = decode(text)
    except (ValueError, RecursionError):
        return _Complaint(text, frozenset())

    complaint = _read(payload)
    return complaint if complaint.sentence else complaint._replace(sentence=text)


def _read(payload: Any) -> _Complaint:
    """Find the sentence and the codes, wherever a server has put them."""
    if isinstance(payload, list):
        payload = payload[0] if payload else None

    if not isinstance(payload, dict):
        return _Complaint("" if payload is None else str(payload), frozenset())

    inner = payload.get("error")
    if isinstance(inner, dict):
        payload = payload | inner
    elif isinstance(inner, str):
        payload = {"message": inner} | payload

    detailed = payload.get("innererror")
    codes = [payload.get(name) for name in ("code", "type", "status")]
    codes.append(detailed.get("code") if isinstance(detailed, dict) else None)
    metadata = payload.get("metadata")
    if isinstance(metadata, dict) and "flagged_input" in metadata:
        codes.append("content_filter")  # OpenRouter's moderation says 403 and no code

    sentence = payload.get("message") or payload.get("detail") or ""
    status = next((code for code in codes if type(code) is int and code in _ERRORS), None)
    names = frozenset(code.lower() for code in codes if isinstance(code, str))
    return _Complaint(sentence if isinstance(sentence, str) else str(sentence), names, status)

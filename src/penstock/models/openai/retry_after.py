"""How long a provider asks to wait, in all the ways in which providers say it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import time

from penstock.models.chat_model import RateLimitHeaders

__all__ = ["rate_limits_of", "retry_after_s", "wait_in_words_s"]

_DECIMAL = re.compile(r"\d+(?:\.\d*)?|\.\d+")
_DURATION = re.compile(
    r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
_UNITS_S = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_WAIT = re.compile(
    r"(?:try(?:ing)? again|retry(?:ing)?|available|back ?off|allowed|wait|reset\w*)"
    r"(?: again)?[\s_-]"
    r"(?:in|after|for|about|at least|approximately|[\s:=])*\s?"
    r"((?:\d+(?:\.\d+)?\s?(?:milliseconds?|ms|days?|d|hours?|hrs?|h|minutes?|mins?|m|"
    r"seconds?|secs?|s)\b\s?)+|(?:\d+(?:\.\d+)?(?:d|h|ms|m|s))+\b)",
    re.IGNORECASE,
)
_BARE = re.compile(r"retry[-_ ]after[\s:=]{1,3}(\d+(?:\.\d+)?)(?![\w:-]|\.\d)", re.IGNORECASE)
"""The header, quoted in a sentence: seconds."""

_SPELT_OUT = re.compile(r"\s?(ms|mil|d|h|m|s)[a-z]*\s?")
_LONGEST_SENTENCE = 4000
_EARLIEST_EPOCH_S = 1e9
"""A reset further away than thirty years is a moment, not a duration."""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read ``retry-after-ms`` and ``Retry-After``: seconds, a fraction of them, or an HTTP date.

    A date is taken relative to the server's own ``Date``, so that its clock need not be ours; one
    that is over means now. What is negative or cannot be read says nothing.

    Args:
        headers: Headers of a response; looked up by lower-case name.
    """
    given_ms = _decimal(headers.get("retry-after-ms"))
    if given_ms is not None:
        return given_ms / 1000

    given = headers.get("retry-after")
    given_s = _decimal(given)
    if given_s is not None or given is None:
        return given_s

    until = _date_s(given)
    if until is None:
        return None

    now = _date_s(headers.get("date"))
    return max(0.0, until - (time() if now is None else now))


def wait_in_words_s(sentence: str) -> float | None:
    """Read how long a sentence asks to wait: ``try again in 17m12.5s``, ``after 32 seconds``.

    OpenAI, Azure, Groq and Gemini say it so, and some of them in no header.
    """
    found = _WAIT.search(sentence[:_LONGEST_SENTENCE])
    if found is not None:
        return _duration_s(_SPELT_OUT.sub(_unit, found[1].lower()))

    bare = _BARE.search(sentence[:_LONGEST_SENTENCE])
    return None if bare is None else float(bare[1])


def rate_limits_of(headers: Mapping[str, str]) -> RateLimitHeaders | None:
    """Read the ``x-ratelimit-*`` headers; those without a kind are about requests.

    Args:
        headers: Headers of a response; looked up by lower-case name.
    """
    said = {}
    get = headers.get
    for name, field, read in _RATE_LIMITS:
        text = get(name)
        if text is not None and field not in said:
            value = read(text)
            if value is not None:
                said[field] = value

    return RateLimitHeaders.model_validate(said) if said else None


def _unit(found: re.Match[str]) -> str:
    return "ms" if found[1] == "mil" else found[1]


def _decimal(text: str | None) -> float | None:
    return float(text) if text is not None and _DECIMAL.fullmatch(text := text.strip()) else None


def _whole(text: str) -> int | None:
    if text.isdecimal() and len(text) < _LONG:
        return int(text)

    value = _decimal(text)
    return int(value) if value is not None and value < _MOST else None


_LONG = 18
_MOST = 1e18


def _date_s(text: str | None) -> float | None:
    if text is None:
        return None

    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _reset_s(text: str) -> float | None:
    """Read ``1s``, ``6m0s``, ``20ms``, seconds, a moment in seconds or ms, or an ISO date."""
    said_s = _duration_s(text)
    if said_s is not None and said_s < _EARLIEST_EPOCH_S:
        return said_s

    moment_s = _moment_s(text) if said_s is None else said_s
    if moment_s is None:
        return None

    if moment_s > _EARLIEST_EPOCH_S * 100:
        moment_s /= 1000

    return max(0.0, moment_s - time())


@lru_cache(1024)
def _duration_s(text: str) -> float | None:
    """Read seconds with or without units; they are few, and each call of a study brings two."""
    text = text.strip()
    found = _DURATION.fullmatch(text)
    if not found or not text:
        return _decimal(text)

    pairs = zip(found.groups(), _UNITS_S, strict=True)
    return sum(float(count) * unit_s for count, unit_s in pairs if count is not None)


def _moment_s(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


_RATE_LIMITS: tuple[tuple[str, str, Callable[[str], float | None]], ...] = (
    *(
        (f"x-ratelimit-{what}-{kind}", f"{what}_{kind}", _whole)
        for what in ("limit", "remaining")
        for kind in ("requests", "tokens")
    ),
    ("x-ratelimit-reset-requests", "reset_requests_s", _reset_s),
    ("x-ratelimit-reset-tokens", "reset_tokens_s", _reset_s),
    ("x-ratelimit-limit", "limit_requests", _whole),
    ("x-ratelimit-remaining", "remaining_requests", _whole),
    ("x-ratelimit-reset", "reset_requests_s", _reset_s),
)
"""Where each is read from, and how; what is kept first is not read again."""

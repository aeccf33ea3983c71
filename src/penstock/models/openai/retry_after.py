"""How long a provider asks to wait, in all the ways in which providers say it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import time
from typing import Any

from penstock._base.fact import unchecked
from penstock.models.chat_model import RateLimitHeaders

__all__ = ["rate_limits_of", "retry_after_s", "wait_in_words_s", "wait_of_fields_s"]

_DECIMAL = re.compile(r"\d+(?:\.\d*)?|\.\d+")
_CLOCK = r"\d+:[0-5]\d:[0-5]\d"
_DURATION = re.compile(
    r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
_UNITS_S = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_SPELT = (
    r"(?:\d+(?:\.\d+)?\s?(?:milliseconds?|ms|days?|d|hours?|hrs?|h|minutes?|mins?|m|"
    r"seconds?|secs?|s)\b\s?)+|(?:\d+(?:\.\d+)?(?:d|h|ms|m|s))+\b"
)
_WAIT = re.compile(
    r"(?:try(?:ing)? again|retry(?:ing)?|available|back ?off|allowed|wait|reset\w*|replenished)"
    r"(?: again)?[\s_-]"
    r"(?:in|after|for|about|at least|approximately|[\s:=])*\s?"
    rf"({_CLOCK}|{_SPELT})",
    re.IGNORECASE,
)
_BARE = re.compile(r"retry[-_ ]after[\s:=]{1,3}(\d+(?:\.\d+)?)(?![\w:-]|\.\d)", re.IGNORECASE)
"""The header, quoted in a sentence: seconds."""

_SPELT_OUT = re.compile(r"\s?(ms|mil|d|h|m|s)[a-z]*\s?")
_LONGEST_SENTENCE = 4000
_MOMENTS_S = (1e9, 1e11)
_MOMENTS_MS = (1e12, 1e14)
"""A number between these is a moment, of this century and some more, and not a duration."""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read ``retry-after-ms`` and ``Retry-After``, in whatever form a server writes it.

    It is seconds, a fraction of them, a duration (``1m30s``) or a moment. A moment is taken
    relative to the server's own ``Date``, so that its clock need not be ours; one that is over
    means now. What is negative or cannot be read says nothing.

    Args:
        headers: Headers of a response; looked up by lower-case name.
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        given_ms = _decimal(headers.get(name))
        if given_ms is not None:
            return given_ms / 1000

    given = headers.get("retry-after")
    return None if given is None else _wait_s(given, headers.get("date"))


def wait_of_fields_s(fields: Mapping[str, Any]) -> float | None:
    """Read how long the fields of an error ask to wait; headers that it quotes are such fields."""
    for name in _WAIT_FIELDS:
        given = fields.get(name)
        is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
        wait_s = _wait_s(str(given)) if is_number or isinstance(given, str) else None
        if wait_s is not None:
            return wait_s / 1000 if name.endswith("_ms") else wait_s

    headers = {name.lower(): str(text) for name, text in fields.items() if "-" in name}
    limits = rate_limits_of(headers) if headers else None
    if limits is not None and limits.remaining_requests == 0:
        return limits.reset_requests_s

    if limits is not None and limits.remaining_tokens == 0:
        return limits.reset_tokens_s

    return retry_after_s(headers)


_WAIT_FIELDS = (
    "retryDelay",  # Google's
    "retry_after_ms",
    "retry_after",
    "retry_after_seconds",
    "retryAfter",
    "estimated_time",  # Hugging Face's, while it loads a model
)


def wait_in_words_s(sentence: str) -> float | None:
    """Read how long a sentence asks to wait: ``try again in 17m12.5s``, ``after 32 seconds``.

    OpenAI, Azure, Groq and Gemini say it so, and some of them in no header.
    """
    found = _WAIT.search(sentence[:_LONGEST_SENTENCE])
    if found is not None:
        return _spelt_s(found[1])

    bare = _BARE.search(sentence[:_LONGEST_SENTENCE])
    return None if bare is None else float(bare[1])


def rate_limits_of(headers: Mapping[str, str]) -> RateLimitHeaders | None:
    """Read what headers say about limits; those without a kind are about requests.

    Args:
        headers: Headers of a response, whatever the case of their names.
    """
    said: dict[str, Any] = {}
    texts = tuple(headers.values())
    for place, field, read in _limits_among(tuple(headers)):
        if field not in said and (value := read(texts[place])) is not None:
            said[field] = value

    return _rate_limits(**said) if said else None


@lru_cache(1024)
def _limits_among(
    names: tuple[str, ...],
) -> tuple[tuple[int, str, Callable[[str], float | None]], ...]:
    """Find the headers about limits, the one that holds first where several are of one field.

    An endpoint sends the same names with each of its answers.
    """
    found = [(place, _RATE_LIMITS.get(name.lower())) for place, name in enumerate(names)]
    ranked = sorted(
        (rank, place, field, read)
        for place, of in found
        if of is not None
        for field, rank, read in [of]
    )
    return tuple(each[1:] for each in ranked)


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


def _wait_s(text: str, date: str | None = None) -> float | None:
    """Read seconds with or without units, or a moment, which is after a date or after now."""
    given_s = _spelt_s(text)
    if given_s is not None and not _is_moment(given_s):
        return given_s

    moment_s = _moment_s(text) if given_s is None else given_s
    if moment_s is None:
        return None

    moment_s = moment_s / 1000 if moment_s > _MOMENTS_S[1] else moment_s
    now = None if date is None else _moment_s(date)
    return max(0.0, moment_s - (time() if now is None else now))


def _is_moment(number: float) -> bool:
    return _MOMENTS_S[0] <= number < _MOMENTS_S[1] or _MOMENTS_MS[0] <= number < _MOMENTS_MS[1]


def _moment_s(text: str) -> float | None:
    """Read a date as HTTP or as ISO 8601 writes it; one without a zone is in UTC."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text.strip())
            zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            return zoned.timestamp()
        except (ValueError, TypeError, OverflowError, IndexError, OSError):
            continue

    return None


@lru_cache(1024)
def _spelt_s(text: str) -> float | None:
    """Read ``1m30s``, ``2 minutes``, ``00:12:11`` or bare seconds.

    They are few, and each call of a study brings two.
    """
    spelt = _SPELT_OUT.sub(_unit, text.strip().lower())
    found = _DURATION.fullmatch(spelt)
    if spelt and found:
        pairs = zip(found.groups(), _UNITS_S, strict=True)
        return sum(float(count) * unit_s for count, unit_s in pairs if count is not None)

    if re.fullmatch(_CLOCK, spelt):
        hours, minutes, seconds = map(int, spelt.split(":"))
        return 3600.0 * hours + 60.0 * minutes + seconds

    return _decimal(text)


_rate_limits = unchecked(RateLimitHeaders)
"""Each of its numbers is read by a function of its own."""


def _names_of_limits() -> Iterator[tuple[str, tuple[str, int, Callable[[str], float | None]]]]:
    for what in ("limit", "remaining", "reset"):
        ending, read = ("_s", _wait_s) if what == "reset" else ("", _whole)
        for kind in ("requests", "tokens"):
            field = f"{what}_{kind}{ending}"
            names = (
                f"x-ratelimit-{what}-{kind}",
                f"anthropic-ratelimit-{kind}-{what}",
                *(f"x-ratelimit-{what}-{kind}-{span}" for span in ("minute", "hour", "day")),
                *((f"x-ratelimit-{what}", f"ratelimit-{what}") if kind == "requests" else ()),
            )
            for rank, name in enumerate(names):
                yield name, (field, rank, read)


_RATE_LIMITS = dict(_names_of_limits())
"""Which field each header is read to, and how; of several for one the lower number holds."""

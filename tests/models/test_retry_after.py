"""How long a provider asks to wait, in all the ways in which providers say it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from penstock.models.chat_model import RateLimitHeaders
from penstock.models.openai.retry_after import rate_limits_of, retry_after_s


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "2"}, 2.0),
        ({"Retry-After": " 2 "}, 2.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "0.25"}, 0.25),
        ({"Retry-After": ".5"}, 0.5),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"retry-after-ms": "soon", "Retry-After": "9"}, 9.0),
        ({"Retry-After": "999999999999"}, 999999999999.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "1e9"}, None),
        ({"Retry-After": "Wed, 99 Foo 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 99999 07:28:00 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_a_wait_is_read_in_whatever_form_it_comes(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_s(CIMultiDict(headers)) == seconds


def test_a_date_is_meant_by_the_clock_of_the_server() -> None:
    headers = {
        "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
        "Retry-After": "Wed, 21 Oct 2015 07:28:30 -0000",
    }
    assert retry_after_s(CIMultiDict(headers)) == 30.0


def test_a_date_without_the_date_of_the_server_is_meant_by_ours() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    wait_s = retry_after_s(CIMultiDict({"Retry-After": until}))
    assert wait_s is not None
    assert 50 < wait_s <= 60


@given(st.text(max_size=40))
def test_no_text_at_all_makes_it_fail_or_go_back_in_time(text: str) -> None:
    wait_s = retry_after_s(CIMultiDict({"Retry-After": text}))
    assert wait_s is None or wait_s >= 0
    limits = rate_limits_of(CIMultiDict({"x-ratelimit-reset": text, "x-ratelimit-limit": text}))
    if limits is not None:  # it is made without being checked
        checked = RateLimitHeaders.model_validate(limits.model_dump(), strict=True)
        assert repr(checked) == repr(limits)


def test_limits_are_read_from_all_six_headers() -> None:
    headers = {
        "X-RateLimit-Limit-Requests": "3000",
        "X-RateLimit-Limit-Tokens": "400000",
        "X-RateLimit-Remaining-Requests": "2999.0",
        "X-RateLimit-Remaining-Tokens": "0",
        "X-RateLimit-Reset-Requests": "20ms",
        "X-RateLimit-Reset-Tokens": "1h2m3.5s",
    }
    assert rate_limits_of(CIMultiDict(headers)) == RateLimitHeaders(
        limit_requests=3000,
        limit_tokens=400_000,
        remaining_requests=2999,
        remaining_tokens=0,
        reset_requests_s=0.02,
        reset_tokens_s=3723.5,
    )


def test_headers_without_a_kind_are_about_requests_where_nothing_better_is_said() -> None:
    plain = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "1.5"}
    read = rate_limits_of(CIMultiDict(plain))
    assert read == RateLimitHeaders(limit_requests=60, remaining_requests=1, reset_requests_s=1.5)
    better = rate_limits_of(CIMultiDict(plain | {"x-ratelimit-limit-requests": "50"}))
    assert better is not None
    assert better.limit_requests == 50


@pytest.mark.parametrize("form", ["{:.0f}", "{:.3f}", "ms", "iso"])
def test_a_reset_may_be_a_moment(form: str) -> None:
    moment = time() + 100
    texts = {"ms": f"{moment * 1000:.0f}", "iso": datetime.fromtimestamp(moment, UTC).isoformat()}
    read = rate_limits_of(CIMultiDict({"x-ratelimit-reset": texts.get(form, form.format(moment))}))
    assert read is not None
    assert read.reset_requests_s == pytest.approx(100, abs=5)


def test_nothing_that_can_be_read_is_no_fact_at_all() -> None:
    assert rate_limits_of(CIMultiDict()) is None
    garbage = {
        "x-ratelimit-limit": "many",
        "x-ratelimit-reset": "later",
        "x-ratelimit-remaining": "9" * 400,
    }
    assert rate_limits_of(CIMultiDict(garbage)) is None

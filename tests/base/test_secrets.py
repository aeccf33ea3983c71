"""Keys are taken out of what is stored and shown, in every form in which servers write them."""

from __future__ import annotations

from base64 import b64encode

import pytest

from penstock._base.secrets import Redactor, redacted

KEY = "0f9e8d7c6b5a49382716"


@pytest.mark.field("studies-SEC4")
@pytest.mark.parametrize(
    "text",
    [
        "cannot reach https://user:PASS-WORD@host/v1",
        "postgres://app:PASS-WORD@db:5432/x is down",
        "got token=PASS-WORD, which is no good",
        "GET /v1?sig=1&sig=PASS-WORD&x=1",
        "GET /v1?a=1&key=PASS-WORD",
        "the cookie session=PASS-WORD; path=/",
        "Location: https://me:PASS-WORD@elsewhere/",
        "Incorrect API key provided: PASS-WORD",
        '{"api_key": "PASS-WORD"}',
        "Authorization: Bearer PASS-WORD",
    ],
)
def test_what_an_error_says_of_a_secret_is_replaced_and_the_rest_kept(text: str) -> None:
    shown = redacted(text)
    assert "PASS-WORD" not in shown
    assert "[redacted]" in shown


@pytest.mark.field("studies-SEC4")
@pytest.mark.parametrize("before", ["", "a", "ab", "abc:"])
def test_a_key_is_found_in_base64_wherever_it_begins(before: str) -> None:
    encoded = b64encode(f"{before}{KEY}".encode()).decode()
    shown = Redactor(KEY).text(f"refused: Basic {encoded}")
    known = b64encode(KEY.encode()).decode()[4:-6]
    assert known not in shown
    assert "[redacted]" in shown


@pytest.mark.field("studies-SEC4")
def test_a_bare_key_that_was_sent_is_taken_out_wherever_it_stands() -> None:
    hidden = Redactor(KEY)
    assert KEY not in hidden.excerpt(f"Incorrect key: {KEY}. You can find yours at http://x.")
    assert hidden.text(f"id-{KEY}-7") == "id-[redacted]-7"


@pytest.mark.parametrize(
    "text", ["a token of thanks", "the session ended", "the key is 3 = 3", "key=3", "2 + 2 = 4"]
)
def test_words_that_are_no_secret_stay(text: str) -> None:
    assert redacted(text) == text

"""Keeps a key out of everything that is stored or shown."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import quote

import orjson

__all__ = ["REDACTED", "Redactor"]

REDACTED = "[api key]"
"""What stands where a key stood."""

_SHORTEST_SECRET = 8
"""Local servers take any key, and people write ``x`` or ``EMPTY``: words that answers use too."""

_KEY_LIKE = re.compile(r"\b(?:sk|pk|rk|gsk|xai|key)-[\w*.-]{6,}|\bBearer\s+\S+")
"""What looks like a key, also where a provider has starred out the middle of it."""

_TAG = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_UNPRINTABLE = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+"
)


class Redactor:
    """Replaces every occurrence of one key; its ``repr`` does not show it.

    Args:
        key: The key; shorter than 8 characters it is taken for a placeholder and left alone.
    """

    def __init__(self, key: str | None) -> None:
        is_secret = key is not None and len(key) >= _SHORTEST_SECRET
        forms = _forms_of(key) if key is not None and is_secret else []
        self._texts = [(form, REDACTED) for form in forms]
        self._bodies = [(form.encode(), REDACTED.encode()) for form in forms]

    def text(self, text: str) -> str:
        """Take the key out of a text."""
        for form, instead in self._texts:
            if form in text:
                text = text.replace(form, instead)

        return text

    def body(self, body: bytes) -> bytes:
        """Take the key out of a body of JSON, also where escapes in it hide the key."""
        if not self._bodies:
            return body

        if b"\\" in body and (b"\\u00" in body or b"\\/" in body):
            body = _without_needless_escapes(body)

        for form, instead in self._bodies:
            if form in body:
                body = body.replace(form, instead)

        return body

    def excerpt(self, text: str, most: int = 300) -> str:
        """Make one printable line of the beginning of a text, without the key.

        Args:
            text: Anything that a server or a library said.
            most: How many characters are kept.
        """
        shown = self.text(text)
        if "<" in shown:
            shown = _TAG.sub(" ", shown)

        shown = self.text(_UNPRINTABLE.sub(" ", shown)).strip()
        shown = _KEY_LIKE.sub(REDACTED, shown)
        return shown if len(shown) <= most else shown[: most - 1] + "…"


def _forms_of(key: str) -> list[str]:
    """List the ways in which servers write a key, the longest first."""
    forms = {key, quote(key, safe=""), html.escape(key), json.dumps(key)[1:-1]}
    return sorted(forms, key=len, reverse=True)


def _without_needless_escapes(body: bytes) -> bytes:
    try:
        return orjson.dumps(orjson.loads(body))
    except ValueError:
        return body

"""Takes keys out of texts before they are stored or shown: errors, tracebacks, metadata, bodies.

Providers repeat keys in their errors, and people note them beside a study. What an agent returns,
observes or measures is its own and is stored as it is; a chat model's answer is changed only where
its provider repeats a real key in it, and the run then says so.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import orjson

__all__ = [
    "REDACTED",
    "Redactor",
    "looks_like_key",
    "names_secret",
    "redacted",
    "without_secrets",
]

REDACTED = "[redacted]"
"""What stands where a secret stood."""

_NAME = (
    r"(?:api|access|private|secret|auth)[-_ ]?(?:key|token)|authorization|password|passwd|secret"
)
_SECRET_NAME = re.compile(rf"(?:.*[-_.])?(?:{_NAME}|token|credentials?)", re.IGNORECASE)
_KEY_LIKE = re.compile(
    r"(?<![\w-])(?:(?:sk|pk|rk|xai|pplx|nvapi|glpat)-|(?:sk|pk|rk)_(?:live|test)_)[\w*.-]{6,}"
    r"|\b(?:gh[oprsu]_|github_pat_|hf_|gsk_|fw_|r8_|tgp_v1_|xox[abp]-|AKIA|AIza|ya29\.)[\w-]{12,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
)
"""What looks like a key, also where a provider has starred out the middle of it."""

_AFTER_A_NAME = re.compile(
    rf"(?P<name>(?<![a-z])(?:{_NAME})\b(?:\s+(?:provided|given|sent|used))?[\"']?\s*[=:]\s*[\"']?"
    r"(?:(?:bearer|basic)\s+)?|\bbearer\s+)[^\s\"'&,;)}\]]{4,}",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\bBearer\s+[^\s\"']+")
_IN_AN_ADDRESS = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@\"'?#]+@"
    r"|(?P<field>(?:[?&](?:key|code)|\b(?:token|sig|signature|session|sessionid))=)[^\s\"'&#;,]{4,}",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Replace what looks like a key, what follows the name of one, and passwords in addresses."""
    text = _IN_AN_ADDRESS.sub(_without_the_rest, text)
    text = _AFTER_A_NAME.sub(rf"\g<name>{REDACTED}", _BEARER.sub(REDACTED, text))
    return _KEY_LIKE.sub(REDACTED, text)


def looks_like_key(text: str) -> bool:
    """Return whether a text is, or holds, what looks like a key."""
    return _KEY_LIKE.search(text) is not None or _BEARER.search(text) is not None


@lru_cache(maxsize=1024)
def names_secret(name: str) -> bool:
    """Return whether a field of this name holds a secret."""
    return _SECRET_NAME.fullmatch(name) is not None


def without_secrets(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Replace texts that are named as secrets are, or look like a key, at any depth."""
    return {
        name: REDACTED if value and isinstance(value, str) and names_secret(name) else _plain(value)
        for name, value in metadata.items()
    }


class Redactor:
    """Replaces every occurrence of some keys; its ``repr`` does not show them.

    Local servers take any key, and people write ``x``, ``EMPTY`` or ``lm-studio``: words that
    answers use too. A key of fewer than 8 characters is left alone everywhere, and one that is
    no more than words is left alone in answers.

    Args:
        keys: The keys; None is none.
    """

    def __init__(self, *keys: str | None) -> None:
        hidden = [key for key in keys if key is not None and len(key) >= _SHORTEST_SECRET]
        forms = {key: _forms_of(key) for key in hidden}
        self._texts = [form for key in hidden for form in (*forms[key], *_encoded_forms_of(key))]
        self._answers = [form for key in hidden if _is_random(key) for form in forms[key]]
        self._bodies = [form.encode() for form in self._answers]

    def text(self, text: str) -> str:
        """Remove the key from what a server says of itself: an error, an id, a header."""
        return _without(self._texts, text)

    def answer(self, text: str) -> str:
        """Remove the key from an answer."""
        return _without(self._answers, text)

    def body(self, body: bytes) -> bytes:
        """Remove the key from a JSON body, also where escapes in it hide the key."""
        if self._may_hold(body):
            for form in self._bodies:
                body = _without_needless_escapes(body).replace(form, REDACTED.encode())

        return body

    def payload(self, payload: Any, body: bytes) -> tuple[Any, bool]:
        """Remove the key from every text of a payload; return whether it was in one.

        Args:
            payload: The JSON of a body, already read.
            body: The body; where it holds nothing like the key, the payload is left as it is.
        """
        if not self._may_hold(body):
            return payload, False

        cleaned = self._cleaned(payload)
        return cleaned, bool(cleaned != payload)

    def _may_hold(self, body: bytes) -> bool:
        if not self._bodies:
            return False

        is_escaped = b"\\" in body and (b"\\u00" in body or b"\\/" in body)
        return is_escaped or any(form in body for form in self._bodies)

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.answer(value)

        if isinstance(value, dict):
            return {self.answer(str(name)): self._cleaned(item) for name, item in value.items()}

        return [self._cleaned(item) for item in value] if isinstance(value, list) else value

    def excerpt(self, text: str, most: int = 300) -> str:
        """Make one printable line of the beginning of a text, without the key.

        Args:
            text: Anything that a server or a library said.
            most: How many characters are kept.
        """
        shown = self.text(text)
        if "<" in shown:
            shown = _TAG.sub(" ", shown)

        shown = redacted(self.text(_UNPRINTABLE.sub(" ", shown)).strip())
        return shown if len(shown) <= most else shown[: most - 1] + "…"


_SHORTEST_SECRET = 8
_SHORTEST_RANDOM = 16
_TAG = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_UNPRINTABLE = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+"
)


def _without_the_rest(found: re.Match[str]) -> str:
    return f"{found['scheme']}{REDACTED}@" if found["scheme"] else f"{found['field']}{REDACTED}"


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _KEY_LIKE.sub(REDACTED, value)

    if isinstance(value, Mapping):
        return without_secrets(value)

    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _without(forms: list[str], text: str) -> str:
    for form in forms:
        if form in text:
            text = text.replace(form, REDACTED)

    return text


def _is_random(key: str) -> bool:
    """Return whether a key is more than words: long, of letters and digits."""
    has_letters = any(character.isalpha() for character in key)
    return len(key) >= _SHORTEST_RANDOM and has_letters and any(map(str.isdigit, key))


def _forms_of(key: str) -> list[str]:
    """List the ways in which servers write a key, the longest first."""
    forms = {key, quote(key, safe=""), html.escape(key), json.dumps(key)[1:-1]}
    return sorted(forms, key=len, reverse=True)


def _encoded_forms_of(key: str) -> Iterator[str]:
    """Yield what a key becomes in base64, wherever in the encoded text it begins."""
    data = key.encode("utf-8", "replace")
    for before in range(3):
        most_bits = 8 * (before + len(data))
        for encode in (b64encode, urlsafe_b64encode):
            yield encode(bytes(before) + data).decode()[-(-8 * before // 6) : most_bits // 6]


def _without_needless_escapes(body: bytes) -> bytes:
    try:
        return orjson.dumps(orjson.loads(body))
    except ValueError:
        return body

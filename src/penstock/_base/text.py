"""Text of unknown origin: made safe for a terminal and for SQLite, and names in one spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from penstock._base.json import decode, encode

__all__ = ["printable", "readable", "readable_json", "snake_case", "without_surrogates"]

_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Controls but tab and line feed, marks that reorder text, and halves of surrogate pairs."""


def printable(text: str) -> str:
    r"""Show control characters, which could rewrite the terminal, as ``\x1b``."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def snake_case(name: str) -> str:
    """Spell a name in one way: ``maxTokens``, ``MAX_TOKENS`` and ``max-tokens`` are one."""
    return _BETWEEN.sub("_", _HUMP.sub("_", name)).lower()


_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BETWEEN = re.compile(r"[\s._-]+")


def without_surrogates(values: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    r"""Write lone surrogates, which are not Unicode text, as ``\udXXX``."""
    for row in values:
        yield tuple(map(_written_out, row))


def readable(text: str) -> str:
    r"""Write out the half surrogate pairs of a text, as ``\udXXX``."""
    return text.encode("utf-8", "backslashreplace").decode()


def readable_json(json_text: str) -> str:
    """Write out the half surrogate pairs in JSON, which SQL could not read."""
    return encode(_written_out(decode(json_text))) if "\\ud" in json_text else json_text


def _written_out(value: Any) -> Any:
    if isinstance(value, str):
        return readable(value)

    if isinstance(value, dict):
        return {_written_out(key): _written_out(item) for key, item in value.items()}

    return [_written_out(item) for item in value] if isinstance(value, list) else value

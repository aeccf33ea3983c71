"""Text of unknown origin, made safe to show on a person's terminal."""

from __future__ import annotations

import re

__all__ = ["printable"]

_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Controls but tab and line feed, marks that reorder text, and halves of surrogate pairs."""


def printable(text: str) -> str:
    r"""Show control characters, which could rewrite the terminal, as ``\x1b``."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)

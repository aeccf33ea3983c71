"""How a text file is encoded, where its first bytes say so: spreadsheet programs write them."""

from __future__ import annotations

import codecs

__all__ = ["MARK_BYTES", "decoded", "encoding_of"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before that of UTF-16, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

MARK_BYTES = 4
"""So many bytes of a file are enough to know."""


def encoding_of(start: bytes) -> str | None:
    """Return the encoding that the first bytes of a file name; None where they name none.

    What is written without a mark is UTF-8 or unknown, but for UTF-16 that begins with letters of
    ASCII: of two bytes one is 0, which no text in UTF-8 holds.
    """
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding

    if start[1:2] == b"\0" and start[3:4] == b"\0":
        return "utf-16-le"

    return "utf-16-be" if start[:1] == b"\0" and start[2:3] == b"\0" else None


def decoded(content: bytes) -> str:
    """Decode a file's content: by its mark, else as UTF-8; its lines end with a line feed alone.

    Raises:
        UnicodeError: it is neither.
    """
    text = content.decode(encoding_of(content[:MARK_BYTES]) or "utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")

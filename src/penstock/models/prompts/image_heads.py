"""Which type and size an image is, read from the beginning of its data: PNG, JPEG, GIF, WebP."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ImageHead", "head_of"]


class ImageHead(NamedTuple):
    """What the beginning of an image says; its width and height are 0 where they are not there."""

    media_type: str
    width: int
    height: int


def head_of(head: bytes) -> ImageHead | None:
    """Read the beginning of an image; None where it is of no type that providers take."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageHead("image/png", _number(head[16:20]), _number(head[20:24]))

    if head.startswith((b"GIF87a", b"GIF89a")):
        return ImageHead("image/gif", _low(head[6:8]), _low(head[8:10]))

    if head.startswith(b"\xff\xd8\xff"):
        return ImageHead("image/jpeg", *_of_jpeg(head))

    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ImageHead("image/webp", *_of_webp(head))

    return None


def _of_jpeg(head: bytes) -> tuple[int, int]:
    """Find the frame of a JPEG, which says its size: it stands after tables of any length."""
    at = 2
    while at + 9 <= len(head) and head[at] == _MARKER:
        if head[at + 1] in _FRAMES:
            return _number(head[at + 7 : at + 9]), _number(head[at + 5 : at + 7])

        at += 2 + _number(head[at + 2 : at + 4])

    return 0, 0


_MARKER = 0xFF
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _of_webp(head: bytes) -> tuple[int, int]:
    if head[12:16] == b"VP8X":
        return 1 + _low(head[24:27]), 1 + _low(head[27:30])

    if head[12:16] == b"VP8L":
        bits = _low(head[21:25])
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)

    return _low(head[26:28]) & 0x3FFF, _low(head[28:30]) & 0x3FFF


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _low(data: bytes) -> int:
    return int.from_bytes(data, "little")

"""The content of a message as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["content_in_words"]


def content_in_words(content: Any) -> str:
    """Write a content, as it is kept or as it is sent; an image is only described."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else repr(content or "")

    return "\n".join(map(_part_in_words, content))


def _part_in_words(part: Mapping[str, Any]) -> str:
    if part["type"] == "text":
        return str(part["text"])

    if "image_url" in part:
        return f"[image {part['image_url']['url']}]"

    if "source" in part:
        source = part["source"]
        return f"[image {source.get('url') or source['media_type']}]"

    return f"[image {part['media_type']}, {part['bytes']:,} bytes]"

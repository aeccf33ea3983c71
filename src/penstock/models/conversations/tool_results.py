"""What a tool gives, as the content of the message that tells the model of it."""

from __future__ import annotations

import base64
import inspect
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pydantic_core

from penstock._base.frozen import frozen_json
from penstock._base.json import encode
from penstock.errors import OutputError, UnstableValueError
from penstock.models.chat_model import Image
from penstock.models.prompts.image_heads import head_of

__all__ = ["Content", "awaited", "content_of_result", "in_words"]

Content = str | tuple[str | Image, ...]
"""The content of a message: a text, or texts and images in their order."""


async def awaited(result: Any) -> Any:
    """Return what a function gives in the end: one that is awaited, or gives its parts in turn."""
    if inspect.isawaitable(result):
        result = await result

    return [part async for part in result] if isinstance(result, AsyncIterator) else result


def content_of_result(result: Any) -> Content:
    """Write what a tool gives for the model: a text as it is, images as images, others as JSON.

    Bytes are an image or UTF-8. Dates, decimals and their like are told as pydantic writes them,
    and sets in order.

    Raises:
        TypeError: it has a part that cannot be told.
    """
    parts = [_plain(part) for part in (result if isinstance(result, (list, tuple)) else [result])]
    if any(isinstance(part, Image) for part in parts):
        return tuple(part if isinstance(part, Image) else _text_of(part) for part in parts)

    return _text_of(parts[0] if not isinstance(result, (list, tuple)) else result)


def in_words(content: Content) -> str:
    """Write a content as text; an image is only named."""
    parts = (content,) if isinstance(content, str) else content
    return "\n".join("[image]" if isinstance(part, Image) else part for part in parts)


def _plain(part: Any) -> Any:
    """Return bytes, and a part of a message, as the image or the text that they are."""
    if isinstance(part, Mapping) and part.get("type") == "image_url":
        return Image.model_validate(part.get("image_url"))

    if not isinstance(part, (bytes, bytearray)):
        return part

    found = head_of(bytes(part))
    if found is None:
        try:
            return part.decode()
        except UnicodeDecodeError:
            said = "the tool gave bytes that are neither an image nor text in UTF-8"
            raise TypeError(said) from None

    data = base64.b64encode(part).decode()
    return Image(url=f"data:{found.media_type};base64,{data}")


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        return value

    try:
        return encode(value, "result")
    except OutputError:
        pass

    try:
        return orjson.dumps(value, default=_in_json, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        kind = type(value).__name__
        raise TypeError(
            f"the tool gave a {kind} that cannot be told; let it give text, or what JSON can hold"
        ) from None


def _in_json(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=lambda each: (str(type(each)), str(each)))

    try:
        return frozen_json(value)
    except UnstableValueError:
        return pydantic_core.to_jsonable_python(_plain(value))

"""Digests of what is asked: the messages of a growing conversation are each read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from penstock._base.json import encode
from penstock._base.text import readable_json
from penstock.models.chat_model import ChatMessage, CompletionRequest
from penstock.models.openai.request_body import message_fields, options_of
from penstock.models.prompts.images import data_of

__all__ = [
    "Digests",
    "content_of",
    "digest_of",
    "digest_of_content",
    "digest_of_image",
    "digest_of_message",
    "kept_message",
]

_MOST_CHARACTERS = 16_000_000


def content_of(value: Any) -> str:
    """Write a part of a request as the text that it is kept as."""
    return readable_json(encode(value, "request"))


def digest_of_content(text: str) -> bytes:
    """Hash a text that is kept by its content."""
    return blake2b(text.encode(), digest_size=16).digest()


def kept_message(message: ChatMessage) -> dict[str, Any]:
    """Return the fields of a message as it is kept: the data of an image stands for itself once."""
    fields = message_fields(message)
    if message.sealed_reasoning is not None:
        fields["sealed_reasoning"] = message.sealed_reasoning

    if message.is_error:
        fields["is_error"] = True

    if message.images:
        fields["content"] = list(map(_kept_part, fields["content"]))

    return fields


def _kept_part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    image = part.get("image_url")
    data = None if image is None else data_of(image["url"])
    if image is None or data is None:
        return part

    told = {
        "digest": digest_of_image(image["url"]),
        "media_type": data.media_type,
        "bytes": data.size_bytes,
    }
    return {"type": "image", **{k: v for k, v in image.items() if k != "url"}, **told}


def digest_of_image(url: str) -> str:
    """Hash the data of an image, as kept messages name it."""
    return digest_of_content(content_of(url)).hex()


def digest_of_message(message: ChatMessage) -> bytes:
    """Hash a message."""
    return digest_of_content(content_of(kept_message(message)))


def digest_of(
    place: str, request: CompletionRequest, messages: Sequence[bytes] | None = None
) -> str:
    """Hash everything that is asked, and of whom.

    Args:
        place: What tells the endpoint's answers from those of others.
        request: What is asked.
        messages: The digests of its messages, where they are known.
    """
    known = map(digest_of_message, request.messages) if messages is None else messages
    hashed = blake2b(f"{place}\n".encode(), digest_size=16)
    hashed.update(encode(options_of(request), "request").encode("utf-8", "surrogatepass"))
    hashed.update(b"".join(known))
    return hashed.hexdigest()


class Digests:
    """The digests of messages that were asked lately: a history is asked again at each turn."""

    def __init__(self) -> None:
        self._known: dict[Any, bytes] = {}
        self._characters = 0

    def of(self, messages: Sequence[ChatMessage]) -> tuple[bytes, ...]:
        """Return the digests of messages."""
        return tuple(map(self._of, messages))

    def _of(self, message: ChatMessage) -> bytes:
        # Python hashes a text once, and the texts of a history are the same objects at each turn.
        told = message.tool_calls, message.tool_call_id, message.is_error, message.name
        key = message.role, message.content, *told, message.sealed_reasoning
        found = self._known.get(key)
        if found is None:
            characters = len(message.text) + sum(len(image.url) for image in message.images)
            self._characters += characters
            if self._characters > _MOST_CHARACTERS:
                self._known.clear()
                self._characters = characters

            found = self._known[key] = digest_of_message(message)

        return found

"""What a simulated provider is asked."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from penstock.simulator.messages_question import chat_fields_of

__all__ = ["SIGNATURE", "Question", "tokens_of"]

_BYTES_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_IMAGE = 85
SIGNATURE = "signed"
"""What reasoning is signed with, in Anthropic's messages."""


def tokens_of(text: str) -> int:
    """Count tokens as a simulated provider does: one for each 4 bytes begun."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


class Question(NamedTuple):
    """A request for a completion.

    Args:
        key: A digest of everything that is asked, without how the answer is to be sent.
        model: The model asked for.
        texts: The texts of the messages.
        images: How many images are in them.
        prompt: The text of the last message of the user.
        seed: The seed that was sent.
        max_tokens: The most tokens of an answer.
        stop: Texts at which it ends.
        schema: A JSON schema that it must follow.
        wants_json: Whether it must be JSON of any form.
        wants_reasoning: Whether it is to reason before it answers.
        wants_logprobs: Whether log-probabilities are asked for.
        is_streamed: Whether it is to be streamed.
        wants_usage: Whether a streamed answer ends with its usage.
        problem_id: The problem that ``metadata.problem_id`` or ``user`` names.
        cached: The texts that the prompt begins with and that are to be kept in a cache.
        is_without_reasoning: Whether a call of a tool has come back without the reasoning that led
            to it.
    """

    key: str
    model: str
    texts: tuple[str, ...]
    images: int
    prompt: str
    seed: Any
    max_tokens: int | None
    stop: tuple[str, ...]
    schema: dict[str, Any] | None
    wants_json: bool
    wants_reasoning: bool
    wants_logprobs: bool
    is_streamed: bool
    wants_usage: bool
    problem_id: str | None
    cached: tuple[str, ...] = ()
    is_without_reasoning: bool = False

    @classmethod
    def read(cls, body: bytes) -> Question:
        """Read the body of a request.

        Raises:
            ValueError: it is not such a request; the sentence says why.
        """
        fields = _fields_of(body)
        messages = list(_messages_of(fields.get("messages")))
        streaming = fields.pop("stream", None)
        stream_options = fields.pop("stream_options", None)
        stop = fields.get("stop") or ()
        response_format = fields.get("response_format")
        form = response_format if isinstance(response_format, dict) else {}
        schema = form.get("json_schema")
        return cls(
            key=blake2b(orjson.dumps(fields, option=_SORTED), digest_size=12).hexdigest(),
            model=fields["model"],
            texts=tuple(text for _, text in messages),
            images=sum(map(_images_in, fields["messages"])),
            prompt=next((text for role, text in reversed(messages) if role == "user"), ""),
            seed=fields.get("seed"),
            max_tokens=_most_tokens(fields),
            stop=(stop,) if isinstance(stop, str) else tuple(map(str, stop)),
            schema=schema.get("schema") if isinstance(schema, dict) else None,
            wants_json=form.get("type") in ("json_object", "json_schema"),
            wants_reasoning=fields.get("reasoning_effort") not in (None, "none"),
            wants_logprobs=fields.get("logprobs") is True,
            is_streamed=streaming is True,
            wants_usage=isinstance(stream_options, dict)
            and stream_options.get("include_usage") is True,
            problem_id=_problem_of(fields),
            cached=tuple(text for _, text in messages[:-1]) if _wants_cache(fields) else (),
            is_without_reasoning=not all(map(_has_its_reasoning, fields["messages"])),
        )

    @classmethod
    def read_messages(cls, body: bytes) -> Question:
        """Read the body of a request in Anthropic's messages.

        Raises:
            ValueError: it is not such a request; the sentence says why.
        """
        return cls.read(orjson.dumps(chat_fields_of(_fields_of(body))))

    @classmethod
    def read_texts(cls, body: bytes) -> Question:
        """Read the body of a request for embeddings.

        Raises:
            ValueError: it is not such a request; the sentence says why.
        """
        fields = _fields_of(body)
        given = fields.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError("'input' must be a text or a list of texts")

        messages = [{"role": "user", "content": text} for text in texts]
        return cls.read(orjson.dumps({**fields, "messages": messages}))

    @property
    def tokens(self) -> int:
        """Tokens of the prompt, each message's own included."""
        own = _TOKENS_PER_MESSAGE * len(self.texts) + _TOKENS_PER_IMAGE * self.images
        return sum(map(tokens_of, self.texts)) + own


_SORTED = orjson.OPT_SORT_KEYS


def _fields_of(body: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except ValueError as error:
        raise ValueError(f"the body is no JSON: {error}") from None

    if not isinstance(fields, dict) or not isinstance(fields.get("model"), str):
        raise ValueError("the body must be an object with the name of a 'model'")  # noqa: TRY004

    return fields


def _messages_of(messages: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(messages, list) or not messages:
        raise ValueError("'messages' must be a list with at least one message")

    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise ValueError(f"messages[{index}] must be an object with a 'role'")  # noqa: TRY004

        yield message["role"], _text_of(message.get("content"))


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))

    return content if isinstance(content, str) else ""


def _images_in(message: dict[str, Any]) -> int:
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    return sum(isinstance(part, dict) and part.get("type") == "image_url" for part in parts)


def _has_its_reasoning(message: dict[str, Any]) -> bool:
    """Return whether a message that calls tools has the reasoning that led to it, as it was."""
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    kinds = [part.get("type") for part in parts if isinstance(part, dict)]
    if "tool_use" in kinds:
        thoughts = [part for part in parts if part.get("type") == "thinking"]
        are_signed = all(part.get("signature") == SIGNATURE for part in thoughts)
        return are_signed and kinds[:2] == ["thinking", "redacted_thinking"]

    return not message.get("tool_calls") or isinstance(message.get("reasoning_content"), str)


def _most_tokens(fields: dict[str, Any]) -> int | None:
    most = fields.get("max_completion_tokens", fields.get("max_tokens"))
    if most is None:
        return None

    if type(most) is not int or most < 1:
        raise ValueError(f"'max_tokens' must be a whole number above 0, not {most!r}")

    return most


def _wants_cache(fields: dict[str, Any]) -> bool:
    return b'"cache_control"' in orjson.dumps(fields)


def _problem_of(fields: dict[str, Any]) -> str | None:
    metadata = fields.get("metadata")
    named = metadata.get("problem_id") if isinstance(metadata, dict) else None
    user = fields.get("user")
    named = user if named is None else named
    return named if isinstance(named, str) else None

"""A request as an OpenAI-compatible endpoint wants it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from penstock.models.chat_model import ChatMessage, CompletionRequest, Image
from penstock.models.model_errors import BadRequestError
from penstock.models.openai.returned import with_sealed

__all__ = ["body_of", "message_fields", "options_of", "written"]


def body_of(request: CompletionRequest) -> bytes:
    """Write the body of a request; the same request gives the same bytes.

    Raises:
        BadRequestError: a part of it has no JSON form.
    """
    return written(_fields_of(request))


def written(fields: Mapping[str, Any]) -> bytes:
    """Write the fields of a body as JSON.

    Raises:
        BadRequestError: a part of it has no JSON form.
    """
    try:
        return orjson.dumps(fields)
    except TypeError as error:
        reason = str(error)

    try:  # half a character (a lone surrogate) in a prompt, and numbers beyond 64 bits
        return json.dumps(fields, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError):
        raise BadRequestError(f"the request cannot be written as JSON: {reason}") from None


def _fields_of(request: CompletionRequest) -> dict[str, Any]:
    messages = list(_turns(request.messages))
    return {"model": request.model, "messages": messages, **options_of(request)}


def _turns(messages: Sequence[ChatMessage]) -> Iterator[dict[str, Any]]:
    """Write messages; the images of tools follow in one of the user, as no tool may show any."""
    shown: list[Any] = []
    for message in messages:
        is_of_tool = message.role == "tool"
        if shown and not is_of_tool:
            yield {"role": "user", "content": list(map(_part, shown))}
            shown = []

        fields = with_sealed(message_fields(message), message.sealed_reasoning)
        if is_of_tool and message.images:
            shown.append(f"Shown by the tool of call {message.tool_call_id}:")
            shown += message.images
            fields["content"] = message.text or "[shown below]"

        yield fields

    if shown:
        yield {"role": "user", "content": list(map(_part, shown))}


def message_fields(message: ChatMessage) -> dict[str, Any]:
    """Return the fields of a message."""
    fields: dict[str, Any] = {"role": message.role, "content": _content(message.content)}
    if message.tool_calls:
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]

    if message.name is not None:
        fields["name"] = message.name

    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id

    return fields


def _content(content: str | tuple[str | Image, ...]) -> Any:
    return content if isinstance(content, str) else list(map(_part, content))


def _part(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}

    return {"type": "image_url", "image_url": part.model_dump(exclude_none=True)}


def options_of(request: CompletionRequest) -> dict[str, Any]:
    """Return the fields of a request but for its messages."""
    fields: dict[str, Any] = {"model": request.model}
    values = vars(request)
    for name in _SCALARS:
        if values[name] is not None:
            fields[name] = values[name]

    if request.stop:
        fields["stop"] = request.stop

    if request.logprobs:
        fields["logprobs"] = True

    if request.json_schema is not None:
        fields["response_format"] = _response_format(request.json_schema)

    if request.tools:
        fields["tools"] = request.tools

    if request.is_embedding:
        fields["is_embedding"] = True

    if request.stream:
        fields["stream"] = True
        fields["stream_options"] = {"include_usage": True}

    fields.update(request.extra)
    # What a study sets to null is left out, also where it would be sent without that.
    return {name: value for name, value in fields.items() if value is not None}


_SCALARS = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "reasoning_effort",
    "seed",
)


def _response_format(schema: dict[str, Any]) -> dict[str, Any]:
    name = re.sub(r"[^\w-]+", "_", str(schema.get("title") or ""), flags=re.ASCII)[:64]
    return {
        "type": "json_schema",
        "json_schema": {"name": name or "answer", "schema": schema, "strict": True},
    }

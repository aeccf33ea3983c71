"""A request as Anthropic's messages want it.

Facts, from their reference: the system prompt is a field, and not a message; a tool's result is a
part of a message of the user; parts of the reasoning are signed, and wanted back unchanged beside
the calls of tools that they led to; ``max_tokens`` must be said; there is no seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from penstock._base.json import decode
from penstock.models.anthropic.message_reading import SEALED, sealed_parts
from penstock.models.chat_model import ChatMessage, CompletionRequest, Image
from penstock.models.model_errors import BadRequestError
from penstock.models.openai.request_body import written

__all__ = ["message_body_of"]

_SYSTEM = frozenset({"system", "developer"})


def message_body_of(request: CompletionRequest) -> bytes:
    """Write the body of a request; the same request gives the same bytes.

    Raises:
        BadRequestError: it asks for something that the format does not have.
    """
    return written(_fields_of(request))


def _fields_of(request: CompletionRequest) -> dict[str, Any]:
    if request.most_output_tokens is None:
        raise BadRequestError("max_tokens: Anthropic's messages want it; give it with the model")

    unknown = [name for name in ("seed", "logprobs") if getattr(request, name)]
    if unknown:
        raise BadRequestError(
            f"{' and '.join(unknown)}: Anthropic's messages have none; leave it out"
        )

    if any(message.name for message in request.messages):
        raise BadRequestError("name: Anthropic's messages have none; say who speaks in the text")

    system = [message.text for message in request.messages if message.role in _SYSTEM]
    others = request.messages[len(system) :]
    if any(message.role in _SYSTEM for message in others):
        raise BadRequestError("Anthropic's messages have system prompts at the beginning alone")

    fields: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.most_output_tokens,
        "system": "\n\n".join(system) or None,
        "messages": list(_turns(others)),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop_sequences": request.stop or None,
        "tools": list(map(_tool, request.tools)) or None,
        "output_config": _output_config(request),
        "stream": request.stream or None,
    }
    fields |= _extra(request)
    return {name: value for name, value in fields.items() if value is not None}


def _turns(messages: Sequence[ChatMessage]) -> Iterator[dict[str, Any]]:
    for is_of_tools, group in groupby(messages, lambda message: message.role == "tool"):
        if is_of_tools:  # all results of one turn stand in one message
            yield {"role": "user", "content": list(map(_result, group))}
        else:
            yield from map(_turn, group)


def _turn(message: ChatMessage) -> dict[str, Any]:
    if message.role == "user":
        content = message.content
        is_text = isinstance(content, str)
        return {"role": "user", "content": content if is_text else list(map(_part, content))}

    parts = sealed_parts(message.sealed_reasoning)
    if not (message.tool_calls or parts):
        return {"role": "assistant", "content": message.text}

    if any(part.get("type") not in SEALED for part in parts):  # the message, as it came
        return {"role": "assistant", "content": parts}

    parts += [{"type": "text", "text": message.text}] if message.text else []
    parts += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": _arguments(call.arguments)}
        for call in message.tool_calls
    ]
    return {"role": "assistant", "content": parts}


def _result(message: ChatMessage) -> dict[str, Any]:
    content = message.content
    told = {
        "type": "tool_result",
        "tool_use_id": message.tool_call_id,
        "content": content if isinstance(content, str) else list(map(_part, content)),
    }
    return {**told, "is_error": True} if message.is_error else told


def _part(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}

    if not part.url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": part.url}}

    head, _, data = part.url.partition(",")
    media_type = head.removeprefix("data:").removesuffix(";base64")
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}


def _arguments(text: str) -> dict[str, Any]:
    """Read the arguments of a call; what a model has written badly can only be left out."""
    try:
        found = decode(text)
    except (ValueError, RecursionError):
        return {}

    return found if isinstance(found, dict) else {}


def _tool(told: Mapping[str, Any]) -> Mapping[str, Any]:
    function = told.get("function")
    if not isinstance(function, Mapping):
        return told  # one of their own, such as a search

    said = {
        "name": function["name"],
        "description": function.get("description"),
        "input_schema": function.get("parameters") or {"type": "object"},
        "strict": function.get("strict"),
    }
    return {name: value for name, value in said.items() if value is not None}


def _output_config(request: CompletionRequest) -> dict[str, Any] | None:
    config: dict[str, Any] = {}
    if request.reasoning_effort is not None:
        config["effort"] = request.reasoning_effort

    if request.json_schema is not None:
        config["format"] = {"type": "json_schema", "schema": request.json_schema}

    return config or None


def _extra(request: CompletionRequest) -> dict[str, Any]:
    """Return the fields of the provider's own; how chat completions choose tools is put into them.

    What is said of tools in general, of the output and of the way of thinking may be together.
    """
    extra = dict(request.extra)
    config = {**(_output_config(request) or {}), **(extra.get("output_config") or {})}
    if config:
        extra["output_config"] = config

    choice, is_parallel = extra.get("tool_choice"), extra.pop("parallel_tool_calls", None)
    if isinstance(choice, str):
        extra["tool_choice"] = {"type": _CHOICES.get(choice, choice)}
    elif isinstance(choice, Mapping) and isinstance(choice.get("function"), Mapping):
        extra["tool_choice"] = {"type": "tool", "name": choice["function"].get("name")}

    if is_parallel is False and request.tools:
        chosen = extra.get("tool_choice") or {"type": "auto"}
        extra["tool_choice"] = {**chosen, "disable_parallel_tool_use": True}

    return extra


_CHOICES = {"required": "any"}

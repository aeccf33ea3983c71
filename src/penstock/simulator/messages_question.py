"""A request in Anthropic's messages, in the form of chat completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["chat_fields_of"]


def chat_fields_of(fields: dict[str, Any]) -> dict[str, Any]:
    """Convert a request to chat completions; all that it says counts in what tells it apart.

    Raises:
        ValueError: it is not such a request; the sentence says why.
    """
    if type(fields.get("max_tokens")) is not int:
        raise ValueError("max_tokens: Field required")

    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages: Field required")

    return {**fields, "messages": list(_messages_of(fields)), **_others_of(fields)}


def _others_of(fields: dict[str, Any]) -> dict[str, Any]:
    thinking = fields.get("thinking")
    config = fields.get("output_config")
    effort = config.get("effort") if isinstance(config, dict) else None
    if isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive"):
        effort = effort or "high"

    form = config.get("format") if isinstance(config, dict) else None
    others: dict[str, Any] = {"reasoning_effort": effort, "stop": fields.get("stop_sequences")}
    if isinstance(form, dict):
        others["response_format"] = {"type": "json_schema", "json_schema": form}

    return others


def _messages_of(fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if fields.get("system"):
        yield {"role": "system", "content": fields["system"]}

    for index, message in enumerate(fields["messages"]):
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
            raise ValueError(f"messages.{index}.role: Input should be 'user' or 'assistant'")

        yield {"role": message["role"], "content": _content(message.get("content"))}


def _content(content: Any) -> Any:
    if not isinstance(content, list):
        return content

    return [_part(part) for part in content if isinstance(part, dict)]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind == "image":
        return {"type": "image_url", "image_url": part.get("source")}

    if kind == "tool_result":
        return {"type": "text", "text": part.get("content")}

    return part

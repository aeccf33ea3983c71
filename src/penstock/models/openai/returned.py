"""What an endpoint wants back of an answer that calls tools, when the conversation goes on.

DeepSeek and Moonshot refuse a conversation whose calls of tools come without the reasoning that led
to them, OpenRouter and LiteLLM pass on reasoning that its provider has signed, Mistral has it among
the parts of the content, and Gemini signs the calls. Each gets back what it sent, in the field in
which it came; what came without calls of tools is not sent back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock._base.json import decode, encode

__all__ = ["sealed_in", "with_sealed"]

_FIELDS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")
_OF_CALLS = "extra_content"
_CALLS = "tool_calls"


def sealed_in(message: Mapping[str, Any]) -> str | None:
    """Return what is to be sent back with a message, as JSON; None where that is nothing."""
    calls = message.get(_CALLS)
    if not isinstance(calls, list) or not calls:
        return None

    # An empty text is wanted back too.
    sealed = {name: message[name] for name in _FIELDS if message.get(name) is not None}
    content = message.get("content")
    if isinstance(content, list) and any(_is_thought(part) for part in content):
        sealed["content"] = content

    signed = [call.get(_OF_CALLS) if isinstance(call, Mapping) else None for call in calls]
    if any(signed):
        sealed[_CALLS] = signed

    return encode(sealed) if sealed else None


def with_sealed(fields: dict[str, Any], sealed: str | None) -> dict[str, Any]:
    """Return the fields of a message with what its endpoint wants back.

    Args:
        fields: As chat completions have them.
        sealed: What `sealed_in` has returned; what another format seals is left out.
    """
    found = decode(sealed) if sealed else None
    if not isinstance(found, dict):
        return fields

    calls = list(fields.get(_CALLS, ()))
    for place, signed in enumerate(found.pop(_CALLS, ())[: len(calls)]):
        if signed:
            calls[place] = {**calls[place], _OF_CALLS: signed}

    return {**fields, **found, **({_CALLS: calls} if calls else {})}


def _is_thought(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") in ("thinking", "reasoning")

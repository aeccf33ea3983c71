"""Anthropic's messages as an SDK speaks them: its requests read, answers written for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock._base.json import decode
from penstock.models.anthropic.message_reading import SEALED, sealed_of, sealed_parts
from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest, Image, ToolCall
from penstock.models.endings import Ending, ending_of
from penstock.models.model_errors import AuthenticationError, ModelError, RateLimitedError
from penstock.models.sdk.wire import (
    Declared,
    SdkFormat,
    UnreadableRequestError,
    only_known,
    server_event,
)

__all__ = ["MESSAGES"]

_OURS = frozenset({"max_tokens", "temperature", "top_p"})
_READ_HERE = frozenset(
    {"model", "messages", "system", "stop_sequences", "tools", "output_config", "stream"}
)
_CHOICES = {"any": "required", "auto": "auto", "none": "none"}


def _read(body: Mapping[str, Any], declared: Declared) -> CompletionRequest:
    others = {k: v for k, v in body.items() if k not in _OURS and k not in _READ_HERE}
    config = body.get("output_config") or {}
    only_known(config, frozenset({"effort", "format"}), "output_config")
    said = {name: body.get(name) for name in _OURS}
    said |= {
        "stop": tuple(body.get("stop_sequences") or ()) or None,
        "reasoning_effort": config.get("effort"),
        "json_schema": (config.get("format") or {}).get("schema"),
        "tools": tuple(map(_tool, body.get("tools") or ())) or None,
    }
    return declared.request(body, list(_messages(body)), said, others | _choice(body))


def _choice(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return which tool is to be called, in the form of chat completions."""
    choice = body.get("tool_choice")
    if not isinstance(choice, Mapping):
        return {}

    name = choice.get("name")
    named = {"type": "function", "function": {"name": name}}
    said: dict[str, Any] = {"tool_choice": _CHOICES.get(str(choice.get("type")), named)}
    if choice.get("disable_parallel_tool_use"):
        said["parallel_tool_calls"] = False

    return said


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    if "input_schema" not in tool:
        return tool  # one of the provider's own

    only_known(tool, frozenset({*_OF_TOOLS, "type", "input_schema"}), "tools")
    told = {name: tool[name] for name in _OF_TOOLS if tool.get(name) is not None}
    return {"type": "function", "function": {**told, "parameters": tool["input_schema"]}}


_OF_TOOLS = ("name", "description", "strict")


def _messages(body: Mapping[str, Any]) -> Iterator[ChatMessage]:
    system = body.get("system")
    if system:
        content = system if isinstance(system, str) else [_part(each) for each in system]
        yield ChatMessage(role="system", content=content)

    for message in body.get("messages") or ():
        content = message.get("content") or ""
        if isinstance(content, str):
            yield ChatMessage(role=message["role"], content=content)
        elif message["role"] == "assistant":
            yield _of_assistant(content)
        else:
            yield from _of_user(content)


def _of_assistant(parts: Sequence[Mapping[str, Any]]) -> ChatMessage:
    calls = [
        ToolCall(id=part["id"], name=part["name"], arguments=json.dumps(part["input"]))
        for part in parts
        if part.get("type") == "tool_use"
    ]
    return ChatMessage(
        role="assistant",
        content=[_part(part) for part in parts if part.get("type") == "text"] or "",
        tool_calls=tuple(calls),
        sealed_reasoning=sealed_of(parts),
    )


def _of_user(parts: Sequence[Mapping[str, Any]]) -> Iterator[ChatMessage]:
    said = []
    for part in parts:
        if part.get("type") == "tool_result":
            content = part.get("content") or ""
            told = content if isinstance(content, str) else [_part(each) for each in content]
            yield ChatMessage(
                role="tool",
                content=told,
                tool_call_id=part["tool_use_id"],
                is_error=part.get("is_error") or False,
            )
        else:
            said.append(_part(part))

    if said:
        yield ChatMessage(role="user", content=said)


def _part(part: Mapping[str, Any]) -> str | Image:
    if part.get("cache_control"):
        said = "cache_control of a part cannot be sent; give one for the whole request"
        raise UnreadableRequestError(f"messages: {said}")

    kind, source = part.get("type"), part.get("source") or {}
    if kind == "text":
        return str(part["text"])

    if kind == "image" and source.get("type") == "base64":
        return Image(url=f"data:{source['media_type']};base64,{source['data']}")

    if kind == "image" and source.get("type") == "url":
        return Image(url=source["url"])

    raise UnreadableRequestError(f"messages: a part of type {kind!r} cannot be sent")


def _answer(completion: Completion, body: Mapping[str, Any]) -> dict[str, Any]:
    usage = completion.usage
    ending = ending_of(completion.finish_reason)
    plain = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
    return {
        "id": completion.request_id or "msg_penstock",
        "type": "message",
        "role": "assistant",
        "model": completion.model or body["model"],
        "content": list(_blocks(completion)),
        "stop_reason": _ENDINGS.get(ending, completion.finish_reason or "end_turn"),
        "stop_sequence": None,
        "usage": {
            "input_tokens": plain,
            "cache_read_input_tokens": usage.cached_input_tokens,
            "cache_creation_input_tokens": usage.cache_write_tokens,
            "output_tokens": usage.output_tokens,
        },
    }


_ENDINGS = {
    Ending.COMPLETE: "end_turn",
    Ending.CUT: "max_tokens",
    Ending.TOOL_CALLS: "tool_use",
}


def _blocks(completion: Completion) -> Iterator[dict[str, Any]]:
    parts = sealed_parts(completion.sealed_reasoning)
    yield from parts
    if any(part.get("type") not in SEALED for part in parts):
        return  # that is all of it

    if completion.text:
        yield {"type": "text", "text": completion.text}

    for call in completion.tool_calls:
        given = _arguments(call.arguments)
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": given}


def _arguments(text: str) -> Any:
    try:
        return decode(text)
    except (ValueError, RecursionError):
        return {}


def _events(completion: Completion, body: Mapping[str, Any]) -> Iterator[bytes]:
    answer = _answer(completion, body)
    begun = {**answer, "content": [], "stop_reason": None}
    ended = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    events = [
        {"type": "message_start", "message": begun},
        *(each for place, block in enumerate(answer["content"]) for each in _of(place, block)),
        {"type": "message_delta", "delta": ended, "usage": answer["usage"]},
        {"type": "message_stop"},
    ]
    return (server_event(event, is_named=True) for event in events)


def _of(place: int, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    emptied = {name: _EMPTIED.get(name, value) for name, value in block.items()}
    yield {"type": "content_block_start", "index": place, "content_block": emptied}
    for name, kind in _DELTAS.items():
        if name in block:
            value = json.dumps(block[name]) if name == "input" else block[name]
            delta = {"type": kind, "partial_json" if name == "input" else name: value}
            yield {"type": "content_block_delta", "index": place, "delta": delta}

    yield {"type": "content_block_stop", "index": place}


_EMPTIED: Mapping[str, Any] = {"text": "", "thinking": "", "signature": "", "input": {}}
_DELTAS = {
    "text": "text_delta",
    "thinking": "thinking_delta",
    "signature": "signature_delta",
    "input": "input_json_delta",
}


def _error(error: ModelError | UnreadableRequestError) -> dict[str, Any]:
    kinds: Mapping[type[Exception], str] = {
        AuthenticationError: "authentication_error",
        RateLimitedError: "rate_limit_error",
        UnreadableRequestError: "invalid_request_error",
    }
    kind = next((name for each, name in kinds.items() if isinstance(error, each)), "api_error")
    told = {"type": kind, "message": f"{type(error).__name__}: {error}"}
    return {"type": "error", "error": told, "request_id": None}


MESSAGES = SdkFormat("/messages", _read, _answer, _events, _error)

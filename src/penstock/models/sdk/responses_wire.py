"""OpenAI's responses as an SDK speaks them; nothing of them is kept at a provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest, ToolCall
from penstock.models.endings import Ending, ending_of
from penstock.models.sdk.chat_wire import openai_error
from penstock.models.sdk.wire import (
    Declared,
    SdkFormat,
    UnreadableRequestError,
    only_known,
    server_event,
)

__all__ = ["RESPONSES"]

_OF_CHAT = frozenset(
    {"metadata", "parallel_tool_calls", "service_tier", "user", "safety_identifier"}
)
_READ = _OF_CHAT | {
    *("model", "input", "instructions", "max_output_tokens", "reasoning", "text", "temperature"),
    *("top_p", "tools", "tool_choice", "stream", "stream_options"),
    *("store", "include", "truncation"),  # of what the provider would keep, or give beside
}


def _read(body: Mapping[str, Any], declared: Declared) -> CompletionRequest:
    only_known(body, _READ, "responses")
    given = body.get("input") or ()
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    messages = [message for item in items for message in _messages(item)]
    if body.get("instructions"):
        messages.insert(0, ChatMessage(role="system", content=body["instructions"]))

    text, reasoning = body.get("text") or {}, body.get("reasoning") or {}
    only_known(text, frozenset({"format", "verbosity"}), "text")
    only_known(reasoning, frozenset({"effort", "summary"}), "reasoning")
    form = text.get("format") or {}
    others = {name: body.get(name) for name in _OF_CHAT}
    others |= {"verbosity": text.get("verbosity"), "tool_choice": _choice(body.get("tool_choice"))}
    if form.get("type") == "json_object":
        others["response_format"] = form

    said = {
        "max_tokens": body.get("max_output_tokens"),
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "reasoning_effort": reasoning.get("effort"),
        "json_schema": form.get("schema"),
        "tools": tuple(map(_tool, body.get("tools") or ())) or None,
    }
    return declared.request(body, _joined(messages), said, others)


def _messages(item: Mapping[str, Any]) -> Iterator[ChatMessage]:
    kind = item.get("type") or "message"
    if kind == "function_call":
        call = ToolCall(id=item["call_id"], name=item["name"], arguments=item["arguments"])
        yield ChatMessage(role="assistant", content="", tool_calls=(call,))
    elif kind == "function_call_output":
        content = _content(item["output"])
        yield ChatMessage(role="tool", content=content, tool_call_id=item["call_id"])
    elif kind == "message":
        yield ChatMessage(role=item["role"], content=_content(item.get("content") or ""))
    elif kind != "reasoning":  # which only its own provider can read
        raise UnreadableRequestError(f"input: an item of type {kind!r} cannot be sent")


def _joined(messages: list[ChatMessage]) -> list[ChatMessage]:
    """Put what the assistant said and called in one turn into one message."""
    joined: list[ChatMessage] = []
    for message in messages:
        last = joined[-1] if joined else None
        if last is not None and last.role == "assistant" and message.tool_calls:
            calls = (*last.tool_calls, *message.tool_calls)
            joined[-1] = last.model_copy(update={"tool_calls": calls})
        else:
            joined.append(message)

    return joined


def _content(content: Any) -> Any:
    return content if isinstance(content, str) else list(map(_part, content))


def _part(part: Mapping[str, Any]) -> Any:
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return part.get("text")

    if kind == "input_image" and part.get("image_url"):
        detail = part.get("detail")
        known = {"detail": detail} if detail in ("auto", "low", "high") else {}
        return {"url": part["image_url"], **known}

    raise UnreadableRequestError(f"input: a part of type {kind!r} cannot be sent")


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise UnreadableRequestError(f"tools: one of type {tool.get('type')!r} cannot be called")

    told = {name: tool.get(name) for name in ("name", "description", "parameters", "strict")}
    said = {name: value for name, value in told.items() if value is not None}
    return {"type": "function", "function": said}


def _choice(choice: Any) -> Any:
    is_named = isinstance(choice, Mapping) and choice.get("type") == "function"
    return {"type": "function", "function": {"name": choice["name"]}} if is_named else choice


def _answer(completion: Completion, body: Mapping[str, Any]) -> dict[str, Any]:
    is_cut = ending_of(completion.finish_reason) is Ending.CUT
    usage = completion.usage
    return {
        **_head(completion, body),
        "status": "incomplete" if is_cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "output": list(_items(completion)),
        "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {
                "cached_tokens": usage.cached_input_tokens,
                "cache_write_tokens": usage.cache_write_tokens,
            },
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "total_tokens": usage.tokens,
        },
    }


def _head(completion: Completion, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"resp_{completion.request_id or 'penstock'}",
        "object": "response",
        "created_at": 0,
        "model": completion.model or body["model"],
        "error": None,
        "instructions": body.get("instructions"),
        "metadata": body.get("metadata") or {},
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
    }


def _items(completion: Completion) -> Iterator[dict[str, Any]]:
    if completion.reasoning:
        summary = [{"type": "summary_text", "text": completion.reasoning}]
        yield {"type": "reasoning", "id": "rs_1", "summary": summary}

    if completion.text or not completion.tool_calls:
        text = {"type": "output_text", "text": completion.text, "annotations": []}
        yield {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [text],
        }

    for place, call in enumerate(completion.tool_calls, 1):
        yield {
            "type": "function_call",
            "id": f"fc_{place}",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }


def _events(completion: Completion, body: Mapping[str, Any]) -> Iterator[bytes]:
    answer = _answer(completion, body)
    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    ended = "incomplete" if answer["status"] == "incomplete" else "completed"
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        *(each for place, item in enumerate(answer["output"]) for each in _of_item(place, item)),
        {"type": f"response.{ended}", "response": answer},
    ]
    for number, event in enumerate(events):
        yield server_event({**event, "sequence_number": number}, is_named=True)


def _of_item(place: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    at = {"output_index": place, "item_id": item["id"]}
    is_call, is_message = item["type"] == "function_call", item["type"] == "message"
    emptied: dict[str, Any] = {"summary": []}
    if is_call:
        emptied = {"arguments": ""}
    elif is_message:
        emptied = {"content": []}

    added = {**item, **emptied}
    yield {"type": "response.output_item.added", "output_index": place, "item": added}
    if is_message:
        (part,) = item["content"]
        at = {**at, "content_index": 0}
        yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
        text = {"delta": part["text"], "logprobs": []}
        yield {"type": "response.output_text.delta", **at, **text}
        done = {"text": part["text"], "logprobs": []}
        yield {"type": "response.output_text.done", **at, **done}
        yield {"type": "response.content_part.done", **at, "part": part}
    elif is_call:
        named = {"name": item["name"]}
        arguments = item["arguments"]
        yield {"type": "response.function_call_arguments.delta", **at, "delta": arguments}
        done = {"arguments": arguments, **named}
        yield {"type": "response.function_call_arguments.done", **at, **done}

    yield {"type": "response.output_item.done", "output_index": place, "item": item}


RESPONSES = SdkFormat("/responses", _read, _answer, _events, openai_error)

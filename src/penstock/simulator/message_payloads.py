"""The bodies that a simulated provider sends in Anthropic's messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from penstock.simulator.faults import Fault
from penstock.simulator.payloads import Answer, error_under_200
from penstock.simulator.question import SIGNATURE

__all__ = ["message_error_body", "message_pieces"]

_CHARACTERS_PER_EVENT = 16
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_WORDS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def message_pieces(answer: Answer, *, is_streamed: bool) -> list[bytes]:
    """Write an answer: as one body, or as the events of a stream."""
    if answer.fault is Fault.WRONG_SHAPE:
        return [orjson.dumps({"status": "ok", "result": {"message": answer.text}})]

    if answer.fault is Fault.ERROR_IN_STREAM and not is_streamed:
        return [error_under_200(answer.dialect)]

    if is_streamed:
        return [_event(each) for each in _events(answer)]

    whole = {**_head(answer), "content": list(_blocks(answer)), **_ending(answer)}
    return [orjson.dumps({**whole, "usage": _usage(answer)})]


def message_error_body(status: int, message: str) -> bytes:
    """Write the body of an error."""
    error = {"type": _KINDS.get(status, "api_error"), "message": message}
    return orjson.dumps({"type": "error", "error": error, "request_id": None})


def _event(fields: dict[str, Any]) -> bytes:
    return f"event: {fields['type']}\n".encode() + b"data: " + orjson.dumps(fields) + b"\n\n"


def _head(answer: Answer) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.request_id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
    }


def _ending(answer: Answer) -> dict[str, Any]:
    reason = _WORDS[answer.finish_reason]
    if answer.fault is Fault.REFUSAL:
        details = {"type": "refusal", "category": "bio", "explanation": answer.text}
        return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}

    if answer.fault is Fault.PAUSED:
        reason = "pause_turn"
    elif answer.fault is Fault.BROKEN_ANSWER:
        reason = "error"
    elif answer.fault is Fault.UNKNOWN_ENDING:
        reason = "who-knows"

    return {"stop_reason": reason, "stop_sequence": None, "stop_details": None}


def _blocks(answer: Answer) -> Iterator[dict[str, Any]]:
    if answer.reasoning and answer.fault is not Fault.REFUSAL:
        yield {"type": "thinking", "thinking": answer.reasoning, "signature": SIGNATURE}
        yield {"type": "redacted_thinking", "data": "c2VhbGVk"}

    if answer.fault is Fault.PAUSED:
        yield {"type": "text", "text": "Let me search."}
        yield {"type": "server_tool_use", "id": "srv-1", "name": "web_search", "input": {"q": "x"}}
        found = [{"type": "web_search_result", "url": "https://a.test", "encrypted_content": "yz"}]
        yield {"type": "web_search_tool_result", "tool_use_id": "srv-1", "content": found}
        return

    if answer.fault is Fault.TOOL_CALL:
        yield {"type": "tool_use", "id": "call-1", "name": "f", "input": {"a": 1}}
    elif answer.text and answer.fault is not Fault.REFUSAL:
        yield {"type": "text", "text": answer.text}


def _usage(answer: Answer) -> dict[str, Any]:
    if answer.fault is Fault.MISSING_USAGE:
        return {}

    cached, written = answer.cached_tokens, answer.written_tokens
    usage: dict[str, Any] = {
        "input_tokens": answer.input_tokens - cached - written,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens": answer.output_tokens + answer.reasoning_tokens,
    }
    if answer.reasoning_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": answer.reasoning_tokens}

    return usage


def _events(answer: Answer) -> Iterator[dict[str, Any]]:
    begun = {**_usage(answer), "output_tokens": 1} if _usage(answer) else {}
    message = {**_head(answer), "content": [], "stop_reason": None, "usage": begun}
    yield {"type": "message_start", "message": message}
    yield {"type": "ping"}
    for index, block in enumerate(_blocks(answer)):
        yield {"type": "content_block_start", "index": index, "content_block": _empty(block)}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}

        yield {"type": "content_block_stop", "index": index}

    if answer.fault is Fault.ERROR_IN_STREAM:
        yield dict(answer.dialect.error)
        return

    usage = _usage(answer)
    counted = {"output_tokens": usage["output_tokens"]} if usage else {}
    yield {"type": "message_delta", "delta": _ending(answer), "usage": counted}
    yield {"type": "message_stop"}


def _empty(block: dict[str, Any]) -> dict[str, Any]:
    emptied = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: emptied.get(name, value) for name, value in block.items()}


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] in ("redacted_thinking", "web_search_tool_result"):
        return

    if "input" in block:
        yield {"type": "input_json_delta", "partial_json": ""}
        yield {"type": "input_json_delta", "partial_json": orjson.dumps(block["input"]).decode()}
        return

    name = "text" if block["type"] == "text" else "thinking"
    text = block[name]
    for start in range(0, len(text), _CHARACTERS_PER_EVENT):
        piece = text[start : start + _CHARACTERS_PER_EVENT]
        yield {"type": f"{name}_delta", name: piece}

    if "signature" in block:
        yield {"type": "signature_delta", "signature": block["signature"]}

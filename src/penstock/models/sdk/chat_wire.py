"""Chat completions as an SDK speaks them: its requests read, answers written for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest, ToolCall
from penstock.models.model_errors import ModelError
from penstock.models.openai.request_body import message_fields
from penstock.models.openai.returned import sealed_in, with_sealed
from penstock.models.sdk.wire import (
    Declared,
    SdkFormat,
    UnreadableRequestError,
    only_known,
    server_event,
)

__all__ = ["CHAT", "openai_error"]

_OURS = frozenset(CompletionRequest.model_fields) - {
    *("messages", "extra", "json_schema", "stream", "is_embedding")
}
_WANTED_BACK = frozenset(
    {"reasoning_content", "reasoning", "reasoning_details", "thinking_blocks", "refusal"}
)
_OF_MESSAGES = frozenset({"role", "name", "content", "tool_calls", "tool_call_id", "annotations"})
_OF_SENDING = frozenset({"messages", "model", "stream", "stream_options", "n"})


def _read(body: Mapping[str, Any], declared: Declared) -> CompletionRequest:
    if body.get("n") not in (None, 1):
        raise UnreadableRequestError("n: a call keeps one answer; make a call for each answer")

    given = {name: value for name, value in body.items() if name not in _OF_SENDING}
    said = {name: value for name, value in given.items() if name in _OURS}
    if isinstance(said.get("stop"), str):
        said["stop"] = (said["stop"],)

    others = {name: value for name, value in given.items() if name not in _OURS}
    messages = [_message(each) for each in body.get("messages") or ()]
    return declared.request(body, messages, said, others)


def _message(said: Mapping[str, Any]) -> ChatMessage:
    calls = [
        ToolCall(
            id=each.get("id") or "",
            name=each["function"]["name"],
            arguments=each["function"]["arguments"],
        )
        for each in said.get("tool_calls") or ()
    ]
    unread = {name: value for name, value in said.items() if name not in _WANTED_BACK}
    only_known(unread, _OF_MESSAGES, "messages")
    return ChatMessage(
        role=said["role"],
        content=said.get("content") or "",
        tool_calls=tuple(calls),
        tool_call_id=said.get("tool_call_id"),
        name=said.get("name"),
        sealed_reasoning=sealed_in(said),
    )


def _answer(completion: Completion, body: Mapping[str, Any]) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {**_said(completion), "refusal": completion.refusal},
        "finish_reason": completion.finish_reason or "stop",
        "logprobs": completion.logprobs,
    }
    return {
        **_head(completion, body, "chat.completion"),
        "choices": [choice],
        **_usage(completion),
    }


def _said(completion: Completion) -> dict[str, Any]:
    """Return the fields of the answer, with the reasoning as most providers have it."""
    thought = {"reasoning_content": completion.reasoning} if completion.reasoning else {}
    fields = {**message_fields(completion.message), **thought}
    return with_sealed(fields, completion.sealed_reasoning)


def _events(completion: Completion, body: Mapping[str, Any]) -> Iterator[bytes]:
    head = _head(completion, body, "chat.completion.chunk")
    delta = _said(completion)
    for place, call in enumerate(delta.get("tool_calls", ())):
        call["index"] = place

    ended = {"index": 0, "delta": {}, "finish_reason": completion.finish_reason or "stop"}
    yield server_event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield server_event({**head, "choices": [ended]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield server_event({**head, "choices": [], **_usage(completion)})

    yield b"data: [DONE]\n\n"


def openai_error(error: ModelError | UnreadableRequestError) -> dict[str, Any]:
    """Write why there is no answer, as OpenAI does."""
    kind = type(error).__name__
    return {"error": {"message": str(error), "type": kind, "code": kind, "param": None}}


CHAT = SdkFormat("/chat/completions", _read, _answer, _events, openai_error)


def _head(completion: Completion, body: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": completion.request_id or "chatcmpl-penstock",
        "object": kind,
        "created": 0,
        "model": completion.model or body["model"],
        "system_fingerprint": completion.system_fingerprint,
    }


def _usage(completion: Completion) -> dict[str, Any]:
    usage = completion.usage
    return {
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        }
    }

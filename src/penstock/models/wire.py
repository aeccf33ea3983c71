"""Chat completions as an SDK speaks them: its requests read, answers written for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock._base.frozen import frozen_json
from penstock.models.chat_model import ChatMessage, Completion, CompletionRequest, ToolCall
from penstock.models.model_errors import ModelError
from penstock.models.openai.request_body import message_fields

__all__ = ["UnreadableRequestError", "answer_body", "answer_events", "error_body", "read_request"]

_OURS = frozenset(CompletionRequest.model_fields) - {"messages", "extra", "json_schema", "stream"}
_OF_SENDING = frozenset({"messages", "model", "stream", "stream_options"})


class UnreadableRequestError(ValueError):
    """A request of an SDK that cannot be made through the study's gate."""


def read_request(
    body: Mapping[str, Any], declared: Mapping[str, Any], names: Sequence[str]
) -> CompletionRequest:
    """Read the body of a request.

    Args:
        body: Its fields.
        declared: The fields that hold where the body says nothing, the model among them.
        names: What the model may be called.

    Raises:
        UnreadableRequestError: it asks another model, or for something that no call gives.
    """
    if body.get("model") not in names:
        listed = " or ".join(map(repr, dict.fromkeys(names)))
        raise UnreadableRequestError(f"model: {body.get('model')!r} is not asked here; {listed} is")

    if body.get("n") not in (None, 1):
        raise UnreadableRequestError("n: a call keeps one answer; ask as often as there are to be")

    given = {name: value for name, value in body.items() if name not in _OF_SENDING}
    known = {name: value for name, value in given.items() if name in _OURS and value is not None}
    if "stop" in known and isinstance(known["stop"], str):
        known["stop"] = (known["stop"],)

    others = {name: value for name, value in given.items() if name not in _OURS and name != "n"}
    limits = {"max_tokens", "max_completion_tokens"}
    if limits & known.keys():
        declared = {name: value for name, value in declared.items() if name not in limits}

    extra = frozen_json({**declared["extra"], **others})
    messages = tuple(_message(each) for each in body.get("messages") or ())
    if not messages:
        raise UnreadableRequestError("messages: there are none")

    return CompletionRequest(**{**declared, **known, "messages": messages, "extra": extra})


def _message(said: Mapping[str, Any]) -> ChatMessage:
    calls = [
        ToolCall(
            id=each.get("id") or "",
            name=each["function"]["name"],
            arguments=each["function"]["arguments"],
        )
        for each in said.get("tool_calls") or ()
    ]
    return ChatMessage(
        role=said["role"],
        content=said.get("content") or "",
        tool_calls=tuple(calls),
        tool_call_id=said.get("tool_call_id"),
    )


def answer_body(completion: Completion, model: str) -> dict[str, Any]:
    """Write an answer as the body of a response."""
    choice = {
        "index": 0,
        "message": {**_spoken(completion), "refusal": completion.refusal},
        "finish_reason": completion.finish_reason or "stop",
        "logprobs": completion.logprobs,
    }
    return {
        **_head(completion, model, "chat.completion"),
        "choices": [choice],
        **_usage(completion),
    }


def answer_events(completion: Completion, model: str, *, wants_usage: bool) -> Iterator[bytes]:
    """Write an answer as the events of a stream; it was there as a whole."""
    head = _head(completion, model, "chat.completion.chunk")
    delta = _spoken(completion)
    for place, call in enumerate(delta.get("tool_calls", ())):
        call["index"] = place

    ended = {"index": 0, "delta": {}, "finish_reason": completion.finish_reason or "stop"}
    yield _event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _event({**head, "choices": [ended]})
    if wants_usage:
        yield _event({**head, "choices": [], **_usage(completion)})

    yield b"data: [DONE]\n\n"


def error_body(error: ModelError | UnreadableRequestError) -> dict[str, Any]:
    """Write why there is no answer as the body of a response."""
    kind = type(error).__name__
    return {"error": {"message": str(error), "type": kind, "code": kind, "param": None}}


def _spoken(completion: Completion) -> dict[str, Any]:
    return message_fields(completion.message)


def _head(completion: Completion, model: str, kind: str) -> dict[str, Any]:
    return {
        "id": completion.request_id or "chatcmpl-penstock",
        "object": kind,
        "created": 0,
        "model": completion.model or model,
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


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"

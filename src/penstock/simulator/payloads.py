"""The bodies that a simulated provider sends, in OpenAI's form, whole or spoilt."""

from __future__ import annotations

from collections.abc import Iterator
from time import time
from typing import Any, NamedTuple

import orjson

from penstock.simulator.faults import Fault

__all__ = ["Answer", "answer_pieces", "error_body", "spoilt"]

_CHARACTERS_PER_EVENT = 16


class Answer(NamedTuple):
    """An answer to be sent.

    Args:
        request_id: The id of its request.
        model: The model that it says it is of.
        fingerprint: Its ``system_fingerprint``.
        text: The answer.
        finish_reason: Why it ended.
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer.
        has_logprobs: Whether log-probabilities are given.
        fault: What is wrong with it.
    """

    request_id: str
    model: str
    fingerprint: str
    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    has_logprobs: bool = False
    fault: Fault | None = None


def answer_pieces(answer: Answer, *, is_streamed: bool, wants_usage: bool) -> list[bytes]:
    """Write an answer: as one body, or as the events of a stream."""
    if answer.fault is Fault.WRONG_SHAPE:
        body = orjson.dumps({"status": "ok", "result": {"message": answer.text}})
        return [_event(body), _DONE] if is_streamed else [body]

    if is_streamed:
        return list(_events(answer, wants_usage=wants_usage))

    choice = {
        "index": 0,
        "message": _message(answer, answer.text),
        "finish_reason": answer.finish_reason,
        "logprobs": _logprobs(answer, answer.text),
    }
    return [orjson.dumps(_head(answer, "chat.completion", [choice]) | _usage(answer))]


def spoilt(pieces: list[bytes], fault: Fault | None) -> list[bytes]:
    """Break the JSON of a body, where that is the fault."""
    if fault is Fault.MALFORMED_JSON:
        return [piece.replace(b'"choices":', b'"choices"') for piece in pieces]

    if fault is Fault.TRUNCATED_JSON:
        whole = b"".join(pieces)
        return [whole[: whole.rindex(b'"choices":') + 12]]

    return pieces


def error_body(message: str, kind: str, code: str | None = None) -> bytes:
    """Write the body of an error."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return orjson.dumps({"error": error})


_DONE = b"data: [DONE]\n\n"


def _event(body: bytes) -> bytes:
    return b"data: " + body + b"\n\n"


def _head(answer: Answer, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{answer.request_id}",
        "object": kind,
        "created": int(time()),
        "model": answer.model,
        "system_fingerprint": answer.fingerprint,
        "choices": choices,
    }


def _message(answer: Answer, text: str) -> dict[str, Any]:
    is_refused = answer.fault is Fault.REFUSAL
    return {
        "role": "assistant",
        "content": None if is_refused else text,
        "refusal": text if is_refused else None,
    }


def _usage(answer: Answer) -> dict[str, Any]:
    if answer.fault is Fault.MISSING_USAGE:
        return {}

    return {
        "usage": {
            "prompt_tokens": answer.input_tokens,
            "completion_tokens": answer.output_tokens,
            "total_tokens": answer.input_tokens + answer.output_tokens,
        }
    }


def _logprobs(answer: Answer, text: str) -> dict[str, Any] | None:
    """Return a log-probability for each 4 characters, the same whenever they come."""
    if not answer.has_logprobs:
        return None

    tokens = [text[start : start + 4] for start in range(0, len(text), 4)]
    content = [
        {
            "token": token,
            "logprob": -(sum(map(ord, token)) % 97) / 97,
            "bytes": list(token.encode("utf-8", "replace")),
            "top_logprobs": [],
        }
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _events(answer: Answer, *, wants_usage: bool) -> Iterator[bytes]:
    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {
            "index": 0,
            "delta": delta,
            "finish_reason": finish_reason,
            "logprobs": _logprobs(answer, delta.get("content") or ""),
        }
        return _event(orjson.dumps(_head(answer, "chat.completion.chunk", [choice])))

    name = "refusal" if answer.fault is Fault.REFUSAL else "content"
    text = answer.text
    first = text[:_CHARACTERS_PER_EVENT]
    yield chunk({"role": "assistant", name: first})
    for start in range(_CHARACTERS_PER_EVENT, len(text), _CHARACTERS_PER_EVENT):
        yield chunk({name: text[start : start + _CHARACTERS_PER_EVENT]})

    yield chunk({}, answer.finish_reason)
    if wants_usage and (usage := _usage(answer)):
        yield _event(orjson.dumps(_head(answer, "chat.completion.chunk", []) | usage))

    yield _DONE

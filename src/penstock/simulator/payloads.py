"""The bodies that a simulated provider sends: in the words of a dialect, whole or spoilt."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from functools import partial
from time import time
from typing import Any, NamedTuple

import orjson

from penstock.simulator.dialects import OPENAI, Dialect
from penstock.simulator.draws import Draws
from penstock.simulator.faults import Fault

__all__ = [
    "CALL_ARGUMENTS",
    "Answer",
    "answer_pieces",
    "error_body",
    "error_under_200",
    "spoilt",
    "vectors_body",
]


CALL_ARGUMENTS = '{"a": 1}'
"""What a tool is called with."""

_CHARACTERS_PER_EVENT = 16


class Answer(NamedTuple):
    """An answer to be sent.

    Args:
        request_id: The id of its request.
        model: The model that it says it is of.
        fingerprint: Its ``system_fingerprint``.
        text: The answer.
        finish_reason: Why it ended, in OpenAI's words.
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer, without those of the reasoning.
        has_logprobs: Whether log-probabilities are given.
        fault: What is wrong with it.
        reasoning: What was written before it, for nobody else.
        reasoning_tokens: Tokens of the reasoning.
        dialect: Whose words are used.
        cached_tokens: Tokens of the prompt that came from a cache.
        written_tokens: Tokens of the prompt that were written to it.
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
    reasoning: str = ""
    reasoning_tokens: int = 0
    dialect: Dialect = OPENAI
    cached_tokens: int = 0
    written_tokens: int = 0


def answer_pieces(answer: Answer, *, is_streamed: bool, wants_usage: bool) -> list[bytes]:
    """Write an answer: as one body, or as the events of a stream."""
    if answer.fault is Fault.WRONG_SHAPE:
        body = orjson.dumps({"status": "ok", "result": {"message": answer.text}})
        return [_event(body), _DONE] if is_streamed else [body]

    if answer.fault is Fault.ERROR_IN_STREAM and not is_streamed:
        return [error_under_200(answer.dialect)]

    if is_streamed:
        return list(_events(answer, wants_usage=wants_usage))

    choice = {
        "index": 0,
        "message": {"role": "assistant", "refusal": None, **_message(answer)},
        "finish_reason": _ending(answer),
        "logprobs": _logprobs(answer, answer.text),
    }
    return [orjson.dumps(_head(answer, "chat.completion", [choice]) | _usage(answer))]


def spoilt(pieces: list[bytes], fault: Fault | None, at: bytes = b'"choices":') -> list[bytes]:
    """Break the JSON of a body at a name in it, where that is the fault."""
    if fault is Fault.MALFORMED_JSON:
        return [piece.replace(at, at[:-1]) for piece in pieces]

    if fault is Fault.TRUNCATED_JSON:
        whole = b"".join(pieces)
        return [whole[: whole.rindex(at) + len(at) + 2]]

    return pieces


def error_body(message: str, kind: str, code: str | None = None) -> bytes:
    """Write the body of an error."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return orjson.dumps({"error": error})


def error_under_200(dialect: Dialect) -> bytes:
    """Write the body of an error that comes under 200."""
    return orjson.dumps(dict(dialect.error))


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


def _ending(answer: Answer) -> str:
    """Return why an answer ended, in the words of its dialect."""
    dialect = answer.dialect
    if answer.fault is Fault.BROKEN_ANSWER:
        return dialect.broken or "error"

    if answer.fault is Fault.UNKNOWN_ENDING:
        return "who-knows"

    words = {"stop": dialect.complete, "length": dialect.cut, "tool_calls": dialect.tools}
    if dialect.filtered is not None:
        words["content_filter"] = dialect.filtered

    return words.get(answer.finish_reason, answer.finish_reason)


def _message(answer: Answer) -> dict[str, Any]:
    """Write what a message holds beside its role."""
    text, thought, place = answer.text, answer.reasoning, answer.dialect.reasoning
    if answer.fault is Fault.REFUSAL:
        return {"content": None, "refusal": text}

    calls = {"tool_calls": [_CALL]} if answer.fault is Fault.TOOL_CALL else {}
    if not thought:
        return {"content": None if calls else text, **calls}

    return _with_thought(text, thought, place) | calls


def _with_thought(text: str, thought: str, place: str) -> dict[str, Any]:
    if place == "<think>":
        return {"content": f"<think>{thought}</think>\n\n{text}"}

    if place == "parts":
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}
        return {"content": [thinking, {"type": "text", "text": text}]}

    return {place: thought, "content": text}


_CALL = {
    "index": 0,
    "id": "call-1",
    "type": "function",
    "function": {"name": "f", "arguments": CALL_ARGUMENTS},
}


def _usage(answer: Answer) -> dict[str, Any]:
    if answer.fault is Fault.MISSING_USAGE:
        return {}

    written, thought = answer.output_tokens, answer.reasoning_tokens
    usage: dict[str, Any] = {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": written if answer.dialect.is_reasoning_apart else written + thought,
        "total_tokens": answer.input_tokens + written + thought,
    }
    if thought:
        usage["completion_tokens_details"] = {"reasoning_tokens": thought}

    return {"usage": usage}


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
    def chunk(delta: dict[str, Any]) -> bytes:
        text = delta.get("content")
        choice = {
            "index": 0,
            "delta": delta,
            "finish_reason": None,
            "logprobs": _logprobs(answer, text if isinstance(text, str) else ""),
        }
        return _event(orjson.dumps(_head(answer, "chat.completion.chunk", [choice])))

    if answer.fault is Fault.TOOL_CALL or (answer.reasoning and answer.fault is not Fault.REFUSAL):
        yield chunk({"role": "assistant", "content": ""})
        yield chunk(_message(answer))
    else:
        yield from _pieces(answer, chunk)

    if answer.fault is Fault.ERROR_IN_STREAM:
        yield _event(error_under_200(answer.dialect))
    else:
        yield from _last_events(answer, wants_usage=wants_usage)

    yield _DONE


def _pieces(answer: Answer, chunk: Callable[[dict[str, Any]], bytes]) -> Iterator[bytes]:
    name, text = "refusal" if answer.fault is Fault.REFUSAL else "content", answer.text
    yield chunk({"role": "assistant", name: text[:_CHARACTERS_PER_EVENT]})
    for start in range(_CHARACTERS_PER_EVENT, len(text), _CHARACTERS_PER_EVENT):
        yield chunk({name: text[start : start + _CHARACTERS_PER_EVENT]})


def _last_events(answer: Answer, *, wants_usage: bool) -> Iterator[bytes]:
    """Write why the answer ended, and its usage: where OpenAI has it only for who asks for it."""
    head, place = partial(_head, answer, "chat.completion.chunk"), answer.dialect.usage_at
    usage = _usage(answer)
    choice = {"index": 0, "delta": {}, "finish_reason": _ending(answer), "logprobs": None}
    if place == "choice":
        yield _event(orjson.dumps(head([choice | usage])))
    elif place == "x_groq":
        yield _event(orjson.dumps(head([choice]) | {"x_groq": {"id": "req", **usage}}))
    else:
        yield _event(orjson.dumps(head([choice])))
        if wants_usage and usage:
            yield _event(orjson.dumps(head([]) | usage))


_DIMENSIONS = 8


def vectors_body(body: bytes, tokens: int, draws: Draws) -> bytes:
    """Write the body of an answer.

    Args:
        body: The request, which is known to be one.
        tokens: How many tokens its texts are.
        draws: Where the vectors are drawn from.
    """
    fields = orjson.loads(body)
    texts = [fields["input"]] if isinstance(fields["input"], str) else fields["input"]
    size = fields.get("dimensions") or _DIMENSIONS
    is_packed = fields.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(draws, text, size, is_packed)}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps({"object": "list", "data": data, "model": fields["model"], "usage": usage})


def _vector(draws: Draws, text: str, size: int, is_packed: bool) -> Any:  # noqa: FBT001
    numbers = [2 * draws.uniform("vector", text, place) - 1 for place in range(size)]
    if not is_packed:
        return numbers

    return base64.b64encode(struct.pack(f"<{size}f", *numbers)).decode()

"""Whatever JSON an endpoint sends: it is an answer, or an error that says what it is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from multidict import CIMultiDict

from penstock._base.secrets import Redactor
from penstock.models.anthropic.message_reading import (
    StreamedMessage,
    chat_completion_in,
    complaint_in_event,
)
from penstock.models.chat_model import Completion
from penstock.models.model_errors import ModelError
from penstock.models.openai.complaints import complaint_in
from penstock.models.openai.endpoint import Endpoint
from penstock.models.openai.error_response import failure_of_complaint, failure_of_status
from penstock.models.openai.response import completion_of, payload_of
from penstock.models.openai.streaming import StreamedAnswer
from tests.models.loopback import ANSWER, REQUEST

ENDPOINT = Endpoint("http://host/v1", None, False, 300.0, Redactor(None))
HEAD = ENDPOINT.head_of(200, CIMultiDict())
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
DETAILS = [{"type": "reasoning.text", "text": "x", "index": 0}]
MESSAGE = {
    "content": [{"type": "text", "text": "42"}, {"type": "thinking", "thinking": [{"text": "x"}]}],
    "reasoning_content": "x",
    "reasoning_details": DETAILS,
    "tool_calls": [CALL],
    "function_call": {"name": "f"},
    "audio": {"transcript": "x"},
    "refusal": "No.",
}
USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 3,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 1},
    "cost": 0.1,
    "is_byok": True,
    "cost_details": {"upstream_inference_cost": 1},
    "cost_in_usd_ticks": 5,
    "cache_creation": {"ephemeral_1h_input_tokens": 2},
}
WHOLE = {
    **ANSWER,
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop", "logprobs": {}}],
    "usage": USAGE,
}
PIECE = {"choices": [{"index": 0, "delta": MESSAGE, "logprobs": {"content": [1]}}], "usage": USAGE}
ERROR = {
    "error": {
        "message": "x",
        "type": "y",
        "code": 429,
        "retry_after": 3,
        "details": [{"retryDelay": "9s", "reason": "R"}],
        "metadata": {"raw": '{"error": {"code": "z"}}', "headers": {"X-RateLimit-Remaining": "0"}},
    },
    "detail": [{"loc": ["a", 1], "msg": "m"}],
    "base_resp": {"status_code": 1002, "status_msg": "x"},
    "promptFeedback": {"blockReason": "SAFETY"},
    "errors": [{"code": 1, "message": "q"}],
}
BLOCKS = [{"type": "text", "text": "4"}, {"type": "tool_use", "id": "a", "name": "f", "input": {}}]
ANTHROPIC = {
    "id": "m",
    "type": "message",
    "content": BLOCKS,
    "stop_reason": "refusal",
    "stop_details": {"category": "bio"},
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
EVENTS = [
    {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "4"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
]
ODD: list[Any] = [
    *(None, True, False, 0, -1, 3.5, 1e308, float("nan"), 10**30, "", "x", "null", "{", "{}", "[]"),
    *('{"a": 1}', [], [None], [[]], {}, {"a": 1}, {"text": 3}, [{"text": None}], [1, "a", {}]),
]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Give every container in a value, with each of its keys."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in list(inner):
        yield value, key
        if isinstance(each, (dict, list)):
            yield from places(each)


def changed(value: Any, random: Random) -> Any:
    """Put something odd into some places of a value."""
    value = copy.deepcopy(value)
    for _ in range(random.randint(1, 3)):
        container, key = random.choice(list(places(value)))
        container[key] = copy.deepcopy(random.choice(ODD))

    return value


def read(payload: Any) -> None:
    found, _ = payload_of(ENDPOINT, HEAD, json.dumps(payload).encode())
    made = completion_of(ENDPOINT, HEAD, REQUEST, found, provider_s=0.1)
    # It is made without being checked: its fields have the types that checking would give them.
    assert repr(Completion.model_validate(made.model_dump(), strict=True)) == repr(made)


def read_pieces(pieces: Any, answer: Any, complaint_of: Callable[..., Any]) -> None:
    for piece in pieces:
        complaint = complaint_of(piece, "")
        if complaint is not None:
            raise failure_of_complaint(ENDPOINT, HEAD, complaint)

        answer.add(piece)

    completion_of(ENDPOINT, HEAD, REQUEST, answer.payload(), provider_s=0.1)


def read_error(payload: Any) -> None:
    for status in (400, 401, 429, 500):
        head = ENDPOINT.head_of(status, CIMultiDict({"retry-after": str(payload)[:9]}))
        failure_of_status(ENDPOINT, head, json.dumps(payload).encode())


READ: dict[str, tuple[Any, Callable[[Any], None]]] = {
    "whole": (WHOLE, read),
    "an error under 200": (ERROR, read),
    "an error": (ERROR, read_error),
    "a stream": ([PIECE, PIECE], lambda it: read_pieces(it, StreamedAnswer(), complaint_in)),
    "a message": (ANTHROPIC, lambda it: read(chat_completion_in(it))),
    "events": (EVENTS, lambda it: read_pieces(it, StreamedMessage(), complaint_in_event)),
}


@pytest.mark.parametrize("form", list(READ))
def test_no_json_at_all_raises_anything_but_an_error_of_a_model(form: str) -> None:
    good, reader = READ[form]
    random = Random(form)
    for _ in range(200):
        with suppress(ModelError):
            reader(changed(good, random))

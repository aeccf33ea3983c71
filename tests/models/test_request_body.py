"""What is sent for a request."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from penstock._base.frozen import frozen_json
from penstock.models.chat_model import ChatMessage, CompletionRequest
from penstock.models.model_errors import BadRequestError
from penstock.models.openai.request_body import body_of

MESSAGES = (ChatMessage(role="user", content="hi"),)


def sent(**fields: Any) -> dict[str, Any]:
    request = CompletionRequest(model="m", **({"messages": MESSAGES} | fields))
    body: dict[str, Any] = json.loads(body_of(request))
    return body


def test_only_what_is_asked_for_is_sent() -> None:
    assert sent() == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_everything_that_is_asked_for_is_sent() -> None:
    schema = {"title": "An answer!", "type": "object"}
    body = sent(
        temperature=0.0, top_p=0.9, max_tokens=5, seed=0, stop=("\n",), logprobs=True,
        json_schema=schema, stream=True, extra=frozen_json({"top_k": 4, "user": {"id": [1]}}),
    )  # fmt: skip
    del body["model"], body["messages"]
    assert body == {
        "temperature": 0.0,
        "top_p": 0.9,
        "max_tokens": 5,
        "seed": 0,
        "stop": ["\n"],
        "logprobs": True,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "An_answer_", "schema": schema, "strict": True},
        },
        "stream": True,
        "stream_options": {"include_usage": True},
        "top_k": 4,
        "user": {"id": [1]},
    }


def test_extra_fields_have_the_last_word() -> None:
    assert sent(json_schema={}, extra={"response_format": "mine"})["response_format"] == "mine"
    named = sent(json_schema={})["response_format"]["json_schema"]
    assert named["name"] == "answer"


def test_half_a_character_and_a_long_number_are_sent_as_json_has_them() -> None:
    messages = (ChatMessage.model_construct(role="user", content="a\ud83d"),)
    body = sent(messages=messages, extra={"number": 2**70})
    assert (body["messages"][0]["content"], body["number"]) == ("a\ud83d", 2**70)


def test_what_has_no_json_form_is_refused_before_anything_is_sent() -> None:
    for value in (object(), {1: object()}):
        with pytest.raises(BadRequestError, match="cannot be written as JSON"):
            sent(extra={"odd": value})


def test_the_same_request_gives_the_same_bytes() -> None:
    request = CompletionRequest(model="m", messages=MESSAGES, seed=1, extra={"b": 1, "a": 2})
    assert body_of(request) == body_of(CompletionRequest.model_validate(request.model_dump()))
    assert orjson.loads(body_of(request))["a"] == 2

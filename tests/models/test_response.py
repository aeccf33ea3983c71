"""What a completion's JSON says, and what is wrong with one that says nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from penstock._base.secrets import Redactor
from penstock.models import model_errors as errors
from penstock.models.chat_model import Completion, CompletionRequest, Usage
from penstock.models.model_errors import MalformedResponseError, ModelError
from penstock.models.openai.endpoint import Endpoint
from penstock.models.openai.response import completion_of, payload_of
from tests.models.loopback import ANSWER, REQUEST

ENDPOINT = Endpoint("http://host/v1", None, False, 300.0, Redactor(None))
COUNTED = {"prompt_tokens": 9, "completion_tokens": 2}
HEAD = ENDPOINT.head_of(200, CIMultiDict({"x-request-id": "req_1"}))


def read(body: bytes, request: CompletionRequest = REQUEST) -> Completion:
    payload, _ = payload_of(ENDPOINT, HEAD, body)
    return completion_of(ENDPOINT, HEAD, request, payload, provider_s=0.1)


def answer(choice: dict[str, Any] | None = None, **fields: Any) -> bytes:
    changed = ANSWER["choices"][0] | (choice or {})
    return orjson.dumps(ANSWER | {"choices": [changed]} | fields)


def content(value: Any, **choice: Any) -> bytes:
    return answer({"message": {"role": "assistant", "content": value}} | choice)


@pytest.mark.parametrize(
    ("counted", "usage"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 8},
            },
            Usage(input_tokens=9, output_tokens=2, cached_input_tokens=8),
        ),
        (
            COUNTED | {"prompt_cache_hit_tokens": 4},
            Usage(input_tokens=9, output_tokens=2, cached_input_tokens=4),
        ),
        ({"input_tokens": 9, "output_tokens": 2.0}, Usage(input_tokens=9, output_tokens=2)),
        (
            COUNTED | {"prompt_tokens_details": None},
            Usage(input_tokens=9, output_tokens=2),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": -1},
            Usage(input_tokens=9, output_tokens=2, is_estimated=True),
        ),
        (None, Usage(input_tokens=10, output_tokens=2, is_estimated=True)),
        ("many", Usage(input_tokens=10, output_tokens=2, is_estimated=True)),
    ],
)
def test_tokens_are_the_provider_s_count_or_said_to_be_our_estimate(
    counted: Any, usage: Usage
) -> None:
    assert read(answer(usage=counted)).usage == usage


def test_an_answer_cut_at_max_tokens_is_given_as_it_is() -> None:
    assert read(content("4", finish_reason="length")).finish_reason == "length"
    assert read(content(None, finish_reason="length")).text == ""


def test_an_answer_in_parts_is_the_text_of_its_parts() -> None:
    parts = [{"type": "text", "text": "4"}, {"type": "image"}, "?", {"type": "text", "text": "2"}]
    assert read(content(parts)).text == "42"


def test_an_empty_answer_is_a_fault_unless_a_stop_text_asked_for_it() -> None:
    empties: tuple[Any, ...] = ("", None, [], 3)
    for empty in empties:
        with pytest.raises(MalformedResponseError, match="gave an empty answer") as caught:
            read(content(empty))

        assert caught.value.usage == Usage(input_tokens=12, output_tokens=3)

    assert read(content(""), REQUEST.model_copy(update={"stop": ("\n",)})).text == ""


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "an empty body"),
        (b"  \n", "an empty body"),
        (b"hello", "is not JSON"),
        (answer()[:-30], "truncated JSON"),
        (b"{" * 100_000, "truncated JSON"),
        (b'{"a": }', "is not JSON"),
        (b"\xff\xfe{}", "is not JSON"),
        (b"[]", r"JSON that has no choices\[0\]\.message: \[\]"),
        (b"{}", r"JSON that has no choices\[0\]\.message"),
        (b'{"choices": []}', r"choices\[0\]\.message: .*choices"),
        (b'{"choices": {"0": 1}}', r"choices\[0\]\.message"),
        (b'{"choices": [{"text": "old"}]}', r"choices\[0\]\.message"),
        (b'{"choices": [{"message": "hi"}]}', r"choices\[0\]\.message"),
    ],
)
def test_what_is_no_completion_is_malformed_and_says_what_it_is(body: bytes, what: str) -> None:
    with pytest.raises(MalformedResponseError, match=what) as caught:
        read(body)

    assert caught.value.retryable
    assert (caught.value.http_status, caught.value.request_id) == (200, "req_1")
    assert len(str(caught.value)) < 500


def test_what_only_a_patient_reader_reads_is_read() -> None:
    body = b'{"choices": [{"message": {"content": "a\\ud83d"}, "logprobs": {"x": -Infinity}}]}'
    completion = read(body)
    assert completion.text == "a\ud83d"
    assert completion.logprobs == {"x": float("-inf")}
    assert completion.model == "some-model"
    assert completion.request_id == "req_1"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (content(None, finish_reason="content_filter"), errors.ContentFilteredError),
        (answer({"message": {"content": None, "refusal": "No."}}), errors.RefusalError),
        (content("No.", finish_reason="refusal"), errors.RefusalError),
        (orjson.dumps({"error": {"message": "slow", "code": 429}}), errors.RateLimitedError),
        (answer({"error": {"message": "down", "code": 502}}), errors.OverloadedError),
        (orjson.dumps([{"error": {"message": "slow", "code": 429}}]), errors.RateLimitedError),
    ],
)
def test_an_answer_that_is_none_says_why(body: bytes, kind: type[ModelError]) -> None:
    with pytest.raises(ModelError) as caught:
        read(body)

    assert type(caught.value) is kind


def test_a_refusal_has_its_reason_and_its_tokens() -> None:
    with pytest.raises(errors.RefusalError, match=r"declined: I will not\.") as caught:
        read(answer({"message": {"content": None, "refusal": "I will not."}}))

    assert caught.value.usage == Usage(input_tokens=12, output_tokens=3)

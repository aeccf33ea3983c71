"""What an error response means: statuses alone do not tell."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from penstock._base.secrets import Redactor
from penstock.models import model_errors as errors
from penstock.models.model_errors import ModelError
from penstock.models.openai.endpoint import Endpoint
from penstock.models.openai.error_response import failure_in_payload, failure_of_status

ENDPOINT = Endpoint("http://host/v1", "SOME_KEY", True, 300.0, Redactor(None))


def failure(status: int, body: Any, **headers: str) -> ModelError:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return failure_of_status(ENDPOINT, ENDPOINT.head_of(status, CIMultiDict(headers)), data)


def said(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message} | fields}


TOO_LONG: list[tuple[int, Any]] = [
    (400, said("too much", code="context_length_exceeded")),
    (400, said("the request exceeds", type="exceed_context_size_error")),
    (400, said("This model's maximum context length is 4096 tokens. However, you requested 9000")),
    (400, {"object": "error", "message": "maximum context length is 4096", "code": 400}),
    (400, said("prompt is too long: 210000 tokens > 200000 maximum")),
    (400, said("Please reduce the length of the messages or completion.")),
    (400, [said("The input token count (1200000) exceeds the maximum number of tokens allowed")]),
    (400, said("The input (9 tokens) is longer than the model's context length (4 tokens).")),
    (
        400,
        said("40000 tokens, too large for model with 32768 maximum context length"),
    ),
    (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 4096", "error_type": "x"}),
    (413, {"detail": "Input is too long for requested model"}),
    (500, said("the request exceeds the available context size. try increasing it")),
]


@pytest.mark.parametrize(("status", "body"), TOO_LONG)
def test_a_conversation_that_is_too_long_is_known_by_code_and_by_sentence(
    status: int, body: Any
) -> None:
    error = failure(status, body)
    assert type(error) is errors.ContextTooLongError
    assert not error.retryable


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, said("no", code="content_filter")),
        (400, said("no", code="content_policy_violation")),
        (400, said("no", innererror={"code": "ResponsibleAIPolicyViolation"})),
        (400, said("triggering Azure's content management policy")),
        (400, said("rejected as a result of our safety system")),
        (403, said("requires moderation", metadata={"flagged_input": "...", "reasons": ["x"]})),
    ],
)
def test_a_filter_is_known_and_does_not_stop_the_study(status: int, body: Any) -> None:
    error = failure(status, body)
    assert type(error) is errors.ContentFilteredError
    assert not error.stops_study


def test_an_account_without_credit_stops_the_study_whatever_its_status() -> None:
    for status, code in ((429, "insufficient_quota"), (402, None)):
        error = failure(status, said("You exceeded your current quota", code=code))
        assert type(error) is errors.AuthenticationError
        assert "the key in the environment variable SOME_KEY has no credit left" in str(error)


def test_a_request_that_never_fits_a_rate_is_not_tried_again() -> None:
    message = "Request too large for some-model on tokens per min (TPM): Limit 10, Requested 12"
    error = failure(429, said(message, code="rate_limit_exceeded"))
    assert type(error) is errors.BadRequestError


@pytest.mark.parametrize(
    ("body", "excerpt"),
    [
        (said("one"), ": one"),
        ({"error": "two"}, ": two"),
        ({"message": "three"}, ": three"),
        ({"detail": [{"loc": ["body", "model"], "msg": "missing"}]}, "'msg': 'missing'"),
        ("four", ": four"),
        (b"<html><h1>five</h1></html>", ": five"),
        ({"odd": 6}, ': {"odd":6}'),
        (b"[]", ": []"),
        (b"null", ": null"),
        (b"\xff\x00", ": \ufffd"),
        (b"[" * 100_000, ": [[[["),
    ],
)
def test_an_excerpt_of_whatever_came_is_in_the_sentence(body: Any, excerpt: str) -> None:
    error = failure(404, body)
    assert type(error) is errors.BadRequestError
    assert str(error).startswith("http://host/v1 answered 404 Not Found: ")
    assert excerpt in str(error)
    assert len(str(error)) < 400


def test_an_empty_body_and_a_status_nobody_knows_make_a_sentence_too() -> None:
    assert str(failure(404, b"")) == "http://host/v1 answered 404 Not Found"
    assert str(failure(529, b"")) == "http://host/v1 answered 529 Overloaded"
    assert str(failure(599, b"")) == "http://host/v1 answered 599"


@pytest.mark.parametrize(
    ("payload", "kind", "status"),
    [
        (said("slow", code=429), errors.RateLimitedError, 429),
        (said("slow", code="rate_limit_exceeded"), errors.RateLimitedError, 429),
        (said("down", code=502), errors.OverloadedError, 502),
        (said("down"), errors.OverloadedError, 500),
        (said("long", code="context_length_exceeded"), errors.ContextTooLongError, 500),
        ({"error": "down"}, errors.OverloadedError, 500),
    ],
)
def test_an_error_under_a_status_of_success_is_an_error(
    payload: Any, kind: type[ModelError], status: int
) -> None:
    error = failure_in_payload(ENDPOINT, ENDPOINT.head_of(200, CIMultiDict()), payload)
    assert (type(error), error.http_status) == (kind, status)


def test_only_who_may_be_asked_again_is_waited_for() -> None:
    absurd = {"retry-after": "86400"}
    assert type(failure(429, b"", **absurd)) is errors.RetryAfterTooLongError
    assert type(failure(503, b"", **absurd)) is errors.RetryAfterTooLongError
    assert type(failure(400, b"", **absurd)) is errors.BadRequestError

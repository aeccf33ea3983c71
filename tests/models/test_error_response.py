"""What an error response means: statuses alone do not tell."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from penstock._base.secrets import Redactor
from penstock.models import model_errors as errors
from penstock.models.model_errors import ModelError
from penstock.models.openai.complaints import complaint_in
from penstock.models.openai.endpoint import Endpoint
from penstock.models.openai.error_response import failure_of_complaint, failure_of_status

ENDPOINT = Endpoint(
    "http://host/v1", "the environment variable SOME_KEY", True, 300.0, Redactor(None)
)


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
        ({"detail": [{"loc": ["body", "model"], "msg": "missing"}]}, ": body.model: missing"),
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
        (said("slow", code="rate_limit_exceeded"), errors.RateLimitedError, 200),
        (said("down", code=502), errors.OverloadedError, 502),
        (said("down"), errors.OverloadedError, 200),
        (said("long", code="context_length_exceeded"), errors.ContextTooLongError, 200),
        ({"error": "down"}, errors.OverloadedError, 200),
    ],
)
def test_an_error_under_a_status_of_success_is_an_error(
    payload: Any, kind: type[ModelError], status: int
) -> None:
    complaint = complaint_in(payload)
    assert complaint is not None
    error = failure_of_complaint(ENDPOINT, ENDPOINT.head_of(200, CIMultiDict()), complaint)
    assert (type(error), error.http_status) == (kind, status)


def test_only_who_may_be_asked_again_is_waited_for() -> None:
    absurd = {"retry-after": "86400"}
    assert type(failure(429, b"", **absurd)) is errors.RetryAfterTooLongError
    assert type(failure(503, b"", **absurd)) is errors.RetryAfterTooLongError
    assert type(failure(400, b"", **absurd)) is errors.BadRequestError


STOPPING: list[tuple[str, int, Any, bool]] = [
    ("OpenAI", 401, said("Incorrect API key provided: sk-*****", code="invalid_api_key"), False),
    ("OpenAI", 429, said("You exceeded your current quota", code="insufficient_quota"), True),
    ("OpenAI", 400, said("Billing hard limit has been reached", code="x"), True),
    ("Anthropic", 400, said("Your credit balance is too low to access the Anthropic API"), True),
    ("Gemini", 400, said("API key not valid. Please pass a valid API key.", code=400), False),
    (
        "Gemini",
        403,
        said("Your API key was reported as leaked. Please use another API key."),
        False,
    ),
    ("xAI", 400, {"code": "Client error", "error": "Incorrect API key provided: ab***yz."}, False),
    ("xAI", 403, {"error": "Your newly created team has used all available credits"}, True),
    ("Moonshot", 429, said("Your account is suspended", type="exceeded_current_quota_error"), True),
    ("Zhipu", 429, said("Insufficient balance", code="1113"), True),
    ("Hugging Face", 402, {"error": "You have exceeded your monthly included credits"}, True),
    ("Hugging Face", 429, {"error": "You have exceeded your monthly included credits"}, True),
    ("DeepSeek", 402, said("Insufficient Balance"), True),
    ("OpenRouter", 402, said("This request requires more credits"), True),
    ("LiteLLM", 400, said("Budget has been exceeded! Current cost: 3, Max budget: 2"), True),
    ("DashScope", 400, {"code": "Arrearage", "message": "Access denied"}, True),
    ("Anthropic", 400, said("This organization has been disabled."), True),
    ("Anthropic", 400, said("You have reached your specified API usage limits."), True),
    ("Fireworks", 412, said("Account a is suspended, possibly for unpaid invoices"), True),
    ("OpenRouter", 403, said("Key limit exceeded (total limit)."), True),
    ("Gemini", 403, said("Method doesn't allow unregistered callers"), False),
    ("Bedrock", 403, {"message": "The security token included in the request is invalid."}, False),
    ("MiniMax", 403, said("login fail: Please carry the API secret key"), False),
    ("anyone", 401, b"", False),
]


@pytest.mark.field("models-F13")
@pytest.mark.parametrize(
    ("status", "body", "is_credit"),
    [each[1:] for each in STOPPING],
    ids=[f"{each[0]} {each[1]}" for each in STOPPING],
)
def test_a_wrong_key_or_an_empty_account_stops_the_study_in_whatever_words(
    status: int, body: Any, is_credit: bool
) -> None:
    error = failure(status, body)
    assert type(error) is errors.AuthenticationError
    assert error.stops_study
    assert ("has no credit left" in str(error)) is is_credit


OF_ONE_RUN: list[tuple[str, int, Any, type[ModelError]]] = [
    (
        "xAI's usage guidelines",
        403,
        {
            "code": "The caller does not have permission to execute the specified operation",
            "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO",
        },
        errors.ContentFilteredError,
    ),
    (
        "Cloudflare's page",
        403,
        b"<html><h1>Sorry, you have been blocked</h1> a SQL command</html>",
        errors.ContentFilteredError,
    ),
    (
        "terms",
        403,
        said("Input flagged: violates provider Terms of Service"),
        errors.ContentFilteredError,
    ),
    (
        "a model",
        403,
        said("Project does not have access to model m2", code="model_not_found"),
        errors.AccessDeniedError,
    ),
    (
        "a country",
        403,
        said("Country, region, or territory not supported"),
        errors.AccessDeniedError,
    ),
    ("a guardrail", 400, said("blocked by guardrail"), errors.ContentFilteredError),
    ("nothing said", 403, b"", errors.AccessDeniedError),
]


@pytest.mark.field("models-F8")
@pytest.mark.parametrize(
    ("status", "body", "kind"), [each[1:] for each in OF_ONE_RUN], ids=[e[0] for e in OF_ONE_RUN]
)
def test_a_403_about_one_prompt_or_model_is_of_that_run(
    status: int, body: Any, kind: type[ModelError]
) -> None:
    error = failure(status, body)
    assert type(error) is kind
    assert not error.stops_study
    assert not error.retryable


@pytest.mark.field("models-F8", "models-F9", "models-F19")
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, said("Rate limit exceeded"), errors.RateLimitedError),
        (400, {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded"}, None),
        (400, said("Model is overloaded"), errors.OverloadedError),
        (424, {"error": "Model m is currently loading"}, errors.OverloadedError),
        (429, said("engine is overloaded", type="engine_overloaded_error"), None),
        (503, b"", errors.OverloadedError),
        (529, said("Overloaded", type="overloaded_error"), errors.OverloadedError),
    ],
)
def test_a_refusal_is_known_by_its_words_and_is_waited_for(
    status: int, body: Any, kind: type[ModelError] | None
) -> None:
    error = failure(status, body)
    assert type(error) is (kind or errors.RateLimitedError)
    assert error.is_refusal
    assert error.retryable


@pytest.mark.parametrize("status", [500, 502, 504, 524, 408])
def test_a_fault_of_the_provider_is_not_a_refusal(status: int) -> None:
    error = failure(status, b"")
    assert type(error) is errors.OverloadedError
    assert not error.is_refusal


GEMINI = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.Help"},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "9s"},
        ],
    }
}


@pytest.mark.field("models-F14")
@pytest.mark.parametrize(
    ("body", "wait_s"),
    [
        (GEMINI, 9.0),
        ([GEMINI], 9.0),
        (said("Please retry in 38.5s."), 38.5),
        (said("Rate limit reached for m. Please try again in 4.2s."), 4.2),
        (said("tokens per day (TPD): Limit 5. Please try again in 2m12.5s"), 132.5),
        (said("Please retry after 32 seconds."), 32.0),
        (said("Please try again in 250ms"), 0.25),
        ({"error": {"message": "slow", "retry_after": 3}}, 3.0),
        (b"slow down: retry in 2 s", 2.0),
        (said("Rate limit exceeded. Retry-After: 7."), 7.0),
        (said("Slow down: the next request is allowed in 3s"), 3.0),
        (said("Too many requests; back off for 15 seconds"), 15.0),
        (said("Too many requests, wait before you retry after 2026-01-02"), None),
        (said("Rate limit reached, 10 requests per 60s"), None),
    ],
)
def test_how_long_to_wait_is_read_from_the_body_where_no_header_says_it(
    body: Any, wait_s: float | None
) -> None:
    error = failure(429, body)
    assert (type(error), error.retry_after_s) == (errors.RateLimitedError, wait_s)
    assert failure(429, body, **{"retry-after": "7"}).retry_after_s == 7


@pytest.mark.field("models-F14")
def test_a_wait_in_the_body_may_be_too_long_too() -> None:
    error = failure(429, said("on tokens per day (TPD). Please try again in 17m12.5s"))
    assert type(error) is errors.RetryAfterTooLongError
    assert "it asks to wait 1032.5 s" in str(error)


@pytest.mark.field("models-F19")
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "input length and `max_tokens` exceed context limit: 199000 + 8000 > 200000"),
        (400, "The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
        (400, "prompt length 5000 exceeds the max_model_len 4096"),
        (
            400,
            "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
        ),
        (422, "`inputs` must have less than 1024 tokens. Given: 3000"),
        (400, "Total tokens of image and text exceed max message tokens"),
        (400, "Prompt exceeds max length"),
        (400, "Your request exceeded model token limit: 8192"),
        (400, "Input token length too long"),
    ],
)
def test_more_sentences_say_that_a_conversation_is_too_long(status: int, message: str) -> None:
    assert type(failure(status, said(message))) is errors.ContextTooLongError


@pytest.mark.field("models-F19")
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (413, said("x", code="tokens_limit_reached")),
        (400, said("x", code="1261")),
    ],
)
def test_more_codes_say_so(status: int, body: Any) -> None:
    assert type(failure(status, body)) is errors.ContextTooLongError


@pytest.mark.field("models-F19")
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, said("flagged as potentially violating our usage policy", code="invalid_prompt")),
        (400, said("Content Exists Risk")),
        (400, said("系统检测到输入或生成内容可能包含不安全或敏感内容", code="1301")),
        (451, b"Unavailable"),
        (422, said("The prompt was blocked for safety reasons")),
        (400, said("The request was rejected because it was considered high risk")),
        (400, {"code": "DataInspectionFailed", "message": "Input data may contain ..."}),
    ],
)
def test_more_words_say_that_content_was_filtered(status: int, body: Any) -> None:
    assert type(failure(status, body)) is errors.ContentFilteredError


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 50000. This model supports at most 16384 completion tokens",
        "Invalid JSON: unexpected token at position 5",
        "Unsupported parameter: 'max_tokens' is not supported with this model",
        "The model `m` does not exist",
        "Invalid value for 'tool_choice'",
    ],
)
def test_a_bad_request_is_nothing_else(message: str) -> None:
    assert type(failure(400, said(message))) is errors.BadRequestError


UNDER_200: list[tuple[Any, type[ModelError], str]] = [
    (
        {
            "base_resp": {"status_code": 1002, "status_msg": "rate limit exceeded(RPM)"},
            "choices": None,
        },
        errors.RateLimitedError,
        "rate limit exceeded(RPM)",
    ),
    (
        {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        errors.AuthenticationError,
        "insufficient balance",
    ),
    (
        {"base_resp": {"status_code": 1027, "status_msg": "output new_sensitive"}},
        errors.ContentFilteredError,
        "new_sensitive",
    ),
    (
        {"choices": [], "promptFeedback": {"blockReason": "SAFETY"}},
        errors.ContentFilteredError,
        "blockReason",
    ),
    ({"status": 503, "title": "Unavailable"}, errors.OverloadedError, "Unavailable"),
    ({"code": "500", "msg": "oops"}, errors.OverloadedError, "oops"),
    ({"object": "error", "message": "cuda oom"}, errors.OverloadedError, "cuda oom"),
    ({"detail": "Invalid API key"}, errors.AuthenticationError, "Invalid API key"),
    ({"detail": "Not Found"}, errors.BadRequestError, "Not Found"),
    (
        {"success": False, "errors": [{"code": 7003, "message": "no route for that"}]},
        errors.OverloadedError,
        "no route for that",
    ),
    (
        {"error": "Unexpected endpoint or method. (POST /chat/completions)"},
        errors.BadRequestError,
        "Unexpected endpoint",
    ),
    (
        {"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": "slow"}}},
        errors.RateLimitedError,
        "Provider returned error: slow",
    ),
]


@pytest.mark.field("models-F15")
@pytest.mark.parametrize(("payload", "kind", "said_so"), UNDER_200)
def test_an_error_under_200_says_what_it_says_and_is_no_money(
    payload: Any, kind: type[ModelError], said_so: str
) -> None:
    complaint = complaint_in(payload)
    assert complaint is not None
    head = ENDPOINT.head_of(200, CIMultiDict())
    error = failure_of_complaint(ENDPOINT, head, complaint)
    assert type(error) is kind
    assert str(error).startswith("http://host/v1 answered 200 with an error: ")
    assert said_so in str(error)
    assert not error.may_be_billed
    assert error.usage is None


@pytest.mark.parametrize(
    "payload",
    [
        {"choices": [{"message": {"content": "42"}}], "message": "fine"},
        {"choices": [], "usage": {"prompt_tokens": 1}, "message": "the last piece of a stream"},
        {"choices": [{"delta": {}}], "error": None, "base_resp": {"status_code": 0}},
        {"object": "chat.completion.chunk", "choices": []},
        {},
        [],
        "error",
    ],
)
def test_what_holds_no_error_is_no_error(payload: Any) -> None:
    assert complaint_in(payload) is None


@pytest.mark.field("models-F23")
def test_who_leaves_out_the_version_is_told_so() -> None:
    bare = ENDPOINT._replace(name="http://host")
    error = failure_of_status(bare, bare.head_of(404, CIMultiDict()), b"404 page not found")
    assert str(error).endswith("most endpoints want a base_url that ends with /v1")
    assert "base_url" not in str(failure(404, b"404 page not found"))


@pytest.mark.field("models-F23")
def test_a_provider_may_say_that_nobody_should_ask_again() -> None:
    assert failure(500, b"").retryable
    assert not failure(500, b"", **{"x-should-retry": "false"}).retryable

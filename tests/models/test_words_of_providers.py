"""The words of one provider after another, each read as that provider means it.

The sentences are those of their documentation and of threads in which people quote them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from penstock._base.secrets import Redactor
from penstock.models import model_errors as errors
from penstock.models.chat_model import Usage
from penstock.models.endings import Ending, ending_of
from penstock.models.model_errors import ModelError
from penstock.models.openai import retry_after
from penstock.models.openai.complaints import complaint_in
from penstock.models.openai.endpoint import Endpoint
from penstock.models.openai.error_response import failure_of_complaint, failure_of_status
from penstock.models.openai.message import read_message
from penstock.models.openai.retry_after import rate_limits_of, retry_after_s
from penstock.models.openai.usage import usage_of
from tests.models.loopback import REQUEST

ENDPOINT = Endpoint("http://host/v1", "the environment variable KEY", True, 300.0, Redactor(None))
NOW_S = 1_800_000_000.0
IN_A_MINUTE = datetime.fromtimestamp(NOW_S + 60, UTC).isoformat()
IN_A_MINUTE_MS = f"{(NOW_S + 60) * 1000:.0f}"


@pytest.fixture(autouse=True)
def _at_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_after, "time", lambda: NOW_S)


def failure(status: int, body: Any) -> ModelError:
    if status == 200:
        complaint = complaint_in(body)
        assert complaint is not None
        return failure_of_complaint(ENDPOINT, ENDPOINT.head_of(200, CIMultiDict()), complaint)

    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return failure_of_status(ENDPOINT, ENDPOINT.head_of(status, CIMultiDict()), data)


def said(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message} | fields}


def quoted(message: str, error: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An error that quotes another as text, as gateways do."""
    return said(message.format(json.dumps(error)), **fields)


ENDINGS: dict[Ending, str] = {
    Ending.COMPLETE: (
        "COMPLETE STOP_SEQUENCE STOP_CRITERIA_MET stop_criteria_met FINISHED normal eos "
        "end_of_sequence stop_token_id Stopped FinishReason.STOP endTurn"
    ),
    Ending.CUT: (
        "MAX_TOKENS ERROR_LIMIT time_limit token_limit TokenLimitReached max_completion_tokens "
        "modelContextWindowExceeded contextLengthReached max_context_length LENGTH incomplete"
    ),
    Ending.TOOL_CALLS: "TOOL_CALL toolCalls toolUse tool-calls",
    Ending.FILTERED: (
        "ERROR_TOXIC ContentFiltered content-filter CONTENT_FILTERED guardrailIntervened "
        "guardrails content_policy_violation IMAGE_RECITATION MODEL_ARMOR FinishReason.SAFETY "
        "function_call_filter prompt_blocked"
    ),
    Ending.FAILED: (
        "ERROR TIMEOUT USER_CANCEL NO_IMAGE IMAGE_OTHER not_finished load unload error_timeout "
        "rate_limit UNEXPECTED_TOOL_CALL MALFORMED_RESPONSE cancelled modelUnloaded"
    ),
    Ending.UNKNOWN: "FINISH_REASON_UNSPECIFIED OTHER compaction repetition",
}


@pytest.mark.field("models-F3")
@pytest.mark.parametrize("ending", list(ENDINGS))
def test_why_an_answer_ended_is_known_in_the_words_of_many(ending: Ending) -> None:
    read = {word: ending_of(word) for word in ENDINGS[ending].split()}
    assert read == dict.fromkeys(read, ending)


STOPS = errors.AuthenticationError
ERRORS: list[tuple[str, int, Any, type[ModelError]]] = [
    ("OpenAI", 429, said("x", code="organization_spend_limit_exceeded"), STOPS),
    ("OpenAI", 429, said("x", code="project_spend_limit_exceeded"), STOPS),
    ("OpenAI", 429, said("x", code="organization_usage_limit_exceeded"), STOPS),
    ("OpenAI", 429, said("x", code="credit_balance_exhausted"), STOPS),
    (
        "Anthropic",
        429,
        said(
            "This request would exceed your limit",
            type="rate_limit_error",
            details={"error_code": "enforced_spend_limit_reached"},
        ),
        STOPS,
    ),
    (
        "Anthropic",
        400,
        said("You have reached your specified workspace API usage limits. You will regain access"),
        STOPS,
    ),
    ("Anthropic", 200, said("There's an issue with your billing", type="billing_error"), STOPS),
    ("Groq", 400, said("API access has been blocked", code="blocked_api_access"), STOPS),
    (
        "Groq",
        400,
        said("Organization has been restricted.", code="organization_restricted"),
        STOPS,
    ),
    (
        "xAI",
        429,
        {
            "code": "Some resource has been exhausted",
            "error": "Your team has either used all available credits or reached its monthly limit",
        },
        STOPS,
    ),
    ("SiliconFlow", 403, {"code": 30001, "message": "your account balance is insufficient"}, STOPS),
    (
        "Volcengine",
        403,
        said("The request failed because your account has an overdue balance."),
        STOPS,
    ),
    ("Volcengine", 403, said("x", code="AccountOverdueError"), STOPS),
    ("Mistral", 403, {"detail": "Inactive subscription or usage limit reached"}, STOPS),
    ("DashScope", 403, said("exhausted", code="AllocationQuota.FreeTierOnly"), STOPS),
    ("Novita", 403, {"reason": "NOT_ENOUGH_BALANCE", "message": "no"}, STOPS),
    ("RFC 9457", 403, {"title": "Spend Limit Exceeded", "status": 403, "detail": "no"}, STOPS),
    ("Hugging Face", 403, {"error": "You have depleted your monthly included credits."}, STOPS),
    ("Together", 403, said("Credit limit exceeded, see billing", type="credit_limit"), STOPS),
    ("Gemini", 429, [said("Your prepayment credits are depleted.", code=429)], STOPS),
    ("LiteLLM", 400, said("ExceededBudget: User=x over budget. Spend=3, Budget=2"), STOPS),
    ("FastAPI", 200, {"detail": {"error": {"message": "x", "code": "insufficient_quota"}}}, STOPS),
    ("Gemini", 400, said("Multiple authentication credentials received."), STOPS),
    ("Gemini", 403, said("blocked.", details=[{"reason": "API_KEY_SERVICE_BLOCKED"}]), STOPS),
    ("Fireworks", 403, said("unauthorized", code="invalid_request_error"), STOPS),
    ("Baidu", 200, {"error_code": 110, "error_msg": "Access token invalid"}, STOPS),
    (
        "LiteLLM",
        401,
        said("key not allowed to access model. This key can only access models=['x']"),
        errors.AccessDeniedError,
    ),
    ("OpenAI", 403, said("You are not allowed to sample from it"), errors.AccessDeniedError),
    (
        "Volcengine",
        400,
        said("no", code="InputTextSensitiveContentDetected"),
        errors.ContentFilteredError,
    ),
    ("Volcengine", 400, said("no", code="InputTextRiskDetection"), errors.ContentFilteredError),
    ("Cohere", 498, {"message": "blocked input: please adjust"}, errors.ContentFilteredError),
    ("StepFun", 400, said("no", type="censorship_blocked"), errors.ContentFilteredError),
    ("OpenAI", 400, said("no", code="cyber_policy_violation"), errors.ContentFilteredError),
    (
        "LiteLLM",
        400,
        said("litellm.ContentPolicyViolationError: AzureException - The response was stopped"),
        errors.ContentFilteredError,
    ),
    (
        "LiteLLM",
        400,
        quoted("OpenAIException - {}", said("no", code="content_policy_violation")),
        errors.ContentFilteredError,
    ),
    (
        "SambaNova",
        400,
        said("so long, but the maximum supported sequence length is just 4096!"),
        errors.ContextTooLongError,
    ),
    (
        "SiliconFlow",
        400,
        {"message": "length of prompt_tokens (163280) must be less than max_seq_len (32768)."},
        errors.ContextTooLongError,
    ),
    (
        "Copilot",
        400,
        said("prompt token count of 64000 exceeds the limit of 8000"),
        errors.ContextTooLongError,
    ),
    ("Cerebras", 413, b"", errors.ContextTooLongError),
    ("nginx", 413, b"<h1>413 Request Entity Too Large</h1>", errors.ContextTooLongError),
    (
        "Writer",
        400,
        {"message": "Total number of tokens exceeded the service limit of 2048 tokens."},
        errors.ContextTooLongError,
    ),
    (
        "watsonx",
        400,
        {"errors": [{"message": "the number of input tokens 5 cannot exceed the total limit 4"}]},
        errors.ContextTooLongError,
    ),
    (
        "Vertex",
        400,
        said("The input token count is 1300000 but model only supports up to 1048576."),
        errors.ContextTooLongError,
    ),
    (
        "OpenRouter",
        400,
        said(
            "Provider returned error",
            metadata={"raw": json.dumps(said("x", code="context_length_exceeded"))},
        ),
        errors.ContextTooLongError,
    ),
    (
        "LiteLLM",
        400,
        said("litellm.ContextWindowExceededError: litellm.BadRequestError: x"),
        errors.ContextTooLongError,
    ),
    ("llama.cpp", 500, said("Input is too large to process."), errors.ContextTooLongError),
    (
        "Groq",
        413,
        said("Request too large for model `m` on tokens per minute (TPM)"),
        errors.BadRequestError,
    ),
    (
        "Bedrock",
        200,
        {"message": "Too many tokens, please wait before trying again."},
        errors.RateLimitedError,
    ),
    (
        "Bedrock",
        200,
        said("Too many tokens.", type="ThrottlingException"),
        errors.RateLimitedError,
    ),
    ("Baidu", 200, {"error_msg": "Open api qps request limit reached"}, errors.RateLimitedError),
    ("text in text", 200, {"error": json.dumps({"code": 429})}, errors.RateLimitedError),
    ("Gemini", 200, [said("x", code=429)], errors.RateLimitedError),
    ("a status", 200, {"status_code": 429, "message": "no"}, errors.RateLimitedError),
    ("Groq", 498, said("Flex tier", code="capacity_exceeded"), errors.OverloadedError),
    ("Cloudflare", 530, b"error code: 1033", errors.OverloadedError),
    (
        "Groq",
        400,
        said("no", code="tool_use_failed", failed_generation="<f"),
        errors.MalformedResponseError,
    ),
    ("Groq", 400, said("no", code="json_validate_failed"), errors.MalformedResponseError),
]


@pytest.mark.field("models-F8", "models-F13", "models-F15", "models-F19")
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [each[1:] for each in ERRORS],
    ids=[f"{each[0]} {each[1]}" for each in ERRORS],
)
def test_an_error_is_of_one_class_in_whatever_words_and_wherever_they_stand(
    status: int, body: Any, kind: type[ModelError]
) -> None:
    error = failure(status, body)
    assert type(error) is kind, error
    assert error.is_refusal is (kind is errors.RateLimitedError or "capacity" in str(body))


@pytest.mark.parametrize("prompt", ["insufficient balance", "Invalid API key", "rate limit"])
def test_what_an_error_quotes_of_the_prompt_says_nothing(prompt: str) -> None:
    asked = {"messages": [{"role": "user", "content": f"What does {prompt!r} mean?"}]}
    field = {"loc": ["body", "top_k"], "msg": "Extra inputs", "type": "extra", "input": asked}
    error = failure(422, {"detail": [field]})
    assert type(error) is errors.BadRequestError
    assert "body.top_k: Extra inputs" in str(error)


OPENROUTER = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0"}


@pytest.mark.field("models-F14")
@pytest.mark.parametrize(
    ("fields", "wait_s"),
    [
        ({"retry_after": "3"}, 3),
        ({"retry_after": "1m5s"}, 65),
        ({"retryAfter": 3}, 3),
        ({"retry_after_ms": 1500}, 1.5),
        ({"metadata": {"retry_after_seconds": 12}}, 12),
        ({"metadata": {"headers": OPENROUTER | {"X-RateLimit-Reset": IN_A_MINUTE_MS}}}, 60),
        ({"metadata": {"headers": {"Retry-After": "9"}}}, 9),
        ({"message": "Quota will be replenished in 00:02:11."}, 131),
        ({"message": "slow", "retry_after": True}, None),
        ({"message": "slow", "retry_after": -3}, None),
    ],
)
def test_a_wait_is_read_from_whatever_field_it_stands_in(
    fields: dict[str, Any], wait_s: float | None
) -> None:
    error = failure(429, {"error": {"message": "Rate limit reached"} | fields})
    assert error.retry_after_s == wait_s


def test_credits_that_would_lift_a_rate_do_not_make_it_an_empty_account() -> None:
    lifted = "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 a day"
    until = {"headers": OPENROUTER | {"X-RateLimit-Reset": IN_A_MINUTE_MS}}
    assert type(failure(429, said(lifted, metadata=until))) is errors.RateLimitedError


def test_a_model_that_loads_says_for_how_long() -> None:
    assert failure(503, {"error": "Loading", "estimated_time": 20.0}).retry_after_s == 20


@pytest.mark.field("models-F14")
@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "30s"}, 30),
        ({"Retry-After": "1m30s"}, 90),
        ({"Retry-After": "120 seconds"}, 120),
        ({"Retry-After": f"{NOW_S + 60:.0f}"}, 60),
        ({"Retry-After": IN_A_MINUTE_MS}, 60),
        ({"Retry-After": IN_A_MINUTE}, 60),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
    ],
)
def test_retry_after_is_read_with_units_and_as_a_moment(
    headers: dict[str, str], wait_s: float
) -> None:
    assert retry_after_s(CIMultiDict(headers)) == wait_s


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": IN_A_MINUTE,
                "anthropic-ratelimit-tokens-remaining": "9",
            },
            (0, 60, 9),
        ),
        (
            {
                "x-ratelimit-remaining-tokens-minute": "9",
                "x-ratelimit-remaining-requests-day": "0",
                "x-ratelimit-reset-requests-day": "33011.38",
            },
            (0, 33011.38, 9),
        ),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "30"}, (0, 30, None)),
        ({"x-ratelimit-remaining": "5", "x-ratelimit-remaining-requests": "1"}, (1, None, None)),
    ],
)
def test_what_is_left_is_read_from_the_headers_of_many(
    headers: dict[str, str], left: tuple[int | None, float | None, int | None]
) -> None:
    read = rate_limits_of(CIMultiDict(headers))
    assert read is not None
    remaining, reset_s, tokens = left
    assert (read.remaining_requests, read.remaining_tokens) == (remaining, tokens)
    assert read.reset_requests_s == reset_s


COUNTED = {"prompt_tokens": 12, "completion_tokens": 3}
PLAIN = Usage(input_tokens=12, output_tokens=3)
USED: list[tuple[str, dict[str, Any], Usage]] = [
    (
        "Gemini's own names",
        {
            "promptTokenCount": 12,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 20,
            "cachedContentTokenCount": 5,
            "totalTokenCount": 35,
        },
        Usage(input_tokens=12, output_tokens=23, cached_input_tokens=5, reasoning_tokens=20),
    ),
    ("Bedrock's", {"inputTokens": 12, "outputTokens": 3, "totalTokens": 15}, PLAIN),
    ("Ollama's", {"prompt_eval_count": 12, "eval_count": 3}, PLAIN),
    ("zeros of a gateway", {"prompt_tokens": 0, "input_tokens": 12, "output_tokens": 3}, PLAIN),
    ("a total that is less", COUNTED | {"total_tokens": 9}, PLAIN),
    ("an answer and a total", {"completion_tokens": 3, "total_tokens": 15}, PLAIN),
    (
        "a total alone",
        {"total_tokens": 40},
        Usage(input_tokens=10, output_tokens=30, is_estimated=True),
    ),
    (
        "tokens of tools, beside",
        COUNTED | {"total_tokens": 115},
        Usage(input_tokens=12, output_tokens=103),
    ),
    (
        "xAI's ticks",
        COUNTED | {"cost_in_usd_ticks": 37_756_000},
        PLAIN.model_copy(update={"cost_usd": 0.0037756}),
    ),
    (
        "DeepInfra",
        COUNTED | {"estimated_cost": 0.0002},
        PLAIN.model_copy(update={"cost_usd": 0.0002}),
    ),
    (
        "OpenRouter with a key of one's own",
        COUNTED | {"cost": 0.5, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.25}},
        PLAIN.model_copy(update={"cost_usd": 0.75}),
    ),
    (
        "OpenRouter with its own",
        COUNTED | {"cost": 0.5, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.5}},
        PLAIN.model_copy(update={"cost_usd": 0.5}),
    ),
]


@pytest.mark.field("models-F5", "models-E10")
@pytest.mark.parametrize(
    ("counted", "usage"), [each[1:] for each in USED], ids=[e[0] for e in USED]
)
def test_what_was_used_and_charged_is_read_in_the_names_of_many(
    counted: dict[str, Any], usage: Usage
) -> None:
    read = usage_of(counted, REQUEST, ("42",))
    assert read == usage.model_copy(update={"cost_usd": read.cost_usd})
    assert read.cost_usd == (None if usage.cost_usd is None else pytest.approx(usage.cost_usd))


MESSAGES: list[tuple[str, dict[str, Any]]] = [
    ("Gemma", {"content": "<|channel>thought\n17+25<channel|>42"}),
    ("tags in capitals", {"content": "<THINK>17+25</THINK>42"}),
    ("a tag with a field", {"content": '<think time="3s">17+25</think>42'}),
    ("one part", {"reasoning_text": "17+25", "content": {"type": "text", "text": "42"}}),
    ("Gemini's parts", {"content": [{"text": "17+25", "thought": True}, {"text": "42"}]}),
    ("sound", {"content": None, "audio": {"transcript": "42"}, "reasoning": "17+25"}),
]


@pytest.mark.field("models-F11", "models-E6")
@pytest.mark.parametrize("message", [each[1] for each in MESSAGES], ids=[e[0] for e in MESSAGES])
def test_answer_and_reasoning_are_told_apart_in_the_forms_of_many(message: dict[str, Any]) -> None:
    read = read_message(message)
    assert (read.text, read.reasoning.strip()) == ("42", "17+25")


def test_gpt_oss_that_was_cut_while_it_reasoned_gave_no_answer() -> None:
    read = read_message({"content": "<|channel|>analysis<|message|>17+25"})
    assert (read.text, read.reasoning) == ("", "17+25")


@pytest.mark.field("models-F12")
@pytest.mark.parametrize(
    "call",
    [
        {"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}},
        {"id": "c", "name": "f", "arguments": "x"},
    ],
)
def test_calls_of_other_forms_are_read(call: dict[str, Any]) -> None:
    (read,) = read_message({"content": None, "tool_calls": [call]}).tool_calls
    assert (read.id, read.name, read.arguments) == ("c", "f", "x")

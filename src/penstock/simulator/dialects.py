"""How the endpoints that people use speak: the same things, each in its own words.

From their documentation and from what their servers write; see
`penstock.models.openai.error_words`, and `penstock.models.endings` for how they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock._base.frozen import FrozenDict

__all__ = ["DIALECTS", "OPENAI", "Dialect"]


class Dialect(NamedTuple):
    """One way to speak the chat completions format.

    Args:
        complete: Why an answer ended that is whole.
        cut: Why one ended that was cut at ``max_tokens``.
        filtered: Why one ended that was filtered, where the endpoint filters.
        broken: Why one ended at which the endpoint broke off, where it says so.
        tools: Why one ended that calls tools.
        error: A body of an error that comes under 200.
        reasoning: The field of the message that holds reasoning; ``parts`` are parts of the
            content, ``<think>`` are marks in it.
        is_reasoning_apart: Whether its tokens are counted beside those of the answer.
        wants_reasoning_back: Whether calls of tools are refused that come back without the
            reasoning that led to them.
        usage_at: Where a stream says its usage: ``end``, in the ``choice``, or in ``x_groq``.
    """

    complete: str = "stop"
    cut: str = "length"
    filtered: str | None = "content_filter"
    broken: str | None = None
    tools: str = "tool_calls"
    error: Mapping[str, Any] = FrozenDict(
        {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
    )
    reasoning: str = "reasoning_content"
    is_reasoning_apart: bool = False
    usage_at: str = "end"
    wants_reasoning_back: bool = False


OPENAI = Dialect()
DIALECTS = {
    "openai": OPENAI,
    "azure": Dialect(error={"error": {"message": "The API key is wrong", "code": "401"}}),
    "anthropic": Dialect(
        "end_turn",
        "max_tokens",
        None,
        tools="tool_use",
        wants_reasoning_back=True,
        error={"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    ),
    "gemini": Dialect(
        "STOP",
        "MAX_TOKENS",
        "SAFETY",
        "MALFORMED_FUNCTION_CALL",
        "STOP",
        {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}},
        is_reasoning_apart=True,
    ),
    "xai": Dialect(
        error={"code": "Some resource has been exhausted", "error": "out of credits"},
        is_reasoning_apart=True,
    ),
    "mistral": Dialect(
        cut="model_length",
        filtered=None,
        broken="error",
        error={"object": "error", "message": "Service unavailable", "code": 3505},
        reasoning="parts",
    ),
    "deepseek": Dialect(broken="insufficient_system_resource", wants_reasoning_back=True),
    "groq": Dialect(filtered=None, reasoning="reasoning", usage_at="x_groq"),
    "moonshot": Dialect(usage_at="choice", wants_reasoning_back=True),
    "minimax": Dialect(
        filtered="sensitive",
        error={"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": None},
    ),
    "openrouter": Dialect(
        broken="error",
        reasoning="reasoning",
        error={"error": {"message": "Provider returned error", "code": 502}},
    ),
    "vllm": Dialect(
        filtered=None,
        broken="abort",
        error={"object": "error", "message": "the engine died", "code": 500},
    ),
    "sglang": Dialect(filtered=None, broken="abort", error={"detail": "Internal Server Error"}),
    "tgi": Dialect(
        "eos_token",
        filtered=None,
        error={"error": "Model is overloaded", "error_type": "overloaded"},
    ),
    "llama.cpp": Dialect(
        filtered=None,
        reasoning="<think>",
        error={"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
    ),
    "lm studio": Dialect(
        "eosFound",
        "maxPredictedTokensReached",
        None,
        "failed",
        reasoning="<think>",
        error={"error": "The model has crashed"},
    ),
    "ollama": Dialect(
        filtered=None, reasoning="reasoning", error={"error": {"message": "model runner stopped"}}
    ),
    "litellm": Dialect(error={"error": {"message": "no healthy deployments", "code": "429"}}),
}

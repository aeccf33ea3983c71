"""How the endpoints that people use speak: the same things, each in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

__all__ = ["DIALECTS", "Dialect", "Said"]


class Dialect(NamedTuple):
    """One way to speak the chat completions format.

    Args:
        complete: Why an answer ended that is whole.
        cut: Why one ended that was cut at ``max_tokens``.
        filtered: Why one ended that was filtered, where the endpoint filters.
        broken: Why one ended at which the endpoint broke off, where it says so.
        tools: Why one ended that calls tools.
        error: A body of an error, under whatever status.
        reasoning: The field of the message that holds reasoning; ``parts`` are parts of the
            content, ``<think>`` are marks in it.
        is_reasoning_apart: Whether its tokens are counted beside those of the answer.
        usage_at: Where a stream says its usage: ``end``, in the ``choice``, or in ``x_groq``.
    """

    complete: str = "stop"
    cut: str = "length"
    filtered: str | None = "content_filter"
    broken: str | None = None
    tools: str = "tool_calls"
    error: Mapping[str, Any] = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
    reasoning: str = "reasoning_content"
    is_reasoning_apart: bool = False
    usage_at: str = "end"


DIALECTS = {
    "openai": Dialect(),
    "azure": Dialect(error={"error": {"message": "The API key is wrong", "code": "401"}}),
    "anthropic": Dialect(
        "end_turn",
        "max_tokens",
        None,
        tools="tool_use",
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
    "deepseek": Dialect(broken="insufficient_system_resource"),
    "groq": Dialect(filtered=None, reasoning="reasoning", usage_at="x_groq"),
    "moonshot": Dialect(usage_at="choice"),
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


class Said(NamedTuple):
    """An answer, before it is said in a dialect.

    Args:
        dialect: In which it is said.
        ending: Why it ended.
        text: The answer.
        reasoning: What the model wrote for itself.
        refusal: What it wrote instead of an answer.
        calls: Whether it calls a tool.
        tokens: Tokens of answer and reasoning: what is billed.
    """

    dialect: Dialect
    ending: str
    text: str = "42"
    reasoning: str = ""
    refusal: str | None = None
    calls: bool = False
    tokens: int = 3

    def body(self) -> bytes:
        """Say it as one body."""
        message = {"role": "assistant", **self._message()}
        choice = {"index": 0, "message": message, "finish_reason": self.ending}
        return orjson.dumps({"id": "1", "model": "m", "choices": [choice], "usage": self._usage()})

    def stream(self, *, breaks_off: bool = False) -> bytes:
        """Say it as a stream of events.

        Args:
            breaks_off: Whether an error ends it in place of its last event.
        """
        pieces: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, self._message()]
        chunks: list[Mapping[str, Any]] = [
            {"choices": [{"index": 0, "delta": piece, "finish_reason": None}]} for piece in pieces
        ]
        if breaks_off:
            chunks.append(self.dialect.error)
        else:
            chunks += self._end()

        events = [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks]
        return b"".join([*events, b"data: [DONE]\n\n"])

    def _end(self) -> list[Mapping[str, Any]]:
        usage = {"usage": self._usage()}
        choice: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": self.ending}
        if self.dialect.usage_at == "choice":
            return [{"choices": [choice | usage]}]

        if self.dialect.usage_at == "x_groq":
            return [{"choices": [choice], "x_groq": {"id": "req"} | usage}]

        return [{"choices": [choice]}, {"choices": []} | usage]

    def _message(self) -> dict[str, Any]:
        if self.refusal is not None:
            return {"content": None, "refusal": self.refusal}

        if self.calls:
            function = {"name": "f", "arguments": '{"a": 1}'}
            call = {"index": 0, "id": "c1", "type": "function", "function": function}
            return {"content": None, "tool_calls": [call]}

        if not self.reasoning:
            return {"content": self.text}

        if self.dialect.reasoning == "<think>":
            return {"content": f"<think>{self.reasoning}</think>\n\n{self.text}"}

        if self.dialect.reasoning == "parts":
            thought = {"type": "thinking", "thinking": [{"type": "text", "text": self.reasoning}]}
            return {"content": [thought, {"type": "text", "text": self.text}]}

        return {self.dialect.reasoning: self.reasoning, "content": self.text}

    def _usage(self) -> dict[str, Any]:
        thought = 7 if self.reasoning else 0
        answered = self.tokens - (thought if self.dialect.is_reasoning_apart else 0)
        return {
            "prompt_tokens": 12,
            "completion_tokens": answered,
            "total_tokens": 12 + self.tokens,
            "completion_tokens_details": {"reasoning_tokens": thought},
        }

"""Why an answer ended: the words of the providers people use, in one table.

OpenAI, Azure, Mistral, DeepSeek, Groq, Moonshot, MiniMax, OpenRouter, vLLM, SGLang, llama.cpp and
LiteLLM say ``finish_reason`` in snake case, Gemini in capitals (also behind a gateway, and as
``content_filter: SAFETY``), TGI and Ollama add words of their own, LM Studio writes camel case,
Anthropic and Bedrock say ``stop_reason``, Cohere and watsonx have words of their own. Of a word
that is not in the table the parts are looked at (``stop_criteria_met``, ``error_timeout``); one
that says nothing even so is told as unknown, and never taken for success or failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any

from penstock._base.secrets import Redactor
from penstock._base.text import snake_case
from penstock.models.chat_model import Completion, CompletionRequest
from penstock.models.model_errors import (
    ContentFilteredError,
    MalformedResponseError,
    ModelError,
    OverloadedError,
    RefusalError,
    TruncatedError,
)

__all__ = ["Ending", "ending_of", "fault_of"]


class Ending(StrEnum):
    """Why an answer ended, whoever says it."""

    COMPLETE = "complete"
    CUT = "cut"
    """At ``max_tokens``, or at the end of the model's context."""
    TOOL_CALLS = "tool_calls"
    PAUSED = "paused"
    """Its provider goes on with it when it is sent back: it has called its own tools for long."""
    FILTERED = "filtered"
    REFUSED = "refused"
    FAILED = "failed"
    """The provider broke off."""
    UNKNOWN = "unknown"
    """The provider says nothing, or a word that is not in the table."""

    @property
    def is_known(self) -> bool:
        """Whether it is known that the answer is as the model meant it, or cut."""
        return self in _KNOWN


_KNOWN = frozenset({Ending.COMPLETE, Ending.CUT, Ending.TOOL_CALLS, Ending.PAUSED})

_WORDS: Mapping[Ending, str] = {
    Ending.COMPLETE: (
        "end_turn eos eos_found eos_token eos_token_id end_of_text end_of_sequence endoftext "
        "complete completed done finished finish success normal word"
    ),
    Ending.CUT: (
        "limit token_limit token_limit_reached time_limit error_limit incomplete "
        "model_context_window_exceeded context_window_exceeded"
    ),
    Ending.TOOL_CALLS: "tool_calls tool_call tool_use function_call function_calls",
    Ending.PAUSED: "pause_turn",
    Ending.FILTERED: (
        "language spii model_armor sensitive flagged moderation error_toxic data_inspection_failed"
    ),
    Ending.REFUSED: "refusal refused",
    Ending.FAILED: (
        "user_cancel user_stopped load unload model_unloaded not_finished no_image image_other "
        "insufficient_system_resource unexpected_tool_call too_many_tool_calls "
        "missing_thought_signature preempted overloaded rate_limit rate_limited"
    ),
}
_PARTS: Mapping[Ending, str] = {
    Ending.FAILED: (
        "error errored abort aborted cancelled canceled failed failure timeout timed malformed "
        "crashed"
    ),
    Ending.FILTERED: (
        "filter filtered safety blocked blocklist prohibited recitation guardrail guardrails policy"
    ),
    Ending.CUT: "length max",
    Ending.COMPLETE: "stop stopped",
}
"""Parts of words that say it in whatever company, the graver ones first."""

_ENDINGS = {word: ending for ending, words in _WORDS.items() for word in words.split()}
_OF_PARTS = {part: ending for ending, parts in _PARTS.items() for part in parts.split()}
_NO_WORDS = frozenset({"", "null", "none"})
"""What DashScope and others write into every piece of a stream but the last."""

_PRINTED = Redactor(None)


@lru_cache(maxsize=1024)
def ending_of(finish_reason: str | None) -> Ending:
    """Return what a provider's word means, however it is written.

    Args:
        finish_reason: The word; ``MAX_TOKENS``, ``maxTokens`` and ``FINISH_REASON_MAX_TOKENS``
            are one, and of ``content_filter: SAFETY`` the part before the colon counts.
    """
    if finish_reason is None:
        return Ending.UNKNOWN

    word = snake_case(finish_reason.partition(":")[0].strip())
    for prefix in _PREFIXES:
        word = word.removeprefix(prefix)

    if word in _ENDINGS:
        return _ENDINGS[word]

    parts = word.split("_")
    return next((_OF_PARTS[part] for part in _OF_PARTS if part in parts), Ending.UNKNOWN)


_PREFIXES = ("finish_reason_", "finishreason_", "stop_reason_", "stopreason_")


def said_word(word: Any) -> str | None:
    """Read the word of a response; None for what providers write where there is none."""
    return word if isinstance(word, str) and word.strip().lower() not in _NO_WORDS else None


def fault_of(completion: Completion, request: CompletionRequest, who: str) -> ModelError | None:
    """Return why a completion is not an answer; None where it is one.

    Args:
        completion: What came.
        request: What was asked.
        who: Who answered, for the sentence.
    """
    ending = ending_of(completion.finish_reason)
    if ending is Ending.FILTERED:
        said = f"{who} filtered the answer {_reason_of(completion)}"
        return ContentFilteredError(said, completion=completion)

    if completion.refusal or ending is Ending.REFUSED:
        said = _PRINTED.excerpt(completion.refusal or completion.text)
        return RefusalError(f"the model at {who} declined: {said}", completion=completion)

    if ending is Ending.FAILED:
        said = f"{who} broke off its answer {_reason_of(completion)}"
        return OverloadedError(said, completion=completion)

    has_answer = bool(completion.text or completion.tool_calls) or ending is Ending.PAUSED
    return None if has_answer else _fault_of_silence(completion, request, who)


def _fault_of_silence(
    completion: Completion, request: CompletionRequest, who: str
) -> ModelError | None:
    if completion.reasoning or completion.usage.reasoning_tokens:
        return _only_reasoned(completion, request, who)

    # An answer may be cut, or stopped, before its first word; otherwise an empty one is a fault.
    ending = ending_of(completion.finish_reason)
    if ending is Ending.CUT or (request.stop and ending is Ending.COMPLETE):
        return None

    said = f"{who} gave an empty answer {_reason_of(completion)}"
    return MalformedResponseError(said, completion=completion)


def _only_reasoned(completion: Completion, request: CompletionRequest, who: str) -> ModelError:
    what = f"the model at {who} only reasoned"
    if ending_of(completion.finish_reason) is not Ending.CUT:
        said = f"{what} and gave no answer {_reason_of(completion)}"
        return MalformedResponseError(said, completion=completion)

    name = "max_tokens" if request.max_completion_tokens is None else "max_completion_tokens"
    most = request.most_output_tokens
    limit = f"at {name}={most}" if most is not None else "at the endpoint's own limit"
    sentence = f"{what}, and was cut {limit} before its answer; raise {name}"
    return TruncatedError(sentence, completion=completion)


def _reason_of(completion: Completion) -> str:
    return f"(finish_reason={completion.finish_reason!r})"

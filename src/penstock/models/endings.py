"""Why an answer ended: the words of the providers people use, in one table.

OpenAI, Azure, Mistral, DeepSeek, Groq, Moonshot, MiniMax, OpenRouter, vLLM, SGLang, llama.cpp and
LiteLLM say ``finish_reason`` in snake case, Gemini in capitals (also behind a gateway, and as
``content_filter: SAFETY``), TGI and Ollama add words of their own, LM Studio writes camel case,
Anthropic and Bedrock say ``stop_reason``. A word that nobody knows is told as unknown, and never
taken for success or failure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any

from penstock._base.secrets import Redactor
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
        return self in {Ending.COMPLETE, Ending.CUT, Ending.TOOL_CALLS, Ending.PAUSED}


_WORDS: Mapping[Ending, str] = {
    Ending.COMPLETE: (
        "stop stopped end_turn stop_sequence stop_string_found eos eos_found eos_token "
        "eos_token_id end_of_text endoftext complete completed done finished finish success word"
    ),
    Ending.CUT: (
        "length max_tokens max_length max_output_tokens max_new_tokens token_limit limit "
        "model_length max_predicted_tokens_reached context_length_reached context_length_exceeded "
        "model_context_window_exceeded error_limit incomplete"
    ),
    Ending.TOOL_CALLS: "tool_calls tool_call tool_use function_call function_calls",
    Ending.PAUSED: "pause_turn",
    Ending.FILTERED: (
        "content_filter content_filtered safety recitation language blocklist prohibited_content "
        "spii image_safety image_prohibited_content image_recitation model_armor sensitive "
        "guardrail_intervened guardrail flagged moderation blocked error_toxic "
        "data_inspection_failed"
    ),
    Ending.REFUSED: "refusal refused",
    Ending.FAILED: (
        "error abort aborted cancelled canceled failed failure timeout timed_out user_cancel "
        "user_stopped model_unloaded unload insufficient_system_resource network_error "
        "server_error internal_error malformed_function_call malformed_response "
        "malformed_model_output malformed_tool_use unexpected_tool_call too_many_tool_calls "
        "missing_thought_signature engine_error preempted overloaded"
    ),
}
_ENDINGS = {word: ending for ending, words in _WORDS.items() for word in words.split()}
_NO_WORDS = frozenset({"", "null", "none"})
"""What DashScope and others write into every piece of a stream but the last."""

_PRINTED = Redactor(None)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@lru_cache(maxsize=1024)
def ending_of(finish_reason: str | None) -> Ending:
    """Return what a provider's word means, however it is written.

    Args:
        finish_reason: The word; ``MAX_TOKENS``, ``maxTokens`` and ``FINISH_REASON_MAX_TOKENS``
            are one, and of ``content_filter: SAFETY`` the part before the colon counts.
    """
    if finish_reason is None:
        return Ending.UNKNOWN

    word = _HUMP.sub("_", finish_reason.partition(":")[0].strip())
    word = re.sub(r"[\s.-]+", "_", word.lower())
    for prefix in ("finish_reason_", "finishreason_", "stop_reason_", "stopreason_"):
        word = word.removeprefix(prefix)

    return _ENDINGS.get(word, Ending.UNKNOWN)


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
    word = f"(finish_reason={completion.finish_reason!r})"
    if ending is Ending.FILTERED:
        return ContentFilteredError(f"{who} filtered the answer {word}", completion=completion)

    if completion.refusal or ending is Ending.REFUSED:
        said = _PRINTED.excerpt(completion.refusal or completion.text)
        return RefusalError(f"the model at {who} declined: {said}", completion=completion)

    if ending is Ending.FAILED:
        return OverloadedError(f"{who} broke off its answer {word}", completion=completion)

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

    word = f"(finish_reason={completion.finish_reason!r})"
    return MalformedResponseError(f"{who} gave an empty answer {word}", completion=completion)


def _only_reasoned(completion: Completion, request: CompletionRequest, who: str) -> ModelError:
    what = f"the model at {who} only reasoned"
    if ending_of(completion.finish_reason) is not Ending.CUT:
        word = f"(finish_reason={completion.finish_reason!r})"
        return MalformedResponseError(f"{what} and gave no answer {word}", completion=completion)

    name = "max_tokens" if request.max_completion_tokens is None else "max_completion_tokens"
    most = request.most_output_tokens
    limit = f"at {name}={most}" if most is not None else "at the endpoint's own limit"
    sentence = f"{what}, and was cut {limit} before its answer; raise {name}"
    return TruncatedError(sentence, completion=completion)

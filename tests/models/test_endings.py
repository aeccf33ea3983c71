"""Why answers ended, in the words of the providers people use."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.models import model_errors as errors
from penstock.models.chat_model import Completion, ToolCall, Usage
from penstock.models.endings import Ending, ending_of, fault_of, said_word
from tests.models.loopback import REQUEST

WORDS: dict[Ending, tuple[str, ...]] = {
    Ending.COMPLETE: ("stop", "STOP", "end_turn", "eos_token", "stop_sequence", "eosFound"),
    Ending.CUT: (
        "length",
        "MAX_TOKENS",
        "max_tokens",
        "model_length",
        "maxPredictedTokensReached",
        "FINISH_REASON_MAX_TOKENS",
        "FinishReason.MAX_TOKENS",
        "model_context_window_exceeded",
        "max_output_tokens",
    ),
    Ending.TOOL_CALLS: ("tool_calls", "tool-calls", "tool_use", "function_call"),
    Ending.FILTERED: (
        "content_filter",
        "CONTENT_FILTER",
        "SAFETY",
        "sensitive",
        "content_filter: RECITATION",
        "RECITATION",
        "PROHIBITED_CONTENT",
        "SPII",
        "guardrail_intervened",
    ),
    Ending.REFUSED: ("refusal",),
    Ending.FAILED: (
        "error",
        "abort",
        "failed",
        "insufficient_system_resource",
        "network_error",
        "MALFORMED_FUNCTION_CALL",
    ),
    Ending.PAUSED: ("pause_turn", "pauseTurn"),
    Ending.UNKNOWN: ("OTHER", "gone fishing"),
}


@pytest.mark.field("models-F3")
@pytest.mark.parametrize(("ending", "word"), [(e, word) for e in WORDS for word in WORDS[e]])
def test_a_word_means_the_same_however_it_is_written(ending: Ending, word: str) -> None:
    assert ending_of(word) is ending


def test_no_word_is_unknown_and_what_stands_for_none_is_no_word() -> None:
    assert ending_of(None) is Ending.UNKNOWN
    assert [said_word(word) for word in (None, "", "null", "None", 3, "stop")] == [
        *[None] * 5,
        "stop",
    ]


def completion(text: str = "42", finish_reason: str | None = "stop", **fields: Any) -> Completion:
    usage = Usage(input_tokens=3, output_tokens=3)
    return Completion(text=text, finish_reason=finish_reason, **{"usage": usage, **fields})


FAULTS: list[tuple[Completion, type[errors.ModelError], str, bool]] = [
    (completion(finish_reason="SAFETY"), errors.ContentFilteredError, "SAFETY", False),
    (completion(finish_reason="abort"), errors.OverloadedError, "broke off", True),
    (completion("No.", finish_reason="refusal"), errors.RefusalError, r"declined: No\.", False),
    (completion("", refusal="I will not."), errors.RefusalError, "I will not", False),
    (completion(""), errors.MalformedResponseError, "an empty answer", True),
    (completion("", "gone fishing"), errors.MalformedResponseError, "gone fishing", True),
    (completion("", reasoning="hm"), errors.MalformedResponseError, "only reasoned", True),
    (
        completion("", usage=Usage(output_tokens=9, reasoning_tokens=9)),
        errors.MalformedResponseError,
        "only reasoned",
        True,
    ),
    (completion("", "length", reasoning="hm"), errors.TruncatedError, "raise max_tokens", False),
]


@pytest.mark.field("models-F11")
@pytest.mark.parametrize(("given", "kind", "said", "is_retryable"), FAULTS)
def test_a_completion_that_is_not_an_answer_is_a_fault_that_keeps_what_came(
    given: Completion, kind: type[errors.ModelError], said: str, is_retryable: bool
) -> None:
    fault = fault_of(given, REQUEST, "host")
    assert type(fault) is kind
    assert fault.retryable is is_retryable
    assert fault.usage == given.usage
    assert fault.completion is given
    with pytest.raises(kind, match=said):
        raise fault


@pytest.mark.parametrize(
    "given",
    [
        completion(),
        completion(finish_reason=None),
        completion(finish_reason="gone fishing"),
        completion("", "length"),
        completion("", "tool_calls", tool_calls=(ToolCall(name="f"),)),
    ],
)
def test_an_answer_is_an_answer_also_where_nobody_knows_the_word(given: Completion) -> None:
    assert fault_of(given, REQUEST, "host") is None


def test_a_stop_text_may_end_an_answer_before_its_first_word_but_not_before_its_reasoning() -> None:
    stopped = REQUEST.model_copy(update={"stop": ("\n",)})
    assert fault_of(completion(""), stopped, "host") is None
    assert fault_of(completion("", reasoning="hm"), stopped, "host") is not None


def test_the_limit_is_named_as_it_was_sent() -> None:
    request = REQUEST.model_copy(update={"max_completion_tokens": 7})
    fault = fault_of(completion("", "length", reasoning="hm"), request, "host")
    assert "max_completion_tokens=7 before its answer; raise max_completion_tokens" in str(fault)

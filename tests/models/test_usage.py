"""What calls used, in all the forms in which endpoints count it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.models.chat_model import Usage
from penstock.models.openai.usage import counted_in, usage_of
from tests.models.loopback import REQUEST

USED: list[tuple[str, dict[str, Any], Usage]] = [
    (
        "reasoning beside the answer, as xAI and Gemini count it",
        {
            "prompt_tokens": 36,
            "completion_tokens": 10,
            "total_tokens": 736,
            "completion_tokens_details": {"reasoning_tokens": 690},
        },
        Usage(input_tokens=36, output_tokens=700, reasoning_tokens=690),
    ),
    (
        "no answer and all reasoning",
        {
            "prompt_tokens": 21,
            "completion_tokens": 0,
            "total_tokens": 81,
            "completion_tokens_details": {"reasoning_tokens": 60},
        },
        Usage(input_tokens=21, output_tokens=60, reasoning_tokens=60),
    ),
    (
        "reasoning within the answer, as OpenAI counts it",
        {
            "prompt_tokens": 36,
            "completion_tokens": 700,
            "total_tokens": 736,
            "completion_tokens_details": {"reasoning_tokens": 690},
        },
        Usage(input_tokens=36, output_tokens=700, reasoning_tokens=690),
    ),
    (
        "reasoning beside the answer without a total",
        {"prompt_tokens": 5, "completion_tokens": 2, "reasoning_tokens": 9},
        Usage(input_tokens=5, output_tokens=11, reasoning_tokens=9),
    ),
    (
        "more in total than in parts",
        {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 57},
        Usage(input_tokens=5, output_tokens=52),
    ),
    (
        "Anthropic's cache beside the prompt, with a total",
        {
            "prompt_tokens": 10,
            "completion_tokens": 3,
            "total_tokens": 2013,
            "cache_read_input_tokens": 2000,
        },
        Usage(input_tokens=2010, output_tokens=3, cached_input_tokens=2000),
    ),
    (
        "Anthropic's own names",
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "cache_read_input_tokens": 2000,
            "cache_creation_input_tokens": 50,
        },
        Usage(input_tokens=2060, output_tokens=3, cached_input_tokens=2000, cache_write_tokens=50),
    ),
    (
        "LiteLLM's cache within the prompt",
        {
            "prompt_tokens": 2010,
            "completion_tokens": 3,
            "total_tokens": 2013,
            "cache_read_input_tokens": 2000,
        },
        Usage(input_tokens=2010, output_tokens=3, cached_input_tokens=2000),
    ),
    (
        "numbers written as text",
        {"prompt_tokens": "12", "completion_tokens": "3"},
        Usage(input_tokens=12, output_tokens=3),
    ),
    (
        "what OpenRouter charged",
        {"prompt_tokens": 12, "completion_tokens": 3, "cost": 0.0123},
        Usage(input_tokens=12, output_tokens=3, cost_usd=0.0123),
    ),
    (
        "what Perplexity charged",
        {"prompt_tokens": 12, "completion_tokens": 3, "cost": {"total_cost": 0.006}},
        Usage(input_tokens=12, output_tokens=3, cost_usd=0.006),
    ),
]


@pytest.mark.field("models-F5", "models-E10")
@pytest.mark.parametrize(
    ("counted", "usage"), [each[1:] for each in USED], ids=[e[0] for e in USED]
)
def test_tokens_that_are_billed_are_counted(counted: dict[str, Any], usage: Usage) -> None:
    assert usage_of(counted, REQUEST, ("42",)) == usage


@pytest.mark.field("models-F5", "studies-M7")
@pytest.mark.parametrize(
    "counted",
    [
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": 10**15, "completion_tokens": 10**15},
        {"prompt_tokens": float("nan"), "completion_tokens": True},
        {"prompt_tokens": "many"},
        [],
        None,
    ],
)
def test_what_is_no_count_is_estimated_and_said_to_be(counted: Any) -> None:
    usage = usage_of(counted, REQUEST, ("x" * 600,))
    assert usage.is_estimated
    assert usage.input_tokens > 0
    assert usage.output_tokens == 200


def test_what_the_model_reasoned_and_called_is_estimated_too() -> None:
    assert usage_of(None, REQUEST, ("xxx", "xxxxxx", "")).output_tokens == 3


def test_an_answer_without_a_word_may_have_used_no_tokens() -> None:
    usage = usage_of({"prompt_tokens": 4, "completion_tokens": 0}, REQUEST, ("", ""))
    assert usage == Usage(input_tokens=4, output_tokens=0)


@pytest.mark.field("models-F5")
@pytest.mark.parametrize(
    "payload",
    [
        {"usage": {"prompt_tokens": 1}},
        {"choices": [{"usage": {"prompt_tokens": 1}}]},
        {"choices": [], "x_groq": {"usage": {"prompt_tokens": 1}}},
        {"usage": None, "choices": [{"usage": {"prompt_tokens": 1}}]},
    ],
)
def test_a_count_is_found_wherever_it_stands(payload: dict[str, Any]) -> None:
    assert counted_in(payload) == {"prompt_tokens": 1}


def test_a_header_of_litellm_tells_the_cost_where_the_body_does_not() -> None:
    counted = {"prompt_tokens": 12, "completion_tokens": 3}
    assert usage_of(counted, REQUEST, ("42",), "0.0123").cost_usd == 0.0123
    assert usage_of(counted | {"cost": 0.5}, REQUEST, ("42",), "0.0123").cost_usd == 0.5
    assert usage_of(counted, REQUEST, ("42",), "None").cost_usd is None


_COUNTS = st.integers(0, 50) | st.sampled_from([0, 7, 10**8, -1, None, True, 2.5, "12", "many"])
_PLAIN = ("prompt_tokens", "completion_tokens", "total_tokens")
_WORDS = {
    "OpenAI": ("cached_tokens", "reasoning_tokens", "cache_creation"),
    "Anthropic": ("cache_read_input_tokens", "cache_creation_input_tokens", "input_tokens"),
    "DeepSeek": ("prompt_cache_hit_tokens", "prompt_cache_miss_tokens"),
    "Gemini": ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount"),
    "OpenRouter": ("cost", "estimated_cost", "cost_in_usd_ticks", "reasoning_tokens"),
}
_DETAILS = ("cached_tokens", "cache_write_tokens", "reasoning_tokens", "thinking_tokens", "audio")


@st.composite
def _usages(draw: st.DrawFn) -> dict[str, Any]:
    words = (*_PLAIN, *_WORDS[draw(st.sampled_from(sorted(_WORDS)))])
    of_parts = st.dictionaries(st.sampled_from(_DETAILS), _COUNTS, max_size=2)
    parts = st.sampled_from(["prompt_tokens_details", "completion_tokens_details"])
    said: dict[str, Any] = {name: draw(st.integers(0, 50)) for name in _PLAIN}
    said |= draw(st.dictionaries(st.sampled_from(words), _COUNTS, max_size=2))
    return said | draw(st.dictionaries(parts, of_parts, max_size=2))


@settings(max_examples=500)
@given(_usages())
def test_plain_counts_are_read_as_all_others_are(said: dict[str, Any]) -> None:
    by_the_long_way = usage_of(said, REQUEST, ("an answer",), "not a cost")

    assert usage_of(said, REQUEST, ("an answer",)) == by_the_long_way

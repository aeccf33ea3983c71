"""What a message holds: text, reasoning, calls of tools, a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.models.chat_model import ToolCall
from penstock.models.openai.message import read_message, without_thoughts

THOUGHTS: list[tuple[str, dict[str, Any]]] = [
    ("DeepSeek, vLLM, SGLang", {"content": "42", "reasoning_content": "17+25"}),
    ("Groq, OpenRouter", {"content": "42", "reasoning": "17+25"}),
    ("Ollama", {"content": "42", "thinking": "17+25"}),
    (
        "OpenRouter's details",
        {"content": "42", "reasoning_details": [{"type": "reasoning.text", "text": "17+25"}]},
    ),
    ("both of a gateway", {"content": "42", "reasoning": "17+25", "reasoning_content": "17+25"}),
    (
        "parts",
        {"content": [{"type": "reasoning", "text": "17+25"}, {"type": "text", "text": "42"}]},
    ),
    (
        "Anthropic's parts",
        {"content": [{"type": "thinking", "thinking": "17+25"}, {"type": "text", "text": "42"}]},
    ),
    (
        "Mistral's parts",
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "17+25"}]},
                {"type": "text", "text": "42"},
            ]
        },
    ),
    ("tags", {"content": "<think>17+25</think>\n\n42"}),
    ("other tags", {"content": "<thinking>17+25</thinking>\n\n42"}),
    ("LiteLLM", {"content": "42", "thinking_blocks": [{"type": "thinking", "thinking": "17+25"}]}),
    ("tags whose beginning stands in the prompt", {"content": "17+25\n</think>\n\n42"}),
    ("Magistral's tags", {"content": "[THINK]17+25[/THINK]42"}),
    (
        "gpt-oss",
        {
            "content": "<|channel|>analysis<|message|>17+25<|end|><|start|>assistant"
            "<|channel|>final<|message|>42<|return|>"
        },
    ),
]


@pytest.mark.field("models-F11", "models-E6")
@pytest.mark.parametrize("message", [each[1] for each in THOUGHTS], ids=[e[0] for e in THOUGHTS])
def test_reasoning_is_no_part_of_the_answer(message: dict[str, Any]) -> None:
    read = read_message(message)
    assert (read.text, read.reasoning.strip()) == ("42", "17+25")


@pytest.mark.field("models-F11")
def test_reasoning_that_was_cut_is_no_answer() -> None:
    assert without_thoughts("<think>17+25, first 17+20=37, then") == (
        "",
        "17+25, first 17+20=37, then",
    )
    assert without_thoughts("<think>\n\n</think>\n\n42") == ("42", "")


def test_tags_within_an_answer_or_left_alone_are_text() -> None:
    text = "Write <think> and </think> around it."
    assert without_thoughts(text) == (text, "")
    assert read_message({"content": "<think>a</think>b"}, has_marks=False).text == (
        "<think>a</think>b"
    )


@pytest.mark.field("models-F12", "models-E7")
@pytest.mark.parametrize(
    "message",
    [
        {
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
            ],
        },
        {
            "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}],
        },
        {"content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}]},
    ],
)
def test_calls_of_tools_are_read(message: dict[str, Any]) -> None:
    (call,) = read_message(message).tool_calls
    assert call.model_copy(update={"arguments": call.arguments.replace(" ", "")}) == ToolCall(
        id="c1", name="f", arguments='{"a":1}'
    )


def test_the_older_form_of_a_call_is_read() -> None:
    read = read_message({"function_call": {"name": "f", "arguments": ""}})
    assert read.tool_calls == (ToolCall(name="f"),)


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "refusal": "No."},
        {"content": [{"type": "refusal", "refusal": "No."}]},
    ],
)
def test_a_refusal_is_read(message: dict[str, Any]) -> None:
    assert read_message(message).refusal == "No."


@pytest.mark.parametrize(
    "message",
    [
        {"content": ["a", 1, None, {"type": 3}]},
        {"tool_calls": "f"},
        {"tool_calls": [None, {"function": 1}]},
        {"reasoning": {"effort": "low"}, "function_call": 1},
        {"reasoning_details": [1, {"summary": 2}]},
    ],
)
def test_what_cannot_be_read_is_nothing(message: dict[str, Any]) -> None:
    assert read_message(message) == ("", "", (), "")

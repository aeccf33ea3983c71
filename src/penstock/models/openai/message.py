"""What a message of an answer holds: text, reasoning, calls of tools, a refusal.

Reasoning comes as ``reasoning_content`` (DeepSeek, vLLM, SGLang, xAI, Moonshot, LiteLLM), as
``reasoning`` or ``reasoning_details`` (Groq, OpenRouter), as ``thinking`` (Ollama), as parts of the
content (Mistral, Anthropic's models behind gateways), or within the text, between the marks that a
model was trained with, where nobody has parsed them: llama.cpp, LM Studio, MiniMax, Gemini.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from penstock.evaluators.markup import THOUGHT_TAG
from penstock.models.chat_model import ToolCall

__all__ = ["REASONING_TEXTS", "Message", "parts_of", "read_message", "without_thoughts"]

REASONING_TEXTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
"""The fields that hold reasoning as text, the one that is taken first where there are two."""

_REASONING_FIELDS = (*REASONING_TEXTS, "reasoning_details", "thinking_blocks")
_REASONS = frozenset(_REASONING_FIELDS)
_THOUGHTS = frozenset(
    {"reasoning", "reasoning_content", "reasoning_text", "thinking", "thought", "summary_text"}
)
"""Types of parts that are not of the answer."""

_MARKS = {"[THINK]": "[/THINK]", "◁think▷": "◁/think▷", "<|channel>thought": "<channel|>"}
"""Marks that are not tags: Magistral's, Kimi's and Gemma's."""

_BEGINNINGS = tuple(mark[0] for mark in _MARKS)
_OPENED = re.compile(
    rf"\s*(?:<((?i:{THOUGHT_TAG}))(?:\s[^<>]*)?>|({'|'.join(map(re.escape, _MARKS))}))"
)
_CHANNELS = re.compile(r"<\|channel\|>final[^<]*<\|message\|>(.*?)(?:<\|(?:return|end)\|>|$)", re.S)
_CONTROL = re.compile(r"<\|[a-z_]+\|>(?:analysis|commentary|assistant)?")
_ANALYSIS = re.compile(r"\s*(?:<\|start\|>assistant)?<\|channel\|>analysis<\|message\|>")


class Message(NamedTuple):
    """What a message holds."""

    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    refusal: str


def read_message(message: Mapping[str, Any], *, has_marks: bool = True) -> Message:
    """Read a message.

    Args:
        message: The ``message`` of a choice.
        has_marks: Whether what stands between the marks of reasoning at the beginning of a text
            is reasoning.
    """
    text, thought, refusal = parts_of(message.get("content"))
    if has_marks:
        text, within = without_thoughts(text)
        thought += within

    audio = message.get("audio")
    if not text and isinstance(audio, dict):
        text = _string(audio.get("transcript"))

    said = message.get("refusal")
    return Message(
        text,
        _reasoning_of(message) or thought,
        (*_tool_calls_of(message), *_calls_among_parts(message.get("content"))),
        said if isinstance(said, str) and said else refusal,
    )


def parts_of(content: Any) -> tuple[str, str, str]:
    """Read a content: text, or a list of parts; give its text, reasoning and refusal."""
    if isinstance(content, str):
        return content, "", ""

    parts = content if isinstance(content, list) else [content]
    texts, thoughts, refusals = [], [], []
    for part in parts:
        if not isinstance(part, dict):
            continue

        is_marked = part.get("thought") is True  # as Gemini does
        if is_marked or str(part.get("type")) in _THOUGHTS:
            thoughts.append(_thought_in(part))
        else:
            texts.append(_string(part.get("text")))
            refusals.append(_string(part.get("refusal")))

    return "".join(texts), "".join(thoughts), "".join(refusals)


def without_thoughts(text: str) -> tuple[str, str]:
    """Split a text into the answer and the reasoning that stands before it, between marks.

    What has no end is reasoning to its end; what has an end and no beginning began in the prompt.
    """
    if "<" not in text and not text.lstrip().startswith(_BEGINNINGS):
        return text, ""

    if "<|message|>" in text and (final := _CHANNELS.search(text)) is not None:
        return final[1].strip(), _CONTROL.sub(" ", text[: final.start()]).strip()

    if _ANALYSIS.match(text):  # cut before its answer
        return "", _CONTROL.sub(" ", text).strip()

    opened = _OPENED.match(text)
    if opened is not None:
        closing = f"</{opened[1]}>" if opened[1] else _MARKS[opened[2]]
        thought, *rest = re.split(re.escape(closing), text[opened.end() :], maxsplit=1, flags=re.I)
        answer, more = without_thoughts(rest[0]) if rest else ("", "")
        return answer.lstrip(), thought.strip() + more

    before, found, after = text.partition("</think>")
    if found and "<think>" not in before:
        return after.lstrip(), before.strip()

    return text, ""


def _reasoning_of(message: Mapping[str, Any]) -> str:
    """Read the first field that holds reasoning; gateways send the same in two."""
    if _REASONS.isdisjoint(message):
        return ""

    for name in _REASONING_FIELDS:
        found = message.get(name)
        if isinstance(found, list):
            found = "".join(_thought_in(part) for part in found if isinstance(part, dict))

        if isinstance(found, dict):
            found = _thought_in(found)

        if isinstance(found, str) and found:
            return found

    return ""


def _thought_in(part: Mapping[str, Any]) -> str:
    for name in ("text", "thinking", "reasoning", "content", "summary"):
        found = part.get(name)
        if isinstance(found, list):  # Mistral's: a list of parts of text
            return "".join(_thought_in(each) for each in found if isinstance(each, dict))

        if isinstance(found, str):
            return found

    return ""


def _tool_calls_of(message: Mapping[str, Any]) -> Iterator[ToolCall]:
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if not isinstance(call, dict):
            continue

        function = call.get("function") or call.get("custom") or call  # of OpenAI's own, and bare
        if isinstance(function, dict) and function.get("name"):
            given = function.get("arguments", function.get("input"))
            yield _tool_call(call.get("id"), function["name"], given)

    older = message.get("function_call")
    if isinstance(older, dict):
        yield _tool_call(None, older.get("name"), older.get("arguments"))


def _calls_among_parts(content: Any) -> Iterator[ToolCall]:
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") == "tool_use":
            yield _tool_call(part.get("id"), part.get("name"), part.get("input"))


def _tool_call(name_of_call: Any, name: Any, arguments: Any) -> ToolCall:
    written = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return ToolCall(id=_string(name_of_call), name=_string(name), arguments=written or "{}")


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""

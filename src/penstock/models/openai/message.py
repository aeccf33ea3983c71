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

from penstock.models.chat_model import ToolCall

__all__ = ["Message", "parts_of", "read_message", "without_thoughts"]

_REASONING_FIELDS = (
    *("reasoning_content", "reasoning", "thinking"),
    *("reasoning_details", "thinking_blocks"),
)
_THOUGHTS = frozenset(
    {"reasoning", "reasoning_content", "reasoning_text", "thinking", "thought", "summary_text"}
)
"""Types of parts that are not of the answer."""

_MARKS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
)
_CHANNELS = re.compile(r"<\|channel\|>final[^<]*<\|message\|>(.*?)(?:<\|(?:return|end)\|>|$)", re.S)
_CONTROL = re.compile(r"<\|[a-z_]+\|>(?:analysis|commentary|assistant)?")


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

    texts, thoughts, refusals = [], [], []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            continue

        kind = part.get("type") if isinstance(part, dict) else None
        if kind in _THOUGHTS:
            thoughts.append(_thought_in(part))
        elif isinstance(part, dict):
            texts.append(_string(part.get("text")))
            refusals.append(_string(part.get("refusal")))

    return "".join(texts), "".join(thoughts), "".join(refusals)


def without_thoughts(text: str) -> tuple[str, str]:
    """Split a text into the answer and the reasoning that stands before it, between marks.

    What has no end is reasoning to its end; what has an end and no beginning began in the prompt.
    """
    if "<|message|>" in text and (final := _CHANNELS.search(text)) is not None:
        return final[1].strip(), _CONTROL.sub(" ", text[: final.start()]).strip()

    begun = text.lstrip()
    for opening, closing in _MARKS:
        if begun.startswith(opening):
            thought, found, rest = begun.removeprefix(opening).partition(closing)
            rest, more = without_thoughts(rest) if found else ("", "")
            return rest.lstrip(), thought.strip() + more

    thought, found, rest = text.partition("</think>")
    if found and "<think>" not in thought:
        return rest.lstrip(), thought.strip()

    return text, ""


def _reasoning_of(message: Mapping[str, Any]) -> str:
    """Read the first field that holds reasoning; gateways send the same in two."""
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
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield _tool_call(call.get("id"), function.get("name"), function.get("arguments"))

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

"""A conversation of a model with tools, when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from penstock._base.fact import EMPTY, Fact
from penstock.models.chat_model import ChatMessage, Usage

__all__ = ["Conversation", "ConversationOutcome", "ToolUse"]


class ConversationOutcome(StrEnum):
    """How a conversation ended."""

    ANSWERED = "answered"
    CUT = "cut"
    """Its last answer was cut at ``max_tokens``; tools that this called were not called."""
    MAX_TURNS = "max_turns"
    """The model wanted to call tools once more, and had no turn left."""
    REFUSED = "refused"
    FILTERED = "filtered"


class ToolUse(Fact):
    """One call of a tool.

    Args:
        name: The tool.
        arguments: What it was called with.
        result: What it gave, or what was wrong, as the model was told.
        is_error: Whether it failed.
        seconds: How long it took; 0 where its result was given again.
    """

    name: str
    arguments: Any
    result: str
    is_error: bool = False
    seconds: float = 0.0


class Conversation(Fact):
    """A conversation that is over.

    Args:
        outcome: How it ended.
        text: The last answer, or what the model said in declining.
        fields: The fields of its JSON, where it followed a schema.
        messages: All that was said.
        tool_uses: The calls of tools, in the order in which the model asked for them.
        turns: How often the model was asked.
        usage: The tokens of all turns.
        cost_usd: What they cost, in US dollars; None where that is not known.
    """

    outcome: ConversationOutcome
    text: str
    fields: Mapping[str, Any] = EMPTY
    messages: tuple[ChatMessage, ...]
    tool_uses: tuple[ToolUse, ...] = ()
    turns: int
    usage: Usage = Usage()
    cost_usd: float | None = 0.0

"""An answer in Anthropic's messages, in the form of a chat completion: whole, or of a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock._base.json import decode, encode
from penstock.models.openai.complaints import Complaint, complaint_in

__all__ = [
    "SEALED",
    "StreamedMessage",
    "chat_completion_in",
    "complaint_in_event",
    "sealed_of",
    "sealed_parts",
]

SEALED = frozenset({"thinking", "redacted_thinking"})
"""The types of the parts that hold reasoning, which only the provider can read."""

_OURS = ("text", "tool_use")
"""The types of the parts that any format has; in their order here they are written again."""

_REFUSAL = "refusal"
_EVENTS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
    }
)


def chat_completion_in(payload: Any) -> Any:
    """Convert a message to a chat completion; what is not one is left as it is."""
    if not isinstance(payload, Mapping) or not isinstance(payload.get("content"), list):
        return payload

    content = [part for part in payload["content"] if isinstance(part, Mapping)]
    message: dict[str, Any] = {"role": "assistant", "content": list(map(_part, content))}
    if sealed := sealed_of(content):
        message["sealed_reasoning"] = sealed

    reason, details = payload.get("stop_reason"), payload.get("stop_details")
    if reason == _REFUSAL and isinstance(details, Mapping):
        message["refusal"] = details.get("explanation") or details.get("category")

    return {
        "id": payload.get("id"),
        "model": payload.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": payload.get("usage"),
    }


def sealed_of(content: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the parts of a message that are wanted back as they came, as JSON; None for none.

    They are those of the reasoning; and all parts, in their order, where there are others that only
    the provider can write, such as what its own tools have found, or reasoning after a text.
    """
    kinds = [str(part.get("type")) for part in content]
    are_ours = all(kind in {*SEALED, *_OURS} for kind in kinds)
    are_cited = any(part.get("citations") for part in content)
    order = [kind if kind in _OURS else "" for kind in kinds]
    is_plain = are_ours and not are_cited and order == sorted(order) and kinds.count("text") <= 1
    kept = [part for part in content if str(part.get("type")) in SEALED] if is_plain else content
    return encode([{**part, **_input(part)} for part in kept]) if kept else None


def sealed_parts(sealed: str | None) -> list[dict[str, Any]]:
    """Return parts that are wanted back; none of what another format seals."""
    found = decode(sealed) if sealed else []
    return found if isinstance(found, list) else []


def _input(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a tool was called with as an object, as it was before it was streamed."""
    given = part.get("input")
    if not isinstance(given, str):
        return {}

    try:
        return {"input": decode(given)}
    except ValueError:
        return {"input": {}}


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out what only the provider can read."""
    return {"type": "thinking"} if part.get("type") == "redacted_thinking" else part


def complaint_in_event(payload: Any, name: str) -> Complaint | None:
    """Read the error that an event holds; None where it holds none."""
    kind = payload.get("type") if isinstance(payload, Mapping) else None
    return None if str(kind) in _EVENTS else complaint_in(payload, name)


class StreamedMessage:
    """Gathers the events of a streamed message.

    Attributes:
        is_begun: Whether a token has come.
        is_finished: Whether the message has said why it ended.
    """

    def __init__(self) -> None:
        self.is_begun = False
        self.is_finished = False
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._blocks: dict[str, dict[str, Any]] = {}
        self._pieces: dict[str, list[tuple[str, str]]] = {}

    def add(self, piece: Any) -> None:
        """Take the JSON of one event; what is not a part of a message is passed over."""
        if not isinstance(piece, Mapping):
            return

        kind, index = piece.get("type"), str(piece.get("index"))
        if kind == "message_start" and isinstance(piece.get("message"), Mapping):
            self._message |= piece["message"]
            self._count(piece["message"].get("usage"))
        elif kind == "content_block_start" and isinstance(piece.get("content_block"), Mapping):
            self._blocks[index] = dict(piece["content_block"])
        elif kind == "content_block_delta" and isinstance(piece.get("delta"), Mapping):
            self._pieces.setdefault(index, []).extend(_texts_in(piece["delta"]))
            self._cite(index, piece["delta"])
            self.is_begun = True
        elif kind == "message_delta":
            self._end(piece)

    def payload(self) -> dict[str, Any]:
        """Return the message in the form of a chat completion that was not streamed."""
        content = [self._block(index) for index in self._blocks]
        whole = {**self._message, "content": content, "usage": self._usage}
        completion: dict[str, Any] = chat_completion_in(whole)
        return completion

    def _cite(self, index: str, delta: Mapping[str, Any]) -> None:
        if "citation" in delta and index in self._blocks:
            block = self._blocks[index]
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]

    def _end(self, piece: Mapping[str, Any]) -> None:
        said = piece.get("delta")
        if isinstance(said, Mapping):
            self._message |= {name: value for name, value in said.items() if value is not None}
            self.is_finished = self.is_finished or bool(said.get("stop_reason"))

        self._count(piece.get("usage"))

    def _count(self, usage: Any) -> None:
        """Take counts, which grow: the last that is said of each holds, and 0 says nothing."""
        if isinstance(usage, Mapping):
            self._usage |= {name: value for name, value in usage.items() if value}

    def _block(self, index: str) -> dict[str, Any]:
        block, texts = dict(self._blocks[index]), dict[str, str]()
        for name, text in self._pieces.get(index, ()):
            texts[name] = texts.get(name, "") + text

        arguments = texts.pop("partial_json", "")
        if arguments:
            block["input"] = arguments

        return block | {name: f"{block.get(name) or ''}{text}" for name, text in texts.items()}


def _texts_in(delta: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("text", "thinking", "signature", "partial_json"):
        if isinstance(delta.get(name), str):
            yield name, delta[name]

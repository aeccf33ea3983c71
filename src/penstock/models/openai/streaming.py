"""Streamed answers: server-sent events, put together to what one body would have said."""

from __future__ import annotations

from typing import Any, NamedTuple

from penstock._base.json import encode
from penstock.models.endings import said_word
from penstock.models.openai.message import REASONING_TEXTS, parts_of
from penstock.models.openai.usage import counted_in

__all__ = ["DONE", "EventReader", "ServerEvent", "StreamedAnswer", "looks_streamed"]

DONE = b"[DONE]"
_MARK = b"\xef\xbb\xbf"
"""The mark of UTF-8 that some servers begin with."""


class ServerEvent(NamedTuple):
    """One server-sent event: its name, where it has one, and its data."""

    name: str
    data: bytes


def looks_streamed(body: bytes) -> bool:
    """Return whether a body is a stream of events, whatever its type says."""
    return body[:64].removeprefix(_MARK).lstrip().startswith((b"data:", b"event:", b": "))


class EventReader:
    """Cuts a stream of bytes into its server-sent events, however it is chunked."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._data: list[bytes] = []
        self._name = ""
        self._is_begun = False
        self._has_fields = False

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return all events that end in this chunk."""
        if not self._is_begun and chunk:
            self._is_begun = True
            chunk = chunk.removeprefix(_MARK)

        self._rest.append(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            return []  # joined once, when the line ends: a long line must not be copied each time

        lines = b"".join(self._rest).splitlines(keepends=True)
        # A line is whole once its end is there; a "\\r" may yet be followed by its "\\n".
        self._rest = [lines.pop()] if lines and not lines[-1].endswith(b"\n") else []
        found = []
        for line in lines:
            event = self._line(line.rstrip(b"\r\n"))
            if event is not None:
                found.append(event)

        return found

    def close(self) -> list[ServerEvent]:
        """Return a last event that no blank line has ended."""
        last = self.feed(b"\n\n") if any(self._rest) or self._data else []
        self._rest = []
        return last

    def _line(self, line: bytes) -> ServerEvent | None:
        if not line:
            event = ServerEvent(self._name, b"\n".join(self._data))
            self._data, self._name = [], ""
            return event if event.data else None

        if self._has_fields and line[:1] == b"{" and line[-1:] == b"}":
            return ServerEvent(self._name, line)  # an error that forgets that this is a stream

        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        self._has_fields = self._has_fields or name in (b"data", b"event")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace").strip()

        return None


class StreamedAnswer:
    """Gathers the pieces of a streamed answer.

    Attributes:
        is_begun: Whether a token has come.
        is_finished: Whether the answer has said why it ended.
    """

    def __init__(self) -> None:
        self.is_begun = False
        self.is_finished = False
        self._head: dict[str, Any] = {}
        self._choice: dict[str, Any] = {}
        self._index: str | None = None
        self._texts: dict[str, list[str]] = {}
        self._calls: list[dict[str, Any]] = []
        self._call_at: dict[str, dict[str, Any]] = {}
        self._details: dict[str, dict[str, Any]] = {}
        self._logprobs: list[Any] = []

    def add(self, piece: Any) -> None:
        """Take the JSON of one event; what is not a piece of an answer is passed over."""
        if not isinstance(piece, dict):
            return

        for name in ("id", "model", "system_fingerprint"):
            if piece.get(name):
                self._head[name] = piece[name]

        usage = counted_in(piece)
        if isinstance(usage, dict):  # counts grow: the last that is said of each holds
            told = {name: value for name, value in usage.items() if value}
            self._head["usage"] = self._head.get("usage", {}) | told

        choices = piece.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and self._is_of_the_answer(choice):
                self._add_choice(choice)

    def payload(self) -> dict[str, Any]:
        """Return the answer in the form of one that was not streamed."""
        message: dict[str, Any] = {name: "".join(texts) for name, texts in self._texts.items()}
        message.setdefault("content", "")
        if self._calls:
            message["tool_calls"] = self._calls

        if self._details:
            message["reasoning_details"] = list(self._details.values())

        logprobs = {"content": self._logprobs} if self._logprobs else None
        return self._head | {"choices": [self._choice | {"message": message, "logprobs": logprobs}]}

    def _is_of_the_answer(self, choice: dict[str, Any]) -> bool:
        """Return whether a choice is the first one, by whatever index it goes."""
        index = choice.get("index")
        if index is None:
            return True

        if self._index is None:
            self._index = str(index)

        return str(index) == self._index

    def _add_choice(self, choice: dict[str, Any]) -> None:
        word = said_word(choice.get("finish_reason"))
        if word is not None:
            self._choice["finish_reason"] = word
            self.is_finished = True

        delta = choice.get("delta")
        if not delta and not self.is_begun:  # MiniMax ends with the whole message once more
            delta = choice.get("message")

        if isinstance(delta, dict):
            self._add_delta(delta)

        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list):
            self._logprobs += logprobs["content"]

    def _add_delta(self, delta: dict[str, Any]) -> None:
        text, thought, refusal = parts_of(delta.get("content"))
        self._add("content", text)
        self._add("refusal", delta.get("refusal") or refusal)
        self._add("thinking", thought)
        # Gateways send the same reasoning in two fields; `read_message` takes the first.
        for name in REASONING_TEXTS:
            self._add(name, delta.get(name))

        details = delta.get("reasoning_details")
        self._add_details(details if isinstance(details, list) else [])
        if not any(delta.get(name) for name in REASONING_TEXTS):
            self._add("reasoning", _details_in(delta))

        calls = delta.get("tool_calls")
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict):
                self._add_call(str(call.get("index", place)), call)

        older = delta.get("function_call")
        if isinstance(older, dict):
            self._add_call("function_call", {"function": older})

    def _add(self, name: str, piece: Any) -> None:
        if isinstance(piece, str) and piece:
            self._texts.setdefault(name, []).append(piece)
            self.is_begun = True

    def _add_details(self, details: list[Any]) -> None:
        """Put together what the provider wants back: the pieces of one detail have one index."""
        for piece in details:
            if not isinstance(piece, dict):
                continue

            known = self._details.setdefault(f"{piece.get('index')}:{piece.get('type')}", {})
            for name, value in piece.items():
                before = known.get(name) if name in ("text", "summary", "data") else None
                is_more = isinstance(before, str) and isinstance(value, str)
                known[name] = before + value if is_more else value

    def _add_call(self, place: str, piece: dict[str, Any]) -> None:
        self.is_begun = True
        function = piece.get("function") or piece.get("custom")
        said = function if isinstance(function, dict) else {}
        call = self._call_at.get(place)
        if call is None or (said.get("name") and _is_another(call, piece)):
            call = {"id": "", "function": {"name": "", "arguments": ""}}
            self._call_at[place] = call
            self._calls.append(call)

        call["id"] = call["id"] or piece.get("id") or ""
        if piece.get("extra_content"):
            call["extra_content"] = piece["extra_content"]

        given = {"name": said.get("name"), "arguments": said.get("arguments", said.get("input"))}
        for name, known in call["function"].items():
            more = given[name]
            if isinstance(more, str) and not (name == "name" and known == more):
                call["function"][name] = known + more
            elif isinstance(more, dict):
                call["function"][name] = encode(more)


def _is_another(call: dict[str, Any], piece: dict[str, Any]) -> bool:
    """Return whether a piece with a name begins a call of its own; Gemini gives all one index."""
    known = call["function"]
    if piece.get("id") or "index" in piece:
        return bool(known["name"] and piece.get("id", call["id"]) != call["id"])

    return bool(known["arguments"])


def _details_in(delta: dict[str, Any]) -> str:
    details = delta.get("reasoning_details")
    _, thought, _ = parts_of(
        [part | {"type": "reasoning"} for part in details if isinstance(part, dict)]
        if isinstance(details, list)
        else None
    )
    return thought

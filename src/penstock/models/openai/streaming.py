"""Streamed answers: server-sent events, put together to what one body would have said."""

from __future__ import annotations

from typing import Any

__all__ = ["EventReader", "StreamedAnswer"]

DONE = b"[DONE]"


class EventReader:
    """Cuts a stream of bytes into the data of its server-sent events, however it is chunked."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Give the data of all events that end in this chunk."""
        lines = (self._rest + chunk).splitlines(keepends=True)
        # A line is whole once its end is there; a "\\r" may yet be followed by its "\\n".
        self._rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        found = []
        for line in lines:
            data = self._line(line.rstrip(b"\r\n"))
            if data is not None:
                found.append(data)

        return found

    def close(self) -> list[bytes]:
        """Give the data of a last event that no blank line has ended."""
        last = self.feed(b"\n\n") if self._rest or self._data else []
        self._rest = b""
        return last

    def _line(self, line: bytes) -> bytes | None:
        if not line:
            data, self._data = b"\n".join(self._data), []
            return data or None

        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))

        return None


class StreamedAnswer:
    """Gathers the pieces of a streamed answer.

    Attributes:
        is_begun: Whether a token has come.
        is_finished: Whether the answer has said why it ended.
        is_failed: Whether the provider has sent an error instead of the rest.
    """

    def __init__(self) -> None:
        self.is_begun = False
        self.is_finished = False
        self.is_failed = False
        self._head: dict[str, Any] = {}
        self._choice: dict[str, Any] = {}
        self._content: list[str] = []
        self._refusal: list[str] = []
        self._logprobs: list[Any] = []

    def add(self, piece: Any) -> None:
        """Take the JSON of one event; what is no piece of an answer is passed over."""
        if not isinstance(piece, dict):
            return

        for name in ("id", "model", "system_fingerprint", "usage", "error"):
            if piece.get(name):
                self._head[name] = piece[name]

        self.is_failed = "error" in self._head
        choices = piece.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index", 0) == 0:
                self._add_choice(choice)

    def payload(self) -> dict[str, Any]:
        """Give the answer in the form of one that was not streamed."""
        message = {"content": "".join(self._content), "refusal": "".join(self._refusal)}
        logprobs = {"content": self._logprobs} if self._logprobs else None
        return self._head | {"choices": [self._choice | {"message": message, "logprobs": logprobs}]}

    def _add_choice(self, choice: dict[str, Any]) -> None:
        for name in ("finish_reason", "error"):
            if choice.get(name):
                self._choice[name] = choice[name]
                self.is_finished = True

        delta = choice.get("delta") or choice.get("message")
        for name, pieces in (("content", self._content), ("refusal", self._refusal)):
            piece = delta.get(name) if isinstance(delta, dict) else None
            if isinstance(piece, str) and piece:
                pieces.append(piece)
                self.is_begun = True

        # Models that think aloud first: their first token is one of those.
        if isinstance(delta, dict) and (delta.get("reasoning_content") or delta.get("reasoning")):
            self.is_begun = True

        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list):
            self._logprobs += logprobs["content"]

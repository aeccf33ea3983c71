"""Reads the body of a response: whole, or as a stream of events, whatever it calls itself."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import Any

from aiohttp import ClientResponse

from penstock.models.chat_model import Completion, CompletionRequest
from penstock.models.model_errors import MalformedResponseError, ModelConnectionError
from penstock.models.openai.connections import Call
from penstock.models.openai.endpoint import Endpoint, ResponseHead
from penstock.models.openai.error_response import failure_of_complaint
from penstock.models.openai.response import completion_of, payload_of
from penstock.models.openai.streaming import (
    DONE,
    EventReader,
    ServerEvent,
    looks_streamed,
)
from penstock.models.openai.transport import read_out
from penstock.models.openai.usage import counted_in
from penstock.models.openai.wire_format import Pieces, WireFormat

__all__ = ["Answer"]

_MOST_BYTES = 64 * 2**20


class Answer:
    """The answer that a response of success brings.

    Args:
        endpoint: Who answers.
        head: The head of the response.
        request: What was asked.
        call: How far the call has come.
        wire: The format in which it answers.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        head: ResponseHead,
        request: CompletionRequest,
        call: Call,
        wire: WireFormat,
    ) -> None:
        self._endpoint = endpoint
        self._head = head
        self._request = request
        self._call = call
        self._size = 0
        self._wire = wire
        self._is_done = False

    async def read(self, response: ClientResponse) -> Completion:
        """Read it to its end.

        Raises:
            ModelError: it is not an answer.
        """
        kind = response.headers.get("content-type", "")
        if kind.lower().startswith("text/event-stream"):
            return await self._read_stream(response)

        pieces = [await self._next(response)]
        while not response.content.at_eof():
            pieces.append(await self._next(response))

        whole = b"".join(pieces)
        if not looks_streamed(whole):
            return self._of_payload(self._payload(whole))

        events = EventReader()
        self._take([*events.feed(whole), *events.close()])
        return self._of_stream(None)

    @cached_property
    def _stream(self) -> Pieces:
        """What has come of a stream; most answers are none."""
        return self._wire.pieces()

    async def _next(self, response: ClientResponse) -> bytes:
        piece = await response.content.readany()
        self._call.touch()
        self._size += len(piece)
        if self._size > _MOST_BYTES:
            raise MalformedResponseError(
                f"{self._endpoint.name} answered with more than {_MOST_BYTES:,} bytes",
                http_status=self._head.status,
                request_id=self._head.request_id,
            )

        return piece

    async def _read_stream(self, response: ClientResponse) -> Completion:
        events, unread, first_token_s = EventReader(), b"", None
        while not self._is_done and (chunk := await self._next(response)):
            found = events.feed(chunk)
            unread = b"" if found or self._stream.is_begun else unread + chunk
            self._take(found)
            if first_token_s is None and self._stream.is_begun:
                first_token_s = self._call.elapsed_s()

        self._take(events.feed(await read_out(response)))
        if unread.lstrip().startswith((b"{", b"[", b"<")):  # it only calls itself a stream
            return self._of_payload(self._payload(unread))

        self._take(events.close())
        return self._of_stream(first_token_s)

    def _take(self, events: list[ServerEvent]) -> None:
        """Add events to the answer.

        Raises:
            ModelError: an event is an error, or cannot be read.
        """
        for event in events:
            for data in _separate(event.data):
                if data.strip() == DONE:
                    self._is_done = True
                elif self._is_done:
                    self._take_late(data)
                else:
                    self._take_piece(data, event.name)

    def _take_piece(self, data: bytes, name: str) -> None:
        payload = self._payload_of_event(data, name)
        complaint = self._wire.complaint_in(payload, name)
        if complaint is not None:
            # What was written until then may be charged for.
            is_begun = self._stream.is_begun
            raise failure_of_complaint(
                self._endpoint, self._head, complaint, may_be_billed=is_begun
            )

        self._stream.add(payload)

    def _take_late(self, data: bytes) -> None:
        """Take what is counted after the end; the answer is whole, whatever else comes."""
        with suppress(MalformedResponseError):
            self._stream.add({"usage": counted_in(self._payload(data))})

    def _payload_of_event(self, data: bytes, name: str) -> Any:
        try:
            return self._payload(data)
        except MalformedResponseError as error:
            if name == "error":  # it says in words what is wrong
                hidden = self._endpoint.hidden
                return {"message": hidden.text(data.decode("utf-8", "replace"))}

            # What was written until then may be charged for.
            error.may_be_billed = error.may_be_billed or self._stream.is_begun
            raise

    def _payload(self, data: bytes) -> Any:
        payload, was_redacted = payload_of(self._endpoint, self._head, data)
        self._call.is_redacted = self._call.is_redacted or was_redacted
        return payload

    def _of_stream(self, first_token_s: float | None) -> Completion:
        if self._is_done or self._stream.is_finished:
            return self._of_payload(self._stream.payload(), first_token_s)

        raise ModelConnectionError(
            f"{self._endpoint.name} ended its stream in the middle of the answer",
            http_status=self._head.status,
            request_id=self._head.request_id,
        )

    def _of_payload(self, payload: Any, first_token_s: float | None = None) -> Completion:
        return completion_of(
            self._endpoint,
            self._head,
            self._request,
            self._wire.completion_in(payload),
            provider_s=self._call.elapsed_s(),
            first_token_s=first_token_s,
            is_redacted=self._call.is_redacted,
        )


def _separate(data: bytes) -> list[bytes]:
    """Part what stands in one event although it is several: llama.cpp leaves out blank lines."""
    lines = data.split(b"\n")
    if len(lines) == 1:
        return lines

    are_whole = all(line.lstrip()[:1] == b"{" or line.strip() == DONE for line in lines)
    return lines if are_whole else [data]

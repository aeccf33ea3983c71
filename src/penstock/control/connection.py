"""The side of whoever looks at a study that another process runs, or acts on it."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pydantic
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from penstock._base.json import decode
from penstock.control.address import CAN_LISTEN, Address, peer_uid, read_address
from penstock.control.protocol import (
    LONGEST,
    PROTOCOL,
    Ended,
    Hello,
    Reply,
    Request,
    Snapshot,
    line,
)
from penstock.errors import PenstockError, ValidationError
from penstock.store.files.lock import is_held

__all__ = [
    "Client",
    "LostStudyError",
    "NothingRunsError",
    "UnheardError",
    "UnreachableStudyError",
    "connect",
]

_ANSWER_S = 10.0
"""How long a study may take to answer; its event loop may stand still for a while."""

_LONGEST_ANSWER = 64 * LONGEST


class NothingRunsError(PenstockError):
    """No process runs the study."""


class UnreachableStudyError(PenstockError):
    """A process runs the study, and cannot be reached."""


class LostStudyError(PenstockError):
    """The process that ran the study has gone without a word."""


class UnheardError(LostStudyError):
    """It had gone before it was asked: nothing was done."""


@asynccontextmanager
async def connect(directory: Path) -> AsyncIterator[Client]:
    """Connect to the process that runs a study, inside the block.

    Args:
        directory: The study's output directory.

    Raises:
        NothingRunsError: no process runs it.
        UnreachableStudyError: one does, and cannot be reached: it does not listen, or does not
            answer.
    """
    stream = await _open(directory)
    async with stream:
        client = Client(stream)
        await client.hear_hello()
        yield client


async def _open(directory: Path) -> ByteStream:
    address = read_address(directory)
    if CAN_LISTEN and address is not None and address.host == socket.gethostname():
        try:
            with anyio.fail_after(_ANSWER_S):
                stream = await anyio.connect_unix(_socket_of(directory, address))
                if _is_ours(stream):
                    return stream

                await stream.aclose()
        except (OSError, TimeoutError):
            pass

    if not is_held(directory):
        raise NothingRunsError(f"no process runs the study of {directory}")

    raise UnreachableStudyError(_why_unreachable(directory, address))


def _is_ours(stream: SocketStream) -> bool:
    """Return whether a process of this user answers; anybody may have written the address."""
    uid = peer_uid(stream.extra(SocketAttribute.raw_socket))  # noqa: S610 - anyio's
    return uid in (None, os.geteuid())


def _socket_of(directory: Path, address: Address) -> Path:
    return directory.resolve() / address.socket


def _why_unreachable(directory: Path, address: Address | None) -> str:
    if not CAN_LISTEN:
        return f"{directory}: a study that runs cannot be reached on this system"

    if address is None:
        return (
            f"a process runs the study of {directory}, and does not listen: start it with "
            "`penstock run`, or with control=True from Python"
        )

    if address.host != socket.gethostname():
        return f"process {address.pid} on {address.host} runs the study; say it there"

    return f"process {address.pid} runs the study of {directory}, and does not answer"


class Client:
    """Talks to a process that runs a study.

    Args:
        stream: The connection.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._lines = BufferedByteReceiveStream(stream)

    async def hear_hello(self) -> Hello:
        """Receive the greeting that says who answers.

        Raises:
            UnreachableStudyError: nobody does, or in another protocol.
        """
        try:
            hello = Hello.model_validate_json(await self._hear(_ANSWER_S))
        except (LostStudyError, TimeoutError, pydantic.ValidationError) as error:
            raise UnreachableStudyError(
                "a process runs the study, and does not answer: it has too many clients, its "
                "event loop stands still, or another version of penstock runs it"
            ) from error

        if hello.penstock != PROTOCOL:
            raise UnreachableStudyError(
                f"the study is run by another version of penstock, which speaks protocol "
                f"{hello.penstock}; this one speaks {PROTOCOL}"
            )

        return hello

    async def ask(self, do: str, **said: Any) -> Snapshot:
        """Send an action, and return where the study stands then.

        Args:
            do: What: see `Request`.
            **said: The other fields of a request.

        Raises:
            ValidationError: what was asked cannot be done; everything that is wrong.
            LostStudyError: the process has gone, or does not answer.
        """
        request = Request.model_validate({"do": do, **said})
        try:
            await self._stream.send(line(request))
        except anyio.BrokenResourceError as error:
            raise UnheardError("the process that ran the study has gone") from error

        try:
            reply = Reply.model_validate_json(await self._hear(_ANSWER_S))
        except (TimeoutError, pydantic.ValidationError) as error:
            raise LostStudyError("the process that runs the study does not answer") from error

        if reply.errors or reply.snapshot is None:
            raise ValidationError([*reply.errors])

        return reply.snapshot

    async def watch(self) -> AsyncIterator[Snapshot]:
        """Yield where the study stands, now and whenever that changes, until the session ends.

        Raises:
            LostStudyError: the process has gone.
        """
        now = await self.ask("watch")
        yield now
        while True:
            message = decode((await self._hear(None)).decode())
            if "ended" in message:
                yield Ended.model_validate(message).ended
                return

            now = _changed(now, message["changed"])
            yield now

    async def _hear(self, patience_s: float | None) -> bytes:
        try:
            with anyio.fail_after(patience_s):
                return await self._lines.receive_until(b"\n", _LONGEST_ANSWER)
        except (
            anyio.BrokenResourceError,
            anyio.EndOfStream,
            anyio.IncompleteRead,
            anyio.DelimiterNotFound,
        ) as error:
            raise LostStudyError("the process that ran the study has gone") from error


def _changed(before: Snapshot, changed: Mapping[str, Any]) -> Snapshot:
    return Snapshot.model_validate({**before.model_dump(mode="json"), **changed})

"""The side of the study: it listens to processes of its own user, and answers them.

Nothing that a client does holds the study up: what it sends is bounded, so is what waits for it to
be read, and whoever watches gets what has changed since it last read, and not what it has missed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path

import anyio
import pydantic
from anyio.abc import ByteStream, SocketAttribute, SocketListener, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from penstock._base.fact import Fact
from penstock._base.logger import logger
from penstock._base.pydantic_errors import sentences_of
from penstock._base.threads import call_in_thread
from penstock.control.address import CAN_LISTEN, Candidate, candidates, peer_uid
from penstock.control.controlled import Controlled, Requests
from penstock.control.protocol import (
    LONGEST,
    PROTOCOL,
    Changed,
    Ended,
    Hello,
    Reply,
    Request,
    line,
)
from penstock.events.bus import EventStream, Subscriber
from penstock.events.subscribing import Subscription
from penstock.events.tree import LoopStalled, WorkersChanged
from penstock.study.execution import Execution

__all__ = ["EVENTS", "Channel", "control", "wanted"]

EVENTS = (LoopStalled, WorkersChanged)

_MOST_CLIENTS = 16
"""One more takes the place of the one that has been silent longest; those who watch keep theirs."""

_EVERY_S = 0.25
"""So often those who watch hear of changes at most."""

_PACE_S = 0.02
"""A client that floods us with requests waits so long for each."""

_IDLE_S = 600.0
"""A client that says nothing for so long is left."""

_UNREAD_S = 5.0
"""A client that does not read what it was sent is left after so long."""

_NO_FILE_S = 5.0
"""How long no client is accepted after one could not be, for want of a file."""

_FAREWELL_S = 0.2
"""How long those who watch may take to hear the end."""

_GONE = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.DelimiterNotFound,
    anyio.EndOfStream,
    anyio.IncompleteRead,
    TimeoutError,
)
"""How a client leaves, or what makes us leave it."""


def wanted(execution: Execution, runner: Controlled) -> list[Subscription]:
    """Return the subscriber where a study is to be reached by other processes, else nothing."""
    return [Subscription(control(runner), EVENTS)] if execution.control and CAN_LISTEN else []


def control(runner: Controlled) -> Subscriber:
    """Make the subscriber that listens while a study runs; where it cannot, it says so and ends."""

    async def subscriber(stream: EventStream) -> None:
        channel = Channel(runner)
        try:
            async with _listening(runner.output_dir) as listener, anyio.create_task_group() as all_:
                all_.start_soon(channel.accept, listener)
                async for event in stream:
                    channel.requests.note(event)

                await channel.say_end()
                all_.cancel_scope.cancel()
        except OSError as error:
            logger().warning("control.unavailable", reason=str(error))

    return subscriber


@asynccontextmanager
async def _listening(directory: Path) -> AsyncIterator[SocketListener]:
    """Listen inside the block, and say where."""
    candidate, listener = await _open_listener(directory)
    try:
        async with listener:
            await call_in_thread(partial(candidate.say, directory))
            yield listener
    finally:
        candidate.remove(directory)


async def _open_listener(directory: Path) -> tuple[Candidate, SocketListener]:
    failure = OSError("there is no folder for a socket")
    for candidate in candidates(directory):
        try:
            return candidate, await anyio.create_unix_listener(candidate.socket, mode=0o600)
        except OSError as error:
            failure = error
            candidate.remove(directory)

    raise failure


class Channel:
    """Answers clients of one study.

    Args:
        runner: The study.
        user: Whose processes are answered; those of this process's user, where not given.
        every_s: How often those who watch hear of changes at most, in seconds.

    Attributes:
        requests: Executes what clients ask for.
    """

    def __init__(
        self, runner: Controlled, *, user: int | None = None, every_s: float = _EVERY_S
    ) -> None:
        self.requests = Requests(runner)
        self._user = os.geteuid() if user is None else user
        self._every_s = every_s
        self._silent: dict[anyio.CancelScope, None] = {}
        """Those who have asked for nothing, whoever has been silent longest first."""
        self._busy = self._watchers = 0
        self._is_over, self._unwatched = anyio.Event(), anyio.Event()

    async def accept(self, listener: SocketListener) -> None:
        """Serve every client, until this is cancelled."""
        async with anyio.create_task_group() as clients:
            while True:
                try:
                    client = await listener.accept()
                except OSError:  # no file is left to open: others may close theirs
                    await anyio.sleep(_NO_FILE_S)
                else:
                    clients.start_soon(self._greet, client)

    async def say_end(self) -> None:
        """Notify those who watch that the session has ended."""
        self._is_over.set()
        if self._watchers:
            with anyio.move_on_after(_FAREWELL_S):
                await self._unwatched.wait()

    async def _greet(self, client: SocketStream) -> None:
        async with client:
            uid = peer_uid(client.extra(SocketAttribute.raw_socket))  # noqa: S610 - anyio's
            if uid not in (None, self._user) or not self._has_room():
                return

            try:
                await self.serve(client)
            except _GONE:
                pass
            except Exception as error:  # noqa: BLE001 - the others are answered all the same
                logger().warning("control.failed", error=f"{type(error).__name__}: {error}")

    def _has_room(self) -> bool:
        """Return whether there is room for another client, and make it where there can be."""
        if len(self._silent) + self._busy < _MOST_CLIENTS:
            return True

        for longest in self._silent:
            del self._silent[longest]
            longest.cancel()
            return True

        return False

    async def serve(self, client: ByteStream) -> None:
        """Serve one client, until it disconnects or sends what cannot be understood."""
        with anyio.CancelScope() as scope:
            self._silent[scope] = None
            try:
                await self._serve(client, scope)
            finally:
                self._silent.pop(scope, None)

    async def _serve(self, client: ByteStream, scope: anyio.CancelScope) -> None:
        study_id = self.requests.runner.study.study_id
        await _send(client, Hello(study_id=study_id, pid=os.getpid()))
        lines = BufferedByteReceiveStream(client)
        while True:
            with anyio.fail_after(_IDLE_S):
                text = await lines.receive_until(b"\n", LONGEST)

            try:
                request = Request.model_validate_json(text)
            except pydantic.ValidationError as error:
                said = [each[:500] for each in sentences_of(error, Request)]
                ours = (
                    f"penstock {version('penstock')} runs the study, and speaks protocol {PROTOCOL}"
                )
                await _send(client, Reply(errors=(*said, ours)))
                return

            with self._served(scope):
                await _send(client, await self.requests.execute(request))
                if request.do == "watch":
                    await self._watch(client)
                    return

            await anyio.sleep(_PACE_S)

    @contextmanager
    def _served(self, scope: anyio.CancelScope) -> Iterator[None]:
        """Keep a client's place inside the block; afterwards it is silent."""
        self._silent.pop(scope, None)
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._silent[scope] = None

    async def _watch(self, client: ByteStream) -> None:
        """Send what changes until the session ends, or the client does."""
        self._watchers += 1
        try:
            async with anyio.create_task_group() as both:
                both.start_soon(_until_gone, client, both.cancel_scope.cancel)
                with suppress(*_GONE):
                    await self._send_changes(client)

                both.cancel_scope.cancel()
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._unwatched.set()

    async def _send_changes(self, client: ByteStream) -> None:
        known = self.requests.snapshot().model_dump(mode="json")
        while not self._is_over.is_set():
            with anyio.move_on_after(self._every_s):
                await self._is_over.wait()

            now = self.requests.snapshot().model_dump(mode="json")
            changed = {name: value for name, value in now.items() if value != known[name]}
            known = now
            if changed:
                await _send(client, Changed(changed=changed))

        await _send(client, Ended(ended=self.requests.snapshot()))


async def _send(client: ByteStream, message: Fact) -> None:
    with anyio.fail_after(_UNREAD_S):
        await client.send(line(message))


async def _until_gone(client: ByteStream, leave: Callable[[], None]) -> None:
    """Read on, and forget what is said, so that the end of the client is heard."""
    try:
        while True:
            await client.receive()
            await anyio.sleep(_PACE_S)
    except _GONE:
        leave()

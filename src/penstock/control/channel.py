"""The side of the study: it listens to processes of its own user, and answers them.

Nothing that a client does holds the study up: what it sends is bounded, so is what waits for it to
be read, and whoever watches gets what has changed since it last read, and not what it has missed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
import pydantic
from anyio.abc import ByteStream, SocketAttribute, SocketListener, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from penstock._base.fact import Fact
from penstock._base.logger import logger
from penstock._base.pydantic_errors import sentences_of
from penstock._base.threads import call_in_thread
from penstock.control.address import CAN_LISTEN, Candidate, candidates, peer_uid
from penstock.control.protocol import (
    LONGEST,
    Changed,
    Ended,
    Hello,
    Reply,
    Request,
    Snapshot,
    line,
)
from penstock.control.steering import Steered, Steering
from penstock.errors import PenstockError, ValidationError
from penstock.events.bus import EventBus, EventStream, Subscriber
from penstock.events.subscribing import Subscription
from penstock.events.tree import LoopStalled, WorkersChanged
from penstock.models.session import Gated
from penstock.running.binding import Bindings
from penstock.study.execution import Execution
from penstock.study.settings import SETTABLE
from penstock.summary import StudySummary, WorkerNow

__all__ = ["EVENTS", "Channel", "Controlled", "control", "wanted"]

EVENTS = (LoopStalled, WorkersChanged)

_MOST_CLIENTS = 16
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


class Controlled(Steered, Protocol):
    """A study that can be looked at and acted on: a `StudyRunner`."""

    bindings: Bindings
    bus: EventBus
    has_begun: bool
    steering: Steering
    left_out: int

    @property
    def summary(self) -> StudySummary:
        """Where the study stands."""
        ...


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
                    channel.note(event)

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
    """

    def __init__(
        self, runner: Controlled, *, user: int | None = None, every_s: float = _EVERY_S
    ) -> None:
        self._runner = runner
        self._user = os.geteuid() if user is None else user
        self._every_s = every_s
        self._began_at = datetime.now(UTC)
        self._stalls, self._culprit = 0, ""
        self._workers: tuple[WorkerNow, ...] = ()
        self._clients = self._watchers = 0
        self._is_over, self._unwatched = anyio.Event(), anyio.Event()

    def note(self, event: object) -> None:
        """Record what happened."""
        if isinstance(event, LoopStalled):
            self._stalls, self._culprit = self._stalls + 1, event.culprit
        elif isinstance(event, WorkersChanged):
            self._workers = event.workers

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
            if self._clients >= _MOST_CLIENTS or uid not in (None, self._user):
                return

            self._clients += 1
            try:
                await self.serve(client)
            except _GONE:
                pass
            except Exception as error:  # noqa: BLE001 - the others are answered all the same
                logger().warning("control.failed", error=f"{type(error).__name__}: {error}")
            finally:
                self._clients -= 1

    async def serve(self, client: ByteStream) -> None:
        """Serve one client, until it disconnects or sends what cannot be understood."""
        study_id = self._runner.study.study_id
        await _send(client, Hello(study_id=study_id, pid=os.getpid()))
        lines = BufferedByteReceiveStream(client)
        while True:
            with anyio.fail_after(_IDLE_S):
                text = await lines.receive_until(b"\n", LONGEST)

            try:
                request = Request.model_validate_json(text)
            except pydantic.ValidationError as error:
                said = tuple(each[:500] for each in sentences_of(error, Request))
                await _send(client, Reply(errors=said))
                return

            await _send(client, await self.answer(request))
            if request.do == "watch":
                await self._watch(client)
                return

            await anyio.sleep(_PACE_S)

    async def answer(self, request: Request) -> Reply:
        """Execute a request, and return where the study stands then, or what is wrong."""
        steering, said = self._runner.steering, {"who": request.who, "reason": request.reason}
        try:
            match request.do:
                case "pause":
                    await steering.pause(**said, now=request.now)
                case "resume":
                    await steering.resume(**said)
                case "stop":
                    await steering.stop(**said, now=request.now, for_good=request.for_good)
                case "set":
                    await steering.set(request.values, **said)
                case "unblind":
                    await steering.unblind(**said)
        except ValidationError as error:
            return Reply(errors=tuple(error.errors), snapshot=self.snapshot())
        except (PenstockError, OSError) as error:
            return Reply(errors=(str(error),), snapshot=self.snapshot())

        return Reply(snapshot=self.snapshot())

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
        known = self.snapshot().model_dump(mode="json")
        while not self._is_over.is_set():
            with anyio.move_on_after(self._every_s):
                await self._is_over.wait()

            now = self.snapshot().model_dump(mode="json")
            changed = {name: value for name, value in now.items() if value != known[name]}
            known = now
            if changed:
                await _send(client, Changed(changed=changed))

        await _send(client, Ended(ended=self.snapshot()))

    @property
    def is_open(self) -> bool:
        """Whether the study has begun and has not ended."""
        return self._runner.has_begun and not self._runner.bus.is_closed

    def snapshot(self) -> Snapshot:
        """Return where the study stands."""
        runner = self._runner
        settings = runner.steering.settings
        return Snapshot(
            study_id=runner.study.study_id,
            pid=os.getpid(),
            began_at=self._began_at,
            summary=runner.summary,
            limit=runner.concurrency,
            left_out=runner.left_out,
            is_paused=runner.steering.is_paused,
            stalls=self._stalls,
            culprit=self._culprit,
            workers=self._workers,
            endpoints=tuple(
                gate
                for each in runner.bindings.resources
                if isinstance(each, Gated)
                for gate in each.endpoints_now()
            ),
            settings={name: settings.value(name) for name in SETTABLE},
        )


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

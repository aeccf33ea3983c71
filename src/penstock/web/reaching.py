"""Reaching a study that runs: in this process, or through its socket."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from penstock.control.channel import Channel, Controlled
from penstock.control.connection import (
    Client,
    LostStudyError,
    NothingRunsError,
    UnreachableStudyError,
    connect,
)
from penstock.control.protocol import Reply, Request, Snapshot
from penstock.errors import ValidationError

__all__ = ["Here", "Reached", "There"]


class Reached(Protocol):
    """Where a study that may be running is asked."""

    async def snapshot(self) -> Snapshot | None:
        """Return where it stands; None where no process runs it.

        Raises:
            UnreachableStudyError: one does, and cannot be asked.
        """
        ...

    async def do(self, request: Request) -> Reply:
        """Have something done.

        Raises:
            PenstockError: no process runs it, or that cannot be asked.
        """
        ...


class Here:
    """A study that this process runs, in this event loop.

    Args:
        runner: The study.
    """

    def __init__(self, runner: Controlled) -> None:
        self._runner = runner
        self._channel = Channel(runner)

    async def snapshot(self) -> Snapshot | None:
        """Return where it stands; None before it has begun and after it has ended."""
        return self._channel.snapshot() if self._channel.is_open else None

    async def do(self, request: Request) -> Reply:
        """Have something done.

        Raises:
            NothingRunsError: the study does not run.
        """
        if not self._channel.is_open:
            raise NothingRunsError(f"the study of {self._runner.output_dir} does not run")

        return await self._channel.answer(request)


class There:
    """A study that another process may run; it is asked over one connection, which is kept.

    Args:
        directory: The study's output directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._connection: AbstractAsyncContextManager[Client] | None = None
        self._client: Client | None = None

    async def snapshot(self) -> Snapshot | None:
        """Return where it stands; None where no process runs it.

        Raises:
            UnreachableStudyError: one does, and cannot be asked.
        """
        try:
            return await self._asked()
        except NothingRunsError:
            return None
        except LostStudyError as error:
            raise UnreachableStudyError(str(error)) from error

    async def _asked(self) -> Snapshot:
        """Ask; of a connection that was left over, ask again over another one."""
        if self._client is not None:
            try:
                return await self._ask(self._client)
            except LostStudyError:
                pass

        self._connection = connect(self._directory)
        self._client = await self._connection.__aenter__()
        return await self._ask(self._client)

    async def _ask(self, client: Client) -> Snapshot:
        is_answered = False
        try:
            snapshot = await client.ask("snapshot")
            is_answered = True
        finally:
            if not is_answered:  # also where whoever asked has gone: an answer may still come
                await self._leave()

        return snapshot

    async def _leave(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            await connection.__aexit__(None, None, None)

    async def do(self, request: Request) -> Reply:
        """Have something done.

        Raises:
            NothingRunsError: no process runs the study.
            UnreachableStudyError: one does, and cannot be asked.
            LostStudyError: it has gone.
        """
        async with connect(self._directory) as client:
            said = request.model_dump(exclude={"do"}, exclude_defaults=True)
            try:
                return Reply(snapshot=await client.ask(request.do, **said))
            except ValidationError as error:
                return Reply(errors=tuple(error.errors))

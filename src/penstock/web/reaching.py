"""Reaching a study that runs: in this process, or through its socket."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import anyio

from penstock.control.connection import (
    Client,
    LostStudyError,
    NothingRunsError,
    UnheardError,
    UnreachableStudyError,
    connect,
)
from penstock.control.controlled import Controlled, Requests
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
        self._requests = Requests(runner)

    async def snapshot(self) -> Snapshot | None:
        """Return where it stands; None before it has begun and after it has ended."""
        return self._requests.snapshot() if self._requests.is_open else None

    async def do(self, request: Request) -> Reply:
        """Have something done.

        Raises:
            NothingRunsError: the study does not run.
        """
        if not self._requests.is_open:
            raise NothingRunsError(f"the study of {self._runner.output_dir} does not run")

        return await self._requests.execute(request)


class There:
    """A study that another process may run; it is asked over one connection, which is kept.

    Args:
        directory: The study's output directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._connection: AbstractAsyncContextManager[Client] | None = None
        self._client: Client | None = None
        self._lock = anyio.Lock()

    async def snapshot(self) -> Snapshot | None:
        """Return where it stands; None where no process runs it.

        Raises:
            UnreachableStudyError: one does, and cannot be asked.
        """
        try:
            return await self._ask(LostStudyError, do="snapshot")
        except NothingRunsError:
            return None
        except LostStudyError as error:
            raise UnreachableStudyError(str(error)) from error

    async def do(self, request: Request) -> Reply:
        """Have something done.

        Raises:
            NothingRunsError: no process runs the study.
            UnreachableStudyError: one does, and cannot be asked.
            LostStudyError: it has gone.
        """
        try:
            said = request.model_dump(exclude_defaults=True)
            return Reply(snapshot=await self._ask(UnheardError, **said))
        except ValidationError as error:
            return Reply(errors=tuple(error.errors))

    async def _ask(self, stale: type[LostStudyError], **said: Any) -> Snapshot:
        """Ask over the connection that is kept; where that is stale, over another one."""
        async with self._lock:
            if self._client is not None:
                try:
                    return await self._ask_over(self._client, said)
                except stale:
                    pass

            self._connection = connect(self._directory)
            self._client = await self._connection.__aenter__()
            return await self._ask_over(self._client, said)

    async def _ask_over(self, client: Client, said: dict[str, Any]) -> Snapshot:
        is_answered = False
        try:
            snapshot = await client.ask(**said)
            is_answered = True
        except ValidationError:
            is_answered = True
            raise
        finally:
            if not is_answered:  # also where whoever asked has gone: an answer may still come
                await self._leave()

        return snapshot

    async def _leave(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            await connection.__aexit__(None, None, None)

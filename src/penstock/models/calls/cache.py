"""The response cache: answers that are kept, so that asking the same again costs nothing.

It is an SQLite file of its own, apart from any study's store. It holds hashes of what was asked
and what was answered; neither requests, nor keys, nor headers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiosqlite
import anyio
import structlog
from pydantic import ValidationError

from penstock._base.atomic_files import share_as_folder
from penstock._base.json import decode, encode
from penstock._base.threads import call_in_thread, with_daemon_thread
from penstock.errors import ForeignDirectoryError, OutputError, StoreError
from penstock.models.chat_model import Completion, CompletionRequest
from penstock.models.endings import ending_of
from penstock.study.identity import stable_json_dumps

__all__ = ["ResponseCache", "cache_key"]

_APPLICATION_ID = 0x70656E63
_LAYOUT = 1
_BUSY_TIMEOUT_S = 30.0
_ADDED = ("max_completion_tokens", "reasoning_effort", "tools", "is_embedding")
_ADDED_TO_MESSAGES = ("name", "tool_calls", "tool_call_id", "is_error", "sealed_reasoning")
"""Fields that earlier versions did not have: without them, keys are what they were."""

_OF_THE_CALL = {"is_cached", "rate_limits", "fields", "cost_usd"}
"""What is not of the answer, and not kept."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS completion (
    key TEXT PRIMARY KEY,       -- SHA-256 of what was asked, and for which call of which attempt
    saved_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    model TEXT NOT NULL,        -- the model that answered
    completion TEXT NOT NULL    -- what it answered, as JSON
) WITHOUT ROWID
"""


def cache_key(
    endpoint: str,
    request: CompletionRequest,
    *,
    replicate: int,
    attempt: int,
    call: int | str,
) -> dict[str, Any]:
    """Return what makes two calls the same: everything that is asked, and for which call.

    Replicates are repeated measurements; without their number in the key the second would be a
    copy of the first.

    Args:
        endpoint: The endpoint's address.
        request: The full request, the model among it.
        replicate: The run's replicate.
        attempt: Which try at the run.
        call: Which of the attempt's calls.
    """
    left_out = {name for name in _ADDED if not getattr(request, name)}
    asked = request.model_dump(mode="json", exclude=left_out)
    for message in asked["messages"]:
        for name in _ADDED_TO_MESSAGES:
            if not message[name]:
                del message[name]

    return {
        "endpoint": endpoint,
        "request": asked,
        "replicate": replicate,
        "attempt": attempt,
        "call": call,
    }


def empty_cache(path: Path) -> int:
    """Delete what a response cache holds, and write the file anew; return how many answers.

    Raises:
        StoreError: it is not a response cache, or cannot be written.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            (found,) = connection.execute("SELECT count(*) FROM completion").fetchone()
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("DELETE FROM completion")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StoreError(f"the response cache {path}: {error}") from error

    return int(found)


class _Flight:
    """A call under way, and those who wait for what becomes of it."""

    def __init__(self) -> None:
        self.is_over = anyio.Event()
        self.completion: Completion | None = None


class ResponseCache:
    """Keeps completions in a file; open inside ``async with``.

    Two processes may use one file at once. What the machine had not written when it crashed is
    asked again.

    Args:
        path: The file; made where it is not there, with its folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._connection: aiosqlite.Connection | None = None
        self._flights: dict[str, _Flight] = {}

    async def __aenter__(self) -> Self:
        """Open the file.

        Raises:
            ForeignDirectoryError: the file is something else, or was written by a newer version.
            StoreError: it cannot be opened.
        """
        await call_in_thread(partial(self.path.parent.mkdir, parents=True, exist_ok=True))
        connection = with_daemon_thread(
            aiosqlite.connect(self.path, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
        )
        try:
            await connection
            share_as_folder(self.path)  # before its log is made, which has the same rights
            await self._prepare(connection)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await connection.close()
                # It waits for nothing where it never opened; its thread still has to end.
                thread: Any = getattr(connection, "_thread", connection)
                await call_in_thread(thread.join)

            if isinstance(error, sqlite3.DatabaseError) and _is_foreign(error):
                raise self._foreign() from error

            if isinstance(error, sqlite3.Error):
                raise StoreError(f"the response cache {self.path}: {error}") from error

            raise

        self._connection = connection
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with anyio.CancelScope(shield=True):
                await connection.close()

    async def complete(
        self,
        key: Mapping[str, Any],
        call: Callable[[], Awaitable[Completion]],
        *,
        anew: bool = False,
    ) -> Completion:
        """Return the completion that is kept, or make the call and keep what it gives.

        Equal calls at the same time are made once. Where the one that is made fails or is
        cancelled, the next makes its own: errors are not kept, nor is an answer of which it is
        not known why it ended.

        Args:
            key: What makes two calls the same (see `cache_key`); it has a stable JSON form.
            call: Makes the call.
            anew: Whether it is made although there is an answer, whose place its own takes.
        """
        hashed = sha256(stable_json_dumps([_LAYOUT, key]).encode()).hexdigest()
        while (flight := self._flights.get(hashed)) is not None:
            await flight.is_over.wait()
            if flight.completion is not None:
                return _as_hit(flight.completion)

        flight = self._flights[hashed] = _Flight()
        try:
            kept = None if anew else await self._find(hashed)
            if kept is not None:
                flight.completion = kept
                return _as_hit(kept)

            flight.completion = await call()
            flight.is_over.set()  # who waits need not wait for the disk
            if _is_worth_keeping(flight.completion):
                await self._keep(hashed, flight.completion)

            return flight.completion
        finally:
            del self._flights[hashed]
            flight.is_over.set()

    async def _find(self, hashed: str) -> Completion | None:
        try:
            query = "SELECT completion FROM completion WHERE key = ?"
            rows = list(await self._opened().execute_fetchall(query, (hashed,)))
            kept = Completion.model_validate(decode(rows[0][0])) if rows else None
            # Earlier versions kept broken answers too.
            return kept if kept is not None and _is_worth_keeping(kept) else None
        except (sqlite3.Error, ValidationError, ValueError) as error:
            _log().warning("cache.unreadable", path=str(self.path), error=str(error))
            return None

    async def _keep(self, hashed: str, completion: Completion) -> None:
        """Save an answer; one that cannot be saved was paid for, and is given all the same."""
        facts = completion.model_dump(exclude=_OF_THE_CALL)
        with anyio.CancelScope(shield=True):
            try:
                values = hashed, completion.model, encode(facts, "completion")
                query = (
                    "INSERT OR REPLACE INTO completion (key, model, completion) VALUES (?, ?, ?)"
                )
                await self._opened().execute_insert(query, values)
            except (sqlite3.Error, OutputError, UnicodeEncodeError) as error:
                _log().warning("cache.save_failed", path=str(self.path), error=str(error))

    async def _prepare(self, connection: aiosqlite.Connection) -> None:
        # one statement sees one state of the file, whoever makes it at the same time
        ((application_id, layout, tables),) = await connection.execute_fetchall(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
            "FROM pragma_application_id, pragma_user_version"
        )
        if tables and (application_id != _APPLICATION_ID or layout > _LAYOUT):
            raise self._foreign()

        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = NORMAL")  # a crash costs calls, not results
        if not tables:
            await connection.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION_ID};"
                f"PRAGMA user_version = {_LAYOUT}; {_SCHEMA}; COMMIT;"
            )

    def _opened(self) -> aiosqlite.Connection:
        if self._connection is None:
            raise RuntimeError(
                f"the response cache {self.path} is not open; use it inside `async with`"
            )

        return self._connection

    def _foreign(self) -> ForeignDirectoryError:
        return ForeignDirectoryError(
            f"{self.path} is not a response cache that this version of penstock can use; "
            "name another file"
        )


def _is_worth_keeping(completion: Completion) -> bool:
    """Return whether an answer ended as one does; a stream that does not say may be broken."""
    is_whole = completion.finish_reason is None and completion.first_token_s is None
    return is_whole or ending_of(completion.finish_reason).is_known


def _is_foreign(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB


def _as_hit(completion: Completion) -> Completion:
    return completion.model_copy(update={"is_cached": True})


def _log() -> Any:
    return structlog.get_logger("penstock.models")

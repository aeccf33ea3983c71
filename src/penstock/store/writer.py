"""The writing side of the store: results in groups, each group durable when `save` returns."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import aiosqlite
import anyio

from penstock._base.loop import call_soon_from_threads, undisturbed
from penstock._base.text import without_surrogates
from penstock.errors import StoreError
from penstock.planning.plan import Plan
from penstock.results import RunResult, timestamp
from penstock.running.binding import Bindings
from penstock.running.tally import Tally
from penstock.store.announced import NO_WAITS, Waits, announced_group, announced_session, in_turn
from penstock.store.calls.stored_calls import StoredCalls
from penstock.store.continuing.beginning import begin_session, declared_problems
from penstock.store.continuing.declaration_rows import study_file_of
from penstock.store.continuing.restored import Restored
from penstock.store.files.directory import OpenFiles
from penstock.store.group import Answered, SessionKeys, count_group, counts, made_group
from penstock.store.last_save import LastSave
from penstock.store.ledger import read_ledger, unsaved
from penstock.store.reader import StoreReader
from penstock.store.scores.new_scores import new_scores
from penstock.store.starts import Starts
from penstock.store.transaction import Statement, store_failure, transact
from penstock.store.unsaved import noted, told_by
from penstock.summary import StudySummary

__all__ = ["Store"]

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")

_END = """
UPDATE session SET ended_at = ?, ending = ?, stopped_because = ?, is_out_of_budget = ? WHERE id = ?
"""


class Store:
    """The open ``study.sqlite`` of one study; used by one task at a time.

    Args:
        connection: The open connection.
        path: The file.
    """

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection
        self._session = SessionKeys()
        self._next_id = 1
        self._starts = Starts()
        self._files = OpenFiles()
        self._reader: StoreReader | None = None
        self._scoring: Mapping[int, Answered] = {}
        self.calls: StoredCalls  # there when a session has begun, as are the tally
        self._tally: Tally  # and what earlier ones left
        self._left: Restored

    async def begin(
        self,
        plan: Plan,
        bindings: Bindings | None = None,
        *,
        rescore: bool = False,
        retry_failed: bool = False,
    ) -> Restored:
        """Start a session: note who writes, and find what earlier sessions left.

        Args:
            plan: The plan of the session.
            bindings: What takes part in it, with what its scores are made by.
            rescore: Whether answers are scored again also where it may cost, or as they are
                declared already.
            retry_failed: Whether what a provider has refused for good is asked again.

        Raises:
            ForeignDirectoryError: the directory holds another study, or this one with other
                seeds, agents or problems.
        """
        bindings = declared_problems(plan.study) if bindings is None else bindings
        async with self._transaction():
            for query, values in await self._call(noted, self.path):
                await self._many(query, values)

            session_id = await self._note_session(plan)
            begun = partial(
                begin_session,
                plan=plan,
                bindings=bindings,
                rescore=rescore,
                retry_failed=retry_failed,
            )
            self._session, self._left = await self._call(begun, self.path.parent, session_id)

        self._starts = Starts(self.path.parent, session_id)
        self.calls = StoredCalls(session_id, self._do, self._read, asks_again=retry_failed)
        (last,) = (await self._all("SELECT coalesce(max(id), 0) FROM attempt"))[0]
        self._next_id = last + 1
        self._tally = Tally(await self._read_summary(), restored=self._left.kept)
        await self.write([self._counts(self._tally)])
        self._files = OpenFiles(self.path, self.path.with_name(f"{self.path.name}-wal"))
        return self._left

    def note_start(self, count: int = 1) -> None:
        """Count an attempt whose agent is about to be called, also should we be killed.

        Args:
            count: -1 to take one back whose agent has called nobody.
        """
        self._starts.note(count)

    def note_spent(self, cost_usd: float, tokens: int) -> None:
        """Keep what calls of models may have cost in this session so far, also should we be killed.

        Args:
            cost_usd: US dollars, calls under way at their worst case.
            tokens: The same in tokens.
        """
        self._starts.risk(cost_usd, tokens)

    def summary(self) -> StudySummary:
        """Return where the study stands with all that is saved; the session has begun."""
        self._tally.started = self._starts.count
        return self._tally.summary()

    async def end(self, ending: str, seen: StudySummary | None = None) -> StudySummary:
        """Note how the session ended, and say what the study came to.

        Args:
            ending: How: ``complete``, ``failed``, or ``stopped`` and why.
            seen: What the session knows of its end that the store does not: why it came early.
        """
        why = (None, False) if seen is None else (seen.stopped_because, seen.is_out_of_budget)
        ended = (_END, [(timestamp(), ending, *why, self._session.id)])
        account = unsaved(self._tally.session(), *self._starts.spent)  # runs may be left behind
        self._tally.uncounted_cost_usd = account.uncounted_cost_usd
        self._tally.uncounted_tokens = account.uncounted_tokens
        self._files = OpenFiles()
        await self.write([self._counts(self._tally), ended])
        with suppress(StoreError):  # its directory may be gone by now
            return await self._read_summary()

        return self.summary()

    async def keep(self, what: str, **told: Any) -> None:
        """Keep that the session has begun or ended, as it is announced, to be told again.

        Args:
            what: The class of the event.
            **told: Its fields.
        """
        await self.write([announced_session(self._session.id, what, told)])

    async def save(
        self, results: Sequence[tuple[RunResult, bool]], waits: Waits = NO_WAITS
    ) -> StudySummary:
        """Save attempts in one transaction; when this returns they survive a crash.

        Args:
            results: Each attempt, and whether it is its run's result.
            waits: How long runs wait that are tried again.

        Returns:
            Where the study stands with them.

        Raises:
            StoreError: they cannot be written, as on a full disk, or nobody could find them: the
                store was moved, removed or replaced. None of them is saved.
        """
        made = [each for each in results if not each[0].is_rescored]
        group = made_group(made, self._session, self._next_id, self._scoring, waits)
        self._next_id = group.next_id  # no id is given twice, whatever becomes of this group
        tally = self._tally.copy()
        again = [each for each, _ in results if each.is_rescored]
        none: tuple[list[Statement], list[int]] = ([], [])
        news = await self._call(new_scores, self._session, again, tally) if again else none
        count_group(tally, results, self._scoring, self._left)
        # Before they are saved: what a kill in between counts twice is never counted not at all.
        self._starts.add(*told_by((result for result, _ in made), self._scoring))
        counted = self._counts(tally)
        told = in_turn(results, group.listed, news[1], waits)
        kept = announced_group(self._session.id, told, results, tally)
        await self.write([*group.statements, *news[0], counted, kept])
        self._tally, self._scoring = tally, group.scoring
        return tally.summary()

    async def recall(self, position: int) -> RunResult:
        """Return the stored result at a position of the plan."""
        return await self._call(lambda _: self._opened_reader().result_at(position))

    async def _read(self, read: Callable[[sqlite3.Connection], Value]) -> Value:
        """Return what a function makes of a connection that reads, in the thread of this one."""
        return await self._call(lambda _: read(self._opened_reader().connection))

    def _opened_reader(self) -> StoreReader:
        if self._reader is None:
            self._reader = StoreReader(self.path.parent)

        return self._reader

    def save_at_once(
        self, results: Sequence[tuple[RunResult, bool]], waits: Waits = NO_WAITS
    ) -> int:
        """Save what is not saved yet although the event loop stands still; return how many were.

        Only for a process that is about to end: the store is not to be used afterwards.

        Raises:
            StoreError: the store was moved, removed or replaced.
            sqlite3.Error: it cannot be written.
        """
        self._refuse_displaced()
        return LastSave(self.path, self._session, self._left, self._starts, waits).save(results)

    def close(self) -> None:
        """Close what was opened beside the connection."""
        self._starts.close()
        if self._reader is not None:
            self._reader.close()

    def _counts(self, tally: Tally) -> Statement:
        tally.started = self._starts.count
        return counts(tally, self._session)

    async def _read_summary(self) -> StudySummary:
        return await self._call(_summary, self.path.parent)

    async def _note_session(self, plan: Plan) -> int:
        file = study_file_of(plan.study, self.path.parent)
        who = (os.getpid(), socket.gethostname(), version("penstock"))
        cursor = await self._connection.execute(
            "INSERT INTO session (started_at, pid, host, version, planned, study_file) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (timestamp(), *who, len(plan), file),
        )
        return int(cursor.lastrowid or 0)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        """All or nothing, also where the task is cancelled in the middle."""
        with anyio.CancelScope(shield=True):
            await self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                await self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    await self._connection.execute("ROLLBACK")

                raise

    async def write(self, statements: Sequence[Statement]) -> None:
        """Execute statements in one transaction; when this returns they survive a crash."""
        await self._do(partial(transact, statements=statements))

    async def _do(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do a transaction in one call of the connection's thread.

        The transaction is over when this returns, whoever cancels the task that waits for it:
        asyncio's own cancellations, which pass every shield, have no effect.
        """
        ended, raised = anyio.Event(), list[BaseException]()
        call_soon = call_soon_from_threads()

        def transact_all(connection: sqlite3.Connection) -> None:
            try:
                self._refuse_displaced()
                self._starts.sync()
                work(connection)
            except BaseException as error:  # noqa: BLE001 - raised again, below
                raised.append(error)

            call_soon(ended.set)

        with anyio.CancelScope(shield=True), suppress(anyio.get_cancelled_exc_class()):
            await self._call(transact_all)

        await undisturbed(ended.wait)
        for error in raised:
            if isinstance(error, sqlite3.Error):
                raise store_failure(self.path, error) from error

            raise error

    def _refuse_displaced(self) -> None:
        if path := self._files.displaced():
            raise StoreError(
                f"{path} was moved, removed or replaced while the study ran. What is made from now "
                "on could not be kept, so the study stops; what was saved before is where that "
                "file is now. Put it back, or run the study again to make what is missing"
            )

    async def _call(
        self,
        function: Callable[Concatenate[sqlite3.Connection, Arguments], Value],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Value:
        """Call a function over the connection, in the connection's thread."""
        # aiosqlite has no public name for it
        connection = self._connection
        call: Callable[..., Awaitable[Value]] = connection._execute  # noqa: SLF001
        return await call(partial(function, connection._conn, *arguments, **named))  # noqa: SLF001

    async def _many(self, query: str, values: Sequence[Sequence[Any]]) -> None:
        await self._connection.executemany(query, without_surrogates(values))

    async def _all(self, query: str) -> list[Any]:
        return list(await self._connection.execute_fetchall(query))


def _summary(_: sqlite3.Connection, directory: Path) -> StudySummary:
    with StoreReader(directory) as store:
        return read_ledger(store).summary

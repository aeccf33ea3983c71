"""Watching a study: through its socket, else in its store."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import anyio

from penstock.cli.exit_codes import ExitCode
from penstock.cli.output import emit, say
from penstock.cli.steered import who_runs_it
from penstock.cli.steering_records import Watched
from penstock.control.address import Address, read_address
from penstock.control.connection import (
    LostStudyError,
    NothingRunsError,
    UnreachableStudyError,
    connect,
)
from penstock.control.protocol import Snapshot
from penstock.errors import StoreError
from penstock.store.ledger import Ledger, read_ledger
from penstock.store.reader import StoreReader
from penstock.subscribers.progress import Board, display
from penstock.summary import StudySummary

__all__ = ["Watching"]

_LOOK_S = 0.5
"""So often it is looked whether a process runs the study."""

_READ_S = 2.0
"""So often a store is read whose study runs where it cannot be reached."""

_NUMBERS = (
    "planned",
    "succeeded",
    "failed",
    "skipped",
    "remaining",
    "in_flight",
    "attempts",
    "cost_usd",
    "input_tokens",
    "output_tokens",
)


class Watching:
    """Shows one study until its session ends.

    Args:
        directory: Its output directory.
        json: Whether it is shown to a machine, on stdout.
        waits: Whether to wait for a process that runs it, also after one has gone.
    """

    def __init__(self, directory: Path, *, json: bool, waits: bool) -> None:
        self._directory = directory
        self._json = json
        self._waits = waits
        self._is_told = False

    async def run(self) -> int:
        """Show it; return the exit code."""
        while True:
            try:
                await self._watch_or_read()
            except (NothingRunsError, LostStudyError) as error:
                self._tell(error)
                if not self._waits:
                    return ExitCode.NOTHING_RUNS

                await anyio.sleep(_LOOK_S)
            else:
                return ExitCode.COMPLETE

    async def _watch_or_read(self) -> None:
        is_over = False
        while not is_over:
            address = read_address(self._directory)
            try:
                await self._watch()
                is_over = True
            except UnreachableStudyError as error:
                say(f"{error}; this is what it has saved")
                is_over = await self._read(address)

    async def _watch(self) -> None:
        """Show what the process that runs it says."""
        async with connect(self._directory) as client:
            self._is_told = False
            last: Snapshot | None = None
            board = Board()
            with display(sys.stderr) as show:
                async for last in client.watch():
                    self._show(board, last, show)

                board.is_over = True
                if last is not None and not self._json:
                    show(board)

        if last is not None:
            self._emit(last.summary, last.summary.ending, last.pid, last.limit)

    def _show(self, board: Board, now: Snapshot, show: Callable[[Board], None]) -> None:
        summary = now.summary
        stopping = "stopping" if summary.stopped_because else "running"
        state = "paused" if now.is_paused else stopping
        if self._json:
            self._emit(summary, state, now.pid, now.limit)
            return

        board.stalls, board.culprit, board.workers = now.stalls, now.culprit, now.workers
        board.see(
            summary,
            lasts_s=(datetime.now(UTC) - now.began_at).total_seconds(),
            limit=now.limit,
            left_out=now.left_out,
            news=state if now.is_paused else "",
        )
        show(board)

    async def _read(self, address: Address | None) -> bool:
        """Show what is saved of it; return whether its session has ended.

        Args:
            address: Where it could not be reached. One that has just begun says later where it
                can, and what a killed one has left says nothing of it.
        """
        board = Board()
        with display(sys.stderr) as show:
            while True:
                ledger = self._ledger()
                is_over = board.is_over = ledger.state != "running"
                began_at = datetime.fromisoformat(ledger.sessions[-1]["started_at"])
                if self._json:
                    self._emit(ledger.summary, ledger.state)
                else:
                    lasts_s = (datetime.now(UTC) - began_at).total_seconds()
                    board.see(ledger.summary, lasts_s=lasts_s, limit=None, left_out=0, news="")
                    show(board)

                if is_over:
                    return True

                await anyio.sleep(_READ_S)
                if read_address(self._directory) != address:
                    return False

    def _tell(self, error: Exception) -> None:
        """Report that no process runs it, and what was saved; once for each that has gone."""
        if self._is_told:
            return

        self._is_told = True
        say(str(error), *who_runs_it(self._directory))
        try:
            ledger = self._ledger()
        except StoreError:  # there is no study; it has just been said
            return

        self._emit(ledger.summary, ledger.state)

    def _ledger(self) -> Ledger:
        with StoreReader(self._directory) as store, store.snapshot():
            return read_ledger(store)

    def _emit(
        self, summary: StudySummary, state: str, pid: int | None = None, limit: int | None = None
    ) -> None:
        if self._json:
            emit(
                Watched(
                    study_id=summary.study_id,
                    state=state,
                    pid=pid,
                    concurrency=limit,
                    output_dir=str(self._directory.absolute()),
                    **{name: getattr(summary, name) for name in _NUMBERS},
                )
            )

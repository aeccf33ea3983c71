"""What the commands share that act on a study which another process runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import anyio
import typer

from penstock._base.fact import changed
from penstock.cli.exit_codes import ExitCode
from penstock.cli.output import counted, emit, say
from penstock.cli.steering_records import Acted
from penstock.control.connection import Client, LostStudyError, NothingRunsError, connect
from penstock.control.protocol import Snapshot
from penstock.errors import PenstockError
from penstock.store.actions import this_person
from penstock.store.ledger import read_ledger
from penstock.store.reader import StoreReader

__all__ = ["act", "leave_alone", "who_runs_it"]


def act(directory: Path, do: str, *, reason: str = "", json: bool, **said: Any) -> Snapshot:
    """Send an action to the process that runs a study, and return where the study stands then.

    After a pause that is when nothing is in flight any more, after a stop when the session has
    ended.

    Args:
        directory: The study's output directory.
        do: What.
        reason: Why.
        json: Whether a line for machines is written.
        **said: What else the request says.

    Raises:
        NothingRunsError: no process runs it.
        UnreachableStudyError: one does, and cannot be reached.
        ValidationError: it cannot be done, or not so.
    """
    who = this_person()
    snapshot = anyio.run(_acted, directory, do, {"who": who, "reason": reason, **said})
    if json:
        emit(
            Acted(
                study_id=snapshot.study_id,
                what=do,
                who=who,
                reason=reason,
                pid=snapshot.pid,
                in_flight=snapshot.summary.in_flight,
                concurrency=snapshot.limit,
                is_paused=snapshot.is_paused,
                settings=snapshot.settings,
                output_dir=str(directory.absolute()),
            )
        )

    return snapshot


async def _acted(directory: Path, do: str, said: dict[str, Any]) -> Snapshot:
    async with connect(directory) as client:
        done = await client.ask(do, **said)
        if do in ("pause", "stop"):
            return await _settled(client, directory, done)

    return done


async def _settled(client: Client, directory: Path, last: Snapshot) -> Snapshot:
    """Wait until nothing is in flight, or the session has ended."""
    if flying := last.summary.in_flight:
        say(f"waiting for {counted(flying, 'run')} in flight to end")

    try:
        async for last in client.watch():  # noqa: PLR1704 - the last one is meant
            if last.is_paused and not last.summary.in_flight and not last.summary.stopped_because:
                break
    except LostStudyError:  # it has ended before anybody was told; its store tells
        with StoreReader(directory) as store, store.snapshot():
            return changed(last, summary=read_ledger(store).summary)

    return last


def leave_alone(directory: Path, error: NothingRunsError) -> NoReturn:
    """Report that nothing runs, and which command goes on; exit with the code that says so.

    Raises:
        typer.Exit: always.
    """
    say(f"{error}", *who_runs_it(directory))
    raise typer.Exit(ExitCode.NOTHING_RUNS)


def who_runs_it(directory: Path) -> list[str]:
    """Describe where a study that no process runs stands, and which command goes on with it."""
    try:
        with StoreReader(directory) as store, store.snapshot():
            ledger, file = read_ledger(store), store.study_file()
    except PenstockError as error:
        return [str(error)]

    summary = ledger.summary
    left = summary.remaining + summary.failed
    if not left:
        return [f"{summary.study_id} is complete: {counted(summary.planned, 'run')}"]

    made = f"{summary.done - summary.failed:,} of {summary.planned:,} runs are made"
    command = f"penstock run {directory}"
    if file is None:
        command = "run the Python code again that made it"

    return [
        f"{summary.study_id}: {made}; last session: {ledger.state}",
        f"to go on: {command}",
    ]

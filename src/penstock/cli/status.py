"""``penstock status``: where a study stands, also while it runs."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli.arguments import JsonOption, TargetArgument
from penstock.cli.output import counted, emit, errors_told, failure_rows, listed, say
from penstock.store import STORE_FILE

if TYPE_CHECKING:
    from penstock.cli.directory_records import Standing

__all__ = ["status"]


@errors_told()
def status(study: TargetArgument = None, *, json: JsonOption = False) -> None:
    """Show where a study stands, also while it runs; of a folder, all studies below it."""
    from penstock.cli.target import find_folder
    from penstock.store.files.directory import results_below

    directory = find_folder(study)
    below = results_below(directory)
    found = [_standing(each) for each in below or [directory]]
    if json:
        for each in found:
            emit(each)
    elif below:
        say(*listed([_row(directory, each) for each in found], most=len(found)))
    else:
        _tell(found[0])


def _standing(directory: Path) -> Standing:
    from penstock.cli.directory_records import Standing
    from penstock.errors import StoreError
    from penstock.store.reader import StoreReader

    try:
        with StoreReader(directory) as store, store.snapshot():
            return Standing.of(store)
    except sqlite3.Error as error:
        raise StoreError(f"{directory / STORE_FILE} cannot be read: {error}") from error


def _row(folder: Path, found: Standing) -> tuple[str, ...]:
    done = found.planned - found.remaining
    return (
        os.path.relpath(found.output_dir, folder.absolute()),
        f"{done:,}/{found.planned:,} done",
        f"{found.failed:,} failed",
        found.state,
    )


def _tell(found: Standing) -> None:
    from penstock.summary import cost_in_words, endings_in_words

    session = found.last_session
    done = ", ".join(
        f"{getattr(found, name):,} {name}"
        for name in ("succeeded", "failed", "skipped", "remaining")
    )
    tokens = found.input_tokens + found.output_tokens
    used = f"{tokens:,} tokens" if tokens else ""
    cost = cost_in_words(found.cost_usd, found.uncounted_cost_usd, found.unpriced)
    say(
        f"{found.study_id}: {found.title}",
        f"runs: {found.planned:,} planned, {done}",
        ", ".join(each for each in (f"attempts: {found.attempts:,}", used, cost) if each),
        f"last session (of {found.sessions:,}): {found.state}; process {session.pid} on "
        f"{session.host} since {session.started_at}",
    )
    if found.paused:
        say(found.paused)

    if found.lost_calls:
        say(f"{counted(found.lost_calls, 'call')} may have been paid for without a result")

    if found.unknown_endings:
        say(endings_in_words(found.unknown_endings))

    if found.not_scored:
        by = ", ".join(f"{count:,} by {name!r}" for name, count in found.not_scored.items())
        say(f"answers that are not scored: {by}; `penstock run --rescore` has them scored")

    if found.held_log_bytes:
        say(
            f"study.sqlite-wal has {found.held_log_bytes / 1e6:,.0f} MB and grows: another program "
            "stays in a transaction on study.sqlite; the log is emptied when that one ends"
        )

    if found.failures:
        say("failures:", *listed(failure_rows(found.failures), most=5))

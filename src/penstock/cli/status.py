"""``penstock status``: where a study stands, also while it runs."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from penstock.cli.arguments import JsonOption, TargetArgument
from penstock.cli.output import counted, emit, errors_told, failure_rows, listed, say

if TYPE_CHECKING:
    from penstock.cli.directory_records import Standing

__all__ = ["status"]


@errors_told()
def status(study: TargetArgument = None, *, json: JsonOption = False) -> None:
    """Show where a study stands, also while it runs."""
    from penstock.cli.standing import standing
    from penstock.cli.target import find_directory
    from penstock.errors import StoreError
    from penstock.store.reader import StoreReader

    directory = find_directory(study)
    try:
        with StoreReader(directory) as store, store.snapshot():
            found = standing(store)
    except sqlite3.Error as error:
        raise StoreError(f"{directory / 'study.sqlite'} cannot be read: {error}") from error

    if json:
        emit(found)
    else:
        _tell(found)


def _tell(found: Standing) -> None:
    session = found.last_session
    done = ", ".join(
        f"{getattr(found, name):,} {name}"
        for name in ("succeeded", "failed", "skipped", "remaining")
    )
    tokens = found.input_tokens + found.output_tokens
    say(
        f"{found.study_id}: {found.title}",
        f"runs: {found.planned:,} planned, {done}",
        f"attempts: {found.attempts:,}, {tokens:,} tokens, ${found.cost_usd:,.4f}",
        f"last session (of {found.sessions:,}): {found.state}; process {session.pid} on "
        f"{session.host} since {session.started_at}",
    )
    if found.lost_calls:
        say(f"{counted(found.lost_calls, 'call')} may have been paid for without a result")

    if found.failures:
        say("failures:", *listed(failure_rows(found.failures), most=5))

"""``penstock status``: where a study stands, also while it runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from penstock.cli.arguments import DirectoryArgument, JsonOption
from penstock.cli.output import counted, emit, errors_told, listed, say

__all__ = ["status"]


@errors_told()
def status(directory: DirectoryArgument, *, json: JsonOption = False) -> None:
    """Show where a study stands, also while it runs."""
    from penstock.cli.standing import failure_rows, standing
    from penstock.errors import StoreError
    from penstock.store.reader import StoreReader

    try:
        with StoreReader(directory) as store, store.snapshot():
            found, failures = standing(store), failure_rows(store)
    except sqlite3.Error as error:
        raise StoreError(f"{directory / 'study.sqlite'} cannot be read: {error}") from error

    if json:
        emit("status", **found)
    else:
        _tell(found, failures)


def _tell(status: Mapping[str, Any], failures: list[tuple[str, ...]]) -> None:
    session = status["last_session"]
    done = ", ".join(
        f"{status[name]:,} {name}" for name in ("succeeded", "failed", "skipped", "remaining")
    )
    who = f"process {session['pid']} on {session['host']} since {session['started_at']}"
    tokens = status["input_tokens"] + status["output_tokens"]
    say(
        f"{status['study_id']}: {status['title']}",
        f"runs: {status['planned']:,} planned, {done}",
        f"attempts: {status['attempts']:,}, {tokens:,} tokens, ${status['cost_usd']:,.4f}",
        f"last session (of {status['sessions']:,}): {status['state']}; {who}",
    )
    if status["lost_calls"]:
        say(f"{counted(status['lost_calls'], 'call')} may have been paid for without a result")

    if failures:
        say("failures:", *listed(failures, most=5))

"""What can be wrong with a store, each with what to do: the checks of ``penstock doctor``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from penstock.errors import PenstockError, StoreError
from penstock.planning.plan import plan
from penstock.store.claims import links_in
from penstock.store.lock import is_held
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION
from penstock.store.starts import read_starts

__all__ = ["Finding", "examine_store"]

_SHOWN = 3


class Finding(NamedTuple):
    """Something that was found."""

    is_wrong: bool
    """Whether something is damaged; else it is only worth knowing."""

    what: str
    advice: str = ""


def examine_store(directory: Path) -> Iterator[Finding]:
    """Look at the store of a directory, which may be in use; nothing is changed.

    Raises:
        StoreError: there is no store that can be read at all.
    """
    with StoreReader(directory) as store:
        try:
            with store.snapshot():
                yield from _integrity(store)
                yield from _layout(store)
                yield from _links(directory)
                yield from _sessions(store)
                yield from _results(store)
        except sqlite3.Error as error:
            raise StoreError(
                f"{directory / 'study.sqlite'} is damaged: {error}; restore a copy of it, or save "
                "what can be saved with: sqlite3 study.sqlite .recover"
            ) from error


def _integrity(store: StoreReader) -> Iterator[Finding]:
    faults = [text for (text,) in store.table("PRAGMA integrity_check") if text != "ok"]
    if faults:
        yield Finding(
            is_wrong=True,
            what=f"study.sqlite is damaged: {'; '.join(faults[:_SHOWN])}",
            advice="restore a copy of it, or save what can be saved: sqlite3 study.sqlite .recover",
        )

    for table in ("observation", "scored", "evaluation"):
        query = f"SELECT count(*) FROM {table} WHERE attempt_id NOT IN (SELECT id FROM attempt)"  # noqa: S608
        ((orphans,),) = store.table(query)
        if orphans:
            yield Finding(
                is_wrong=True,
                what=f"{orphans:,} rows of {table} belong to no attempt",
                advice="the file was edited by something else; restore a copy of it",
            )


def _layout(store: StoreReader) -> Iterator[Finding]:
    ((layout,),) = store.table("PRAGMA user_version")
    if layout < SCHEMA_VERSION:
        yield Finding(
            is_wrong=False,
            what=f"study.sqlite has layout {layout}, the one of today is {SCHEMA_VERSION}",
            advice="the next run brings it up to date and keeps a copy",
        )


def _links(directory: Path) -> Iterator[Finding]:
    if links := links_in(directory):
        yield Finding(
            is_wrong=True,
            what=f"links to elsewhere: {', '.join(links)}; nothing is written through them",
            advice="put what they lead to in their place, or remove them",
        )


def _sessions(store: StoreReader) -> Iterator[Finding]:
    ((last, ended_at),) = store.table("SELECT coalesce(max(id), 0), ended_at FROM session")
    counted_by, started = read_starts(store.directory)
    if counted_by > last:
        yield Finding(
            is_wrong=True,
            what=f"the store knows nothing of the last session, which made {started:,} calls",
            advice="study.sqlite is an older copy, or study.sqlite-wal was deleted; put it back",
        )
    elif ended_at is None and not is_held(store.directory):
        yield Finding(
            is_wrong=False,
            what="the last session was killed",
            advice="run the study again: it goes on from what was saved",
        )


def _results(store: StoreReader) -> Iterator[Finding]:
    found = dict(store.table("SELECT position, run_id FROM attempt WHERE final AND position >= 0"))
    try:
        planned = plan(store.study(), list(store.conditions()))
    except (PenstockError, ValueError):
        planned = None

    ((expected,),) = store.table(
        "SELECT coalesce(max(planned), 0) FROM session WHERE id = (SELECT max(id) FROM session)"
    )
    if planned is None or len(planned) != expected:
        yield Finding(is_wrong=False, what="the plan was made in Python, so it is not checked here")
        return

    wrong = [
        run_id
        for position, run_id in found.items()
        if position >= len(planned) or planned.at(position).run_id != run_id
    ]
    if wrong:
        yield Finding(
            is_wrong=True,
            what=f"{len(wrong):,} results are not where the plan has them: "
            f"{', '.join(islice(wrong, _SHOWN))}",
            advice="the file was edited by something else; restore a copy of it",
        )

    if missing := len(planned) - len(found):
        yield Finding(
            is_wrong=False,
            what=f"{missing:,} of {len(planned):,} runs have no result yet",
            advice="run the study again: it makes them, and nothing else",
        )

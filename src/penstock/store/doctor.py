"""What can be wrong with a store, each with what to do: the checks of ``penstock doctor``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from penstock.errors import StoreError
from penstock.store.findings import EDITED, SHOWN, Finding
from penstock.store.lock import is_held
from penstock.store.ownership import links_in
from penstock.store.plan_checks import examine_plan, examine_schema
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION
from penstock.store.starts import read_starts

__all__ = ["Finding", "examine_store"]


def examine_store(directory: Path) -> Iterator[Finding]:
    """Examine the store of a directory, which may be in use; nothing is changed.

    Raises:
        StoreError: there is no store that can be read at all.
    """
    with StoreReader(directory) as store:
        try:
            with store.snapshot():
                yield from _links(directory)
                yield from _layout(store)
                if misshapen := [*examine_schema(store)]:
                    yield from misshapen
                    return  # what is asked of it next may not be there

                yield from _integrity(store)
                yield from _sessions(store)
                yield from examine_plan(store)
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
            what=f"study.sqlite is damaged: {'; '.join(faults[:SHOWN])}",
            advice="restore a copy of it, or save what can be saved: sqlite3 study.sqlite .recover",
        )

    for table in ("observation", "scored", "evaluation"):
        query = f"SELECT count(*) FROM {table} WHERE attempt_id NOT IN (SELECT id FROM attempt)"  # noqa: S608
        ((orphans,),) = store.table(query)
        if orphans:
            yield Finding(
                is_wrong=True,
                what=f"{orphans:,} rows of {table} belong to no attempt",
                advice=EDITED,
            )


def _layout(store: StoreReader) -> Iterator[Finding]:
    layout = store.layout
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

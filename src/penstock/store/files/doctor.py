"""What can be wrong with a store, each with what to do: the checks of ``penstock doctor``.

A store keeps the fingerprint of the plan that its positions count in. So what it declares can be
held against that, and every result against what it declares, whoever made the plan.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from penstock._base.json import decode
from penstock._base.text import readable
from penstock.errors import PenstockError, StoreError
from penstock.planning.fingerprint import fingerprint_of
from penstock.planning.plan import Plan, RunSpec, plan
from penstock.results import RunStatus
from penstock.store import STORE_FILE
from penstock.store.files.lock import is_held
from penstock.store.files.ownership import links_in
from penstock.store.layout import objects_of, wanted_objects
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION
from penstock.store.starts import read_starts
from penstock.study.identity import condition_id

__all__ = ["EDITED", "SHOWN", "Finding", "examine_store"]

SHOWN = 3
"""So many examples of a fault are named."""

EDITED = "the file was edited by something else; restore a copy of it"

_SPEC = ("run_id", "condition_id", "problem_id", "agent_id", "replicate", "seed")
"""What a result says of its run, beside its position."""

_ENDS = frozenset({RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.SKIPPED})
_JSON = ("outputs", "metrics", "provenance", "trace_refs")


class Finding(NamedTuple):
    """Something that was found."""

    is_wrong: bool
    """Whether something is damaged; else it is only worth knowing."""

    what: str
    advice: str = ""


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
                if misshapen := [*_schema(store)]:
                    yield from misshapen
                    return  # what is asked of it next may not be there

                yield from _integrity(store)
                yield from _sessions(store)
                yield from _plan(store)
        except sqlite3.Error as error:
            raise StoreError(
                f"{directory / STORE_FILE} is damaged: {error}; restore a copy of it, or save "
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


def _schema(store: StoreReader) -> Iterator[Finding]:
    """Compare the tables, views and indexes of a store with those of its layout."""
    if store.layout != SCHEMA_VERSION:
        return  # it is shown through views that stand nowhere

    wanted = wanted_objects()
    found = objects_of(store.connection)
    wrong = [name for name, text in wanted.items() if found.get(name) != text]
    if wrong:
        yield Finding(
            is_wrong=True,
            what=f"study.sqlite has not the layout it says it has: {', '.join(sorted(wrong))}",
            advice=EDITED,
        )


def _plan(store: StoreReader) -> Iterator[Finding]:
    """Check every condition against its id, and every result against the plan."""
    yield from _conditions(store)
    yield from _unreadable(store)
    try:
        planned = _planned(store)
    except (PenstockError, ValueError):
        yield Finding(
            is_wrong=False,
            what="the study was made in Python and its plan cannot be made again from what is "
            "stored, so results are not held against it",
        )
        return

    if planned is None:
        yield Finding(
            is_wrong=True,
            what="the conditions, agents, problems or seeds that the store declares are not those "
            "of the plan that its results were made in",
            advice=EDITED,
        )
        return

    if len(planned) != store.planned():
        yield Finding(
            is_wrong=True,
            what=f"the last session planned {store.planned():,} runs, and what the store declares "
            f"makes {len(planned):,}",
            advice=EDITED,
        )

    yield from _results(store, planned)


def _conditions(store: StoreReader) -> Iterator[Finding]:
    wrong = [
        name
        for name, factors, blocks, metadata in store.table(
            "SELECT condition_id, factors, blocks, metadata FROM condition"
        )
        # Whoever makes a Condition in Python may call it what they like.
        if "fingerprint" in decode(metadata)
        and name != condition_id(f'{{"blocks":{blocks},"factors":{factors}}}')
    ]
    if wrong:
        yield Finding(
            is_wrong=True,
            what=f"{len(wrong):,} conditions are not what their ids say: "
            f"{', '.join(wrong[:SHOWN])}",
            advice=EDITED,
        )


def _unreadable(store: StoreReader) -> Iterator[Finding]:
    """Find texts that are not JSON; a NaN is not to SQLite, and is to us."""
    for column in _JSON:
        query = f"SELECT run_id, {column} FROM attempt WHERE NOT json_valid({column})"  # noqa: S608
        wrong = [run_id for run_id, text in store.table(query) if not _is_json(text)]
        if wrong:
            yield Finding(
                is_wrong=True,
                what=f"the {column} of {len(wrong):,} attempts cannot be read: "
                f"{', '.join(wrong[:SHOWN])}",
                advice=EDITED,
            )


def _is_json(text: str) -> bool:
    try:
        decode(text)
    except ValueError:
        return False

    return True


def _planned(store: StoreReader) -> Plan | None:
    """Make the plan again that positions count in; None where what is stored makes another.

    Raises:
        PenstockError: what is stored makes none.
        ValueError: some of the study only Python knows.
    """
    study, conditions = store.study(), list(store.conditions())
    ((fingerprint,),) = store.table("SELECT fingerprint FROM study")
    for standalone in (False, True):  # where a condition runner did the runs
        planned = plan(study, conditions, standalone=standalone)
        if fingerprint_of(planned) == fingerprint:
            return planned

    return None


def _results(store: StoreReader, planned: Plan) -> Iterator[Finding]:
    query = (
        f"SELECT position, status, {', '.join(_SPEC)} FROM attempt WHERE final AND position >= 0"  # noqa: S608
    )
    found, wrong = 0, []
    for position, status, *cells in store.table(query):
        is_planned = position < len(planned)
        found += is_planned
        if not is_planned or status not in _ENDS or cells != _cells(planned.at(position)):
            wrong.append(cells[0])

    if wrong:
        yield Finding(
            is_wrong=True,
            what=f"{len(wrong):,} results are not where the plan has them, or not of the run "
            f"that it has there: {', '.join(islice(wrong, SHOWN))}",
            advice=EDITED,
        )

    if missing := len(planned) - found:
        yield Finding(
            is_wrong=False,
            what=f"{missing:,} of {len(planned):,} runs have no result yet",
            advice="run the study again: it makes them, and nothing else",
        )


def _cells(spec: RunSpec) -> list[str | int]:
    cells = (getattr(spec, name) for name in _SPEC)
    return [readable(cell) if isinstance(cell, str) else cell for cell in cells]

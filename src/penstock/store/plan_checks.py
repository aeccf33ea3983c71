"""Whether a store holds what it was made with: its tables, its conditions, the runs of its plan.

A store keeps the fingerprint of the plan that its positions count in. So what it declares can be
held against that, and every result against what it declares, whoever made the plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from penstock._base.json import decode
from penstock._base.text import readable
from penstock.errors import PenstockError
from penstock.planning.fingerprint import fingerprint_of
from penstock.planning.plan import Plan, RunSpec, plan
from penstock.results import RunStatus
from penstock.store.findings import EDITED, SHOWN, Finding
from penstock.store.layout import objects_of, wanted_objects
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION
from penstock.study.identity import condition_id

__all__ = ["examine_plan", "examine_schema"]

_SPEC = ("run_id", "condition_id", "problem_id", "agent_id", "replicate", "seed")
"""What a result says of its run, beside its position."""

_ENDS = frozenset({RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.SKIPPED})
_JSON = ("outputs", "metrics", "provenance", "trace_refs")


def examine_schema(store: StoreReader) -> Iterator[Finding]:
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


def examine_plan(store: StoreReader) -> Iterator[Finding]:
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

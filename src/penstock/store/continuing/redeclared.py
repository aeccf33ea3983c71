"""What a study declares otherwise than when its first results were made, each change an action.

A hypothesis that is declared after the runs have ended is not what they were made to test. So each
session holds what is declared now against what the one before declared, and keeps what differs
with its date and how many runs had ended; the report says it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from penstock._base.json import decode, encode
from penstock._base.text import without_surrogates
from penstock.planning.plan import Plan
from penstock.results import timestamp
from penstock.running.binding import Bindings
from penstock.store.actions import DECLARE, KEEP_ACTION, Action, this_user
from penstock.store.continuing.declaration_rows import definition_of
from penstock.store.continuing.origins import redeclared_problems
from penstock.store.ended_runs import count_ended

__all__ = ["changes_told", "declared_otherwise", "keep_redeclared"]

_NAMED_BY = {
    "hypotheses": "hypothesis_id",
    "outcomes": "name",
    "analysis_plans": "analysis_plan_id",
    "factors": "name",
    "blocks": "name",
    "constraints": "constraint_id",
    "levels": "name",
}
"""Lists whose entries have names, and the field that is the name."""

_BEARS_ON_FINDINGS = (
    "hypotheses",
    "outcomes",
    "analysis_plans",
    "factors",
    "blocks",
    "constraints",
    "design_spec",
    "replicates",
    "seed_policy",
    "run_order",
    "blind",
    "evaluators",
    "agents",
)
"""What is compared: not titles, limits, or how the study is carried out."""

_HOLDS_TEXTS = ("agents", "evaluators", "factors", "blocks", "constraints")
"""What may hold prompts, or a person's data: that it changed is kept, and not what it was."""

_LONGEST = 500

_MOST_NAMED = 5
_MOST_TOLD = 5
_UNSAID: tuple[Any, ...] = (None, "", [], {}, False)


class _Change(NamedTuple):
    path: str
    old: Any
    new: Any


def declared_otherwise(
    connection: sqlite3.Connection, plan: Plan, bindings: Bindings
) -> tuple[Action, ...]:
    """Return what a plan declares otherwise than the session before did; nothing is written.

    Args:
        connection: The store, as the session before left it.
        plan: The plan of now.
        bindings: What takes part in it.
    """
    if connection.execute("SELECT 1 FROM attempt LIMIT 1").fetchone() is None:
        return ()  # nothing was made by what was declared

    ((definition,),) = connection.execute("SELECT definition FROM study")
    ((planned,),) = connection.execute(
        "SELECT coalesce(max(planned), 0) FROM session WHERE id = "
        "(SELECT session_id FROM attempt ORDER BY id DESC LIMIT 1)"
    )
    before, now = decode(definition), decode(definition_of(plan))
    at, who, ended = timestamp(), this_user(), count_ended(connection)
    return tuple(
        Action(
            at,
            who,
            f"{DECLARE} {change.path}",
            _kept(change.path, change.old),
            _kept(change.path, change.new),
            "",
            ended,
            planned,
        )
        for change in (
            *_changes("", _compared(before), _compared(now)),
            *_of_problems(connection, plan, bindings),
        )
    )


def keep_redeclared(connection: sqlite3.Connection, changes: Sequence[Action]) -> None:
    """Keep what is declared otherwise now.

    Args:
        connection: The store, inside a transaction.
        changes: What `declared_otherwise` found.
    """
    connection.executemany(KEEP_ACTION, without_surrogates([tuple(each) for each in changes]))


def changes_told(changes: Sequence[Action]) -> Iterator[str]:
    """Describe what is declared otherwise now, in one sentence."""
    if changes:
        more = f"; and {len(changes) - _MOST_TOLD:,} more" if len(changes) > _MOST_TOLD else ""
        told = "; ".join(each.said for each in changes[:_MOST_TOLD])
        ended = changes[0].ended
        made = "1 result so far was" if ended == 1 else f"{ended:,} results so far were"
        yield (
            f"declared otherwise than when the {made} made: {told}{more}. The report says so, "
            "with the date"
        )


def _compared(definition: Mapping[str, Any]) -> dict[str, Any]:
    replicates = definition.get("run_budget", {}).get("replicates", 1)
    known = {**definition, "replicates": replicates, "blind": definition.get("blind", True)}
    return {name: known[name] for name in _BEARS_ON_FINDINGS if name in known}


def _changes(path: str, old: Any, new: Any) -> Iterator[_Change]:
    """Yield what differs, by the names of what it is in."""
    by = _NAMED_BY.get(path.rpartition(".")[2])
    if by is not None and _is_list_of_named(old, by) and _is_list_of_named(new, by):
        yield from _changes_of(path, _by_name(old, by), _by_name(new, by), are_named=True)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _changes_of(path, old, new, are_named=path in ("agents", "evaluators"))
    elif old != new:
        yield _Change(path, old, new)


def _changes_of(
    path: str, old: Mapping[str, Any], new: Mapping[str, Any], *, are_named: bool
) -> Iterator[_Change]:
    for name in dict.fromkeys((*old, *new)):
        own = f"{path}.{name}" if path else name
        # A field that an older version does not write says nothing there.
        is_unsaid = not are_named and old.get(name) in _UNSAID and new.get(name) in _UNSAID
        if name in old and name in new:
            yield from _changes(own, old[name], new[name])
        elif not is_unsaid:
            yield _Change(own, old.get(name), new.get(name))


def _is_list_of_named(value: Any, by: str) -> bool:
    return isinstance(value, Sequence) and all(
        isinstance(each, Mapping) and by in each for each in value
    )


def _by_name(entries: Sequence[Mapping[str, Any]], by: str) -> dict[str, Any]:
    return {str(each[by]): each for each in entries}


def _of_problems(
    connection: sqlite3.Connection, plan: Plan, bindings: Bindings
) -> Iterator[_Change]:
    """Yield which problems came, went, or are declared otherwise, a few of them by name."""
    rows = connection.execute("SELECT id, problem_id FROM problem WHERE position IS NOT NULL")
    declared = {row[0]: row[1] for row in rows}
    earlier = set(declared.values())
    later = {each.problem_id for each in plan.study.problems}
    other = {
        each.name for each in redeclared_problems(connection, bindings) if each.row in declared
    }
    for what, names in (
        ("added", sorted(later - earlier)),
        ("dropped", sorted(earlier - later)),
        ("changed", sorted(other & later)),
    ):
        if names:
            more = len(names) - _MOST_NAMED
            told = ", ".join(names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
            yield _Change(f"problems {what}", None, told)


def _kept(path: str, value: Any) -> str | None:
    if value is None:
        return None

    written = encode(value)
    is_short = len(written) <= _LONGEST and path.partition(".")[0] not in _HOLDS_TEXTS
    return written if is_short else encode("…")

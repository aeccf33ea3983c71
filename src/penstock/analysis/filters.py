"""Filters: which runs an analysis plan looks at.

A filter names something of a run and what it may be. By what a run is (its factors and blocks, its
problem, its agent) it chooses what is analysed. What a run came to is known afterwards only, and
may be what a condition does: a run that is left out by it counts as one without a value, so that
who is left out of which condition is told and tested as it is of runs that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from penstock.analysis.sample import Chosen
from penstock.analysis.sources import in_sql, run_value_sql
from penstock.study.run_columns import BEFORE_A_RUN

__all__ = ["Filtered", "filtered"]

ValuesOf = Callable[[Sequence[str], Mapping[str, Any]], Iterable[tuple[str, tuple[str, Any]]]]
"""Gives for some names and a run where each stands and its value, as `covariate_values` does."""


class Filtered(NamedTuple):
    """Which runs pass the filters of an analysis plan."""

    is_chosen: Sequence[bool]
    """For each run, whether it is what the plan looks at."""

    left_out: Sequence[str]
    """For each run, which filter its result does not pass; empty for none."""

    chosen: Chosen


def filtered(
    filters: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    values_of: ValuesOf,
    called: Mapping[str, Mapping[str, Any]],
) -> Filtered:
    """Apply the filters of an analysis plan.

    Args:
        filters: Name -> the value it has in the runs that are analysed, or a list of such values.
        rows: The runs.
        values_of: See `ValuesOf`.
        called: Factor -> what its levels may be called -> what is shown of them.
    """
    wanted = {
        name: [called.get(name, {}).get(str(each), each) for each in _listed(value)]
        for name, value in filters.items()
    }
    found = [dict(values_of([*wanted], row)) for row in rows]
    is_chosen, left_out = [True] * len(rows), [""] * len(rows)
    told, queries = [], []
    for name, values in wanted.items():
        source = next((each[name][0] for each in found if each[name][0] != "run"), "run")
        is_before = source != "run" or name in BEFORE_A_RUN
        passes = [any(_is_same(each[name][1], value) for value in values) for each in found]
        text = f"{name} {' or '.join(map(str, values))}"
        told.append(text if is_before else f"{text} (known after a run only)")
        queries.append(_query(name, source, values, _passing(rows, passes)))
        for at, each in enumerate(passes):
            if is_before:
                is_chosen[at] = is_chosen[at] and each
            elif not each:
                left_out[at] = left_out[at] or f"left out: not {text}"

    looked_at = [is_chosen[at] and not left_out[at] for at in range(len(rows))].count(True)
    those = f"{looked_at:,} of {len(rows):,} runs, those with {' and '.join(told)}"
    problems = {row["problem_id"] for row in _passing(rows, is_chosen)}
    share = len(problems) / max(1, len({row["problem_id"] for row in rows}))
    return Filtered(is_chosen, left_out, Chosen(those, " AND ".join(queries), share))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _is_same(value: Any, wanted: Any) -> bool:
    """Compare as a table is read: in a file of rows 3 is a text."""
    if str(value) == str(wanted):
        return True

    with suppress(TypeError, ValueError):
        return float(value) == float(wanted)

    return False


def _passing(rows: Sequence[Mapping[str, Any]], passes: Sequence[bool]) -> list[Mapping[str, Any]]:
    return [row for row, each in zip(rows, passes, strict=True) if each]


def _query(
    name: str, source: str, values: Sequence[Any], passing: Sequence[Mapping[str, Any]]
) -> str:
    """Write a filter as a condition on a row of the view ``runs``."""
    column = {"varied": "condition_id", "problem": "problem_id"}.get(source)
    if column is None:
        return in_sql(run_value_sql(name), values)

    return in_sql(column, dict.fromkeys(row[column] for row in passing))

"""Sources: the SQL that gives the rows a number was made from.

It reads the views of ``study.sqlite``, so any SQL tool answers it: one row for each scored run,
with the name of its condition and its weight. The mean of a condition is the mean over problems of
the means of its rows; a difference is the sum of those, each by its weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from penstock.study.hypotheses import Outcome

if TYPE_CHECKING:
    from penstock.analysis.sample import Sample

__all__ = ["rows_sql", "value_sql"]

_COLUMNS = frozenset({"latency_s", "cost_usd", "primary_outcome"})
"""What runs have as columns; all else that a run came to is among its metrics."""


class _Side(NamedTuple):
    condition_id: str
    agent: str | None
    arm: str
    weight: float


def value_sql(outcome: Outcome) -> str:
    """Write what gives an outcome's value of a row of ``runs``."""
    column = outcome.column
    if outcome.source_table == "evaluations":
        named = f"e.run_id = runs.run_id AND e.metric_name = {_text(column)}"
        return f"(SELECT metric_value FROM evaluations AS e\n        WHERE {named} LIMIT 1)"  # noqa: S608

    if column in _COLUMNS:
        return column

    return "metrics ->> " + _text(f'$."{column}"')


def rows_sql(sample: Sample, weights: Mapping[int, float]) -> str:
    """Write the query that gives the rows of some conditions; nothing where none is known.

    Args:
        sample: The scored runs.
        weights: Arm -> its weight in the number.
    """
    if not sample.value_sql:
        return ""

    sides = [
        _Side(condition_id, sample.agent_of(arm), sample.arms[arm].name, weight)
        for arm, weight in weights.items()
        for condition_id in sample.arms[arm].condition_ids
    ]
    by_agent = any(side.agent is not None for side in sides)
    names = "condition_id, agent_id" if by_agent else "condition_id"
    values = ",\n         ".join(
        f"({_text(side.condition_id)}, "
        + (f"{_text(side.agent or '')}, " if by_agent else "")
        + f"{_text(side.arm)}, {side.weight:.6g})"
        for side in sides
    )
    return (
        f"WITH side({names}, condition, weight) AS (\n  VALUES {values})\n"
        "SELECT run_id, condition, weight, problem_id, replicate,\n"
        f"       {sample.value_sql} AS value\n"
        f"FROM runs JOIN side USING ({names})\n"
        "WHERE status = 'success' ORDER BY position"
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"

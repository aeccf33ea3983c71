"""Sources: the SQL that gives the rows a number was made from.

It reads the views of ``study.sqlite``, so any SQL tool answers it: one row for each scored run,
with the name of its condition and its weight. The mean of a condition is the mean over problems of
the means of its rows; a difference is the sum of those, each by its weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.study.hypotheses import Outcome
from penstock.study.run_columns import READ_OF_A_RUN

if TYPE_CHECKING:
    from penstock.analysis.sample import Sample

__all__ = ["OF_THE_RUN", "in_sql", "rows_sql", "run_value_sql", "value_sql"]


OF_THE_RUN = frozenset({"latency_s", "cost_usd", "primary_outcome"})
"""What outcomes may be of the columns of runs; all else that a run came to is a metric."""

_SUCCEEDED = "status = 'success'"


class _Side(NamedTuple):
    condition_id: str
    agent: str | None
    arm: str
    weight: float


def value_sql(outcome: Outcome) -> str:
    """Write what gives an outcome's value of a row of ``runs``."""
    if outcome.source_table == "evaluations":
        return _score_sql(outcome.column)

    return outcome.column if outcome.column in OF_THE_RUN else _metric_sql(outcome.column)


def run_value_sql(name: str) -> str:
    """Write what gives something of a run: a column of ``runs``, else a score, else a metric."""
    if name in READ_OF_A_RUN:
        return name

    return f"coalesce({_score_sql(name)}, {_metric_sql(name)})"


def in_sql(expression: str, values: Iterable[Any]) -> str:
    """Write that something is one of some values, whether it is kept as a number or as a text."""
    written = [each for value in values for each in _written(value)]
    return f"{expression} IN ({', '.join(dict.fromkeys(written))})"


def _written(value: Any) -> Iterable[str]:
    text = str(value)
    yield _text(text)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return

    if isfinite(number):
        yield repr(number)


def _score_sql(name: str) -> str:
    named = f"e.run_id = runs.run_id AND e.metric_name = {_text(name)}"
    return f"(SELECT metric_value FROM evaluations AS e\n        WHERE {named} LIMIT 1)"  # noqa: S608


def _metric_sql(name: str) -> str:
    return "metrics ->> " + _text(f'$."{name}"')


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
        f"WHERE {' AND '.join(filter(None, (_SUCCEEDED, sample.chosen.sql)))} ORDER BY position"
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"

"""The wide table: a row per run, with all that is known of it under names that hide nothing.

A factor or block keeps its name; a built-in column that has the same one is ``run_<name>``. A score
has the name of its metric, ``<evaluator>.<metric>`` where that is taken or several evaluators give
it. What an agent recorded has its name, ``metric_<name>`` where that is taken. The rule stands here
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from penstock._base.json import decode
from penstock.results import text_of
from penstock.store.facts import score_of
from penstock.store.reader import StoreReader
from penstock.store.schema import RUN_COLUMNS

__all__ = ["wide_rows"]

_ANSWER = "answer"
_IN_COLUMNS = frozenset(
    {"latency_s", "input_tokens", "output_tokens", "cost_usd", "primary_outcome"}
)
"""Metrics that are columns of ``runs.csv`` as well."""

_RUNS = f"""
SELECT attempt.id AS attempt_id, {", ".join(f"runs.{name}" for name in RUN_COLUMNS)},
       runs.metrics, runs.outputs, factors, blocks
FROM runs JOIN attempt ON attempt.final AND attempt.position = runs.position
JOIN condition ON condition.condition_id = runs.condition_id ORDER BY runs.position
"""  # noqa: S608 - our own names
_NAMES = "SELECT DISTINCT evaluator_id, metric_name FROM evaluations"
_SCORES = """
SELECT evaluator_id, metric_name, metric_value, metric_type FROM evaluation
JOIN scoring ON scoring.id = scoring_id AND place IS NOT NULL
WHERE attempt_id = ? ORDER BY place, number
"""


def wide_rows(store: StoreReader) -> Iterator[dict[str, Any]]:
    """Yield a mapping per run, in plan order; a name means the same in all of them.

    Args:
        store: The study's store.
    """
    definition = store.definition()
    assigned = {each["name"] for each in (*definition["factors"], *definition["blocks"])}
    columns = {name: f"run_{name}" if name in assigned else name for name in RUN_COLUMNS}
    answer = f"run_{_ANSWER}" if _ANSWER in assigned else _ANSWER
    taken = {*assigned, *columns.values(), answer}
    scores = _names_of_scores(store, taken)
    for row in store.rows(_RUNS):
        yield {
            **{columns[name]: row[name] for name in RUN_COLUMNS},
            **decode(row["blocks"]),
            **decode(row["factors"]),
            answer: text_of(decode(row["outputs"])),
            **{
                scores[evaluator, metric]: score_of(value, kind)
                for evaluator, metric, value, kind in store.rows(_SCORES, (row["attempt_id"],))
            },
            **_recorded(decode(row["metrics"]), {*taken, *scores.values()}),
        }


def _names_of_scores(store: StoreReader, taken: set[str]) -> Mapping[tuple[str, str], str]:
    given = [(str(evaluator), str(metric)) for evaluator, metric in store.table(_NAMES)]
    several = [metric for _, metric in given]
    return {
        (evaluator, metric): f"{evaluator}.{metric}"
        if metric in taken or several.count(metric) > 1
        else metric
        for evaluator, metric in given
    }


def _recorded(metrics: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    return {
        f"metric_{name}" if name in taken else name: value
        for name, value in metrics.items()
        if name not in _IN_COLUMNS
    }

"""The wide table: a row per run, with all that is known of it under names that hide nothing.

A factor or block keeps its name; a built-in column that has the same one is ``run_<name>``. A score
has the name of its metric, ``<evaluator>.<metric>`` where that is taken or several evaluators give
it. What an agent recorded has its name, ``metric_<name>`` where that is taken. Names are compared
as SQL does, which does not tell ``Tone`` from ``tone``. The rule stands here alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from penstock._base.json import decode
from penstock.results import text_of
from penstock.store.facts import score_of
from penstock.store.reader import StoreReader
from penstock.store.schema import RUN_COLUMNS

__all__ = ["WIDE_COLUMNS", "Names", "by_position", "names_in", "scores_in_order", "wide_rows"]

_ANSWER = "answer"
_IN_COLUMNS = frozenset(
    {"latency_s", "input_tokens", "output_tokens", "cost_usd", "primary_outcome"}
)
"""Metrics that are columns of ``runs.csv`` as well."""

WIDE_COLUMNS = (*RUN_COLUMNS, "finish_reason", "worker")
"""The columns of ``runs.csv``, whose readers know them by heart, and two more."""

_RUNS = f"""
SELECT runs.position, {", ".join(f"runs.{name}" for name in WIDE_COLUMNS)},
       runs.metrics, runs.outputs, factors, blocks
FROM runs JOIN condition ON condition.condition_id = runs.condition_id ORDER BY runs.position
"""  # noqa: S608 - our own names
_NAMES = "SELECT DISTINCT evaluator_id, metric_name FROM evaluations"
_SCORES = """
SELECT a.position, e.evaluator_id, e.metric_name, e.metric_value, e.metric_type
FROM attempt a JOIN evaluation e ON e.attempt_id = a.id JOIN scoring s ON s.id = e.scoring_id
WHERE a.final AND a.position IS NOT NULL AND s.place IS NOT NULL
ORDER BY a.position, s.place, e.number
"""


class Names(NamedTuple):
    """What columns are called in the wide table of a study.

    Attributes:
        factors: The factors, each under its own name.
        blocks: The blocks likewise.
        columns: The built-in columns -> their names.
        answer: The text of the answer.
        scores: Evaluator and metric -> the name of their scores, in the order of the evaluators.
    """

    factors: Sequence[str]
    blocks: Sequence[str]
    columns: Mapping[str, str]
    answer: str
    scores: Mapping[tuple[str, str], str]

    @property
    def taken(self) -> set[str]:
        """All of them, in lower case."""
        names = (*self.factors, *self.blocks, *self.columns.values(), self.answer)
        return {name.casefold() for name in (*names, *self.scores.values())}


def names_in(store: StoreReader) -> Names:
    """Return what columns are called in the wide table of a study."""
    definition = store.definition()
    factors, blocks = (
        [each["name"] for each in definition[kind]] for kind in ("factors", "blocks")
    )
    assigned = {*factors, *blocks}
    columns = {name: f"run_{name}" if name in assigned else name for name in WIDE_COLUMNS}
    answer = f"run_{_ANSWER}" if _ANSWER in assigned else _ANSWER
    names = Names(factors, blocks, columns, answer, {})
    return names._replace(scores=_names_of_scores(store, names.taken))


def wide_rows(store: StoreReader, names: Names | None = None) -> Iterator[dict[str, Any]]:
    """Yield a mapping per run, in plan order; a name means the same in all of them.

    Args:
        store: The study's store.
        names: What columns are called, where that is known already.
    """
    names = names or names_in(store)
    taken = names.taken
    scores = scores_in_order(store)
    for row in store.rows(_RUNS):
        given, metrics = scores(row["position"]), decode(row["metrics"])
        yield {
            **{name: row[column] for column, name in names.columns.items()},
            **_typed_outcome(names, metrics),
            **decode(row["blocks"]),
            **decode(row["factors"]),
            names.answer: text_of(decode(row["outputs"])),
            **{names.scores[each]: score for each, score in given.items()},
            **_recorded(metrics, taken),
        }


def scores_in_order(store: StoreReader) -> Callable[[int], dict[tuple[str, str], Any]]:
    """Return a function of a run's position that returns its scores, by evaluator and metric.

    It reads them in one pass: it is to be asked in the order of the plan.
    """
    scores = by_position(store.table(_SCORES))
    return lambda position: {
        (evaluator, metric): score_of(value, kind)
        for _, evaluator, metric, value, kind in scores(position)
    }


def by_position(
    rows: Iterator[tuple[Any, ...]],
) -> Callable[[int], Iterator[tuple[Any, ...]]]:
    """Return a function of a run's position that yields the rows of the run.

    It reads them in one pass: it is to be asked in the order of the plan.

    Args:
        rows: Rows in the order of the plan, that begin with the position.
    """
    row = next(rows, None)

    def rows_at(position: int) -> Iterator[tuple[Any, ...]]:
        nonlocal row
        while row is not None and row[0] <= position:
            if row[0] == position:
                yield row

            row = next(rows, None)

    return rows_at


def _names_of_scores(store: StoreReader, taken: set[str]) -> Mapping[tuple[str, str], str]:
    given = [(str(evaluator), str(metric)) for evaluator, metric in store.table(_NAMES)]
    several = [metric.casefold() for _, metric in given]
    return {
        (evaluator, metric): f"{evaluator}.{metric}"
        if metric.casefold() in taken or several.count(metric.casefold()) > 1
        else metric
        for evaluator, metric in given
    }


def _typed_outcome(names: Names, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the primary outcome where it is a flag or a large number, which SQL has as text."""
    outcome = metrics.get("primary_outcome")
    return {names.columns["primary_outcome"]: outcome} if isinstance(outcome, (bool, int)) else {}


def _recorded(metrics: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    return {
        f"metric_{name}" if name.casefold() in taken else name: value
        for name, value in metrics.items()
        if name not in _IN_COLUMNS
    }

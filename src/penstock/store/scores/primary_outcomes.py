"""Primary outcomes that follow their declaration: kept with each run, and made again from scores.

The column is what tables, reports and SQL read. It is not a fact of its own, so where a session
declares the primary outcome otherwise than the one before, it is made from the scores and metrics
that are kept. What an agent measured itself stays: the provenance of its run says so.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from penstock._base.json import decode, encode
from penstock.results import OWN_OUTCOME, Evaluation
from penstock.running.gathered import PRIMARY, primary_outcome, primary_rule
from penstock.store.facts import score_of
from penstock.store.rows import cell_of
from penstock.store.schema import FOLLOWS
from penstock.study.hypotheses import Outcome

__all__ = ["follow_outcomes", "remake_outcomes"]

_ATTEMPTS = """
SELECT id, run_id, metrics, provenance FROM attempt
WHERE id > ?1 AND (?2 IS NULL OR problem_id IN (SELECT value FROM json_each(?2)))
ORDER BY id LIMIT 1000
"""
_SCORES = """
SELECT metric_name, metric_value, metric_type
FROM evaluation JOIN scoring ON scoring.id = evaluation.scoring_id
WHERE attempt_id = ? AND scoring.place IS NOT NULL ORDER BY scoring.place, number
"""
_UPDATE = "UPDATE attempt SET primary_outcome = ?, metrics = ?, provenance = ? WHERE id = ?"


def follow_outcomes(connection: sqlite3.Connection, outcomes: Sequence[Outcome]) -> None:
    """Make the primary outcomes of kept runs those that are declared now.

    Args:
        connection: The store, inside a transaction, with the definition of the session before.
        outcomes: The outcomes as they are declared now.
    """
    ((definition,),) = connection.execute("SELECT definition FROM study")
    before = decode(definition)
    declared = [Outcome.model_validate(each) for each in before.get("outcomes", ())]
    if before.get(FOLLOWS) and primary_rule(declared) == primary_rule(outcomes):
        return

    is_marked = bool(before.get(FOLLOWS))
    _remake(connection, outcomes, unmarked=None if is_marked else declared)


def remake_outcomes(
    connection: sqlite3.Connection, outcomes: Sequence[Outcome], problems: Collection[str]
) -> None:
    """Make the primary outcomes of kept runs from the scores that count now.

    Args:
        connection: The store, inside a transaction; it says whose outcomes are agents' own.
        outcomes: The outcomes as they are declared now.
        problems: The problems at which other scores count than before.
    """
    _remake(connection, outcomes, problems=encode([*problems]))


def _remake(
    connection: sqlite3.Connection,
    outcomes: Sequence[Outcome],
    *,
    problems: str | None = None,
    unmarked: Sequence[Outcome] | None = None,
) -> None:
    """Make them of all runs, or of those with some problems, a thousand in memory at a time.

    ``unmarked`` are the outcomes of the session before, where it did not mark agents' own.
    """
    last = 0
    while rows := connection.execute(_ATTEMPTS, (last, problems)).fetchall():
        connection.executemany(_UPDATE, [*_changed(connection, rows, outcomes, unmarked)])
        last = rows[-1][0]


def _changed(
    connection: sqlite3.Connection,
    rows: Sequence[tuple[Any, ...]],
    outcomes: Sequence[Outcome],
    unmarked: Sequence[Outcome] | None,
) -> Iterator[tuple[Any, ...]]:
    """Yield those of some rows that differ."""
    for attempt_id, run_id, stored, said in rows:
        metrics, provenance = decode(stored), decode(said)
        scores = _scores(connection, attempt_id, run_id)
        if unmarked is not None and PRIMARY in metrics:
            computed = primary_outcome(scores, _others(metrics), unmarked)
            if encode(computed) != encode(metrics[PRIMARY]):  # text, for NaN is not NaN
                provenance |= OWN_OUTCOME

        if not OWN_OUTCOME.items() <= provenance.items():
            metrics = _others(metrics)
            value = primary_outcome(scores, metrics, outcomes)
            if value is not None:
                metrics[PRIMARY] = value

        row = encode(metrics), encode(provenance)
        if row != (stored, said):
            yield cell_of(metrics.get(PRIMARY)), *row, attempt_id


def _others(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name != PRIMARY}


def _scores(connection: sqlite3.Connection, attempt_id: int, run_id: str) -> list[Evaluation]:
    return [
        Evaluation(run_id=run_id, metric_name=name, metric_value=score_of(value, kind))
        for name, value, kind in connection.execute(_SCORES, (attempt_id,))
    ]

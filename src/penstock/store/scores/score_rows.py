"""Scores as rows of the store, each with the scoring that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Any

from penstock._base.fact import EMPTY
from penstock.results import RunResult
from penstock.store.rows import cell_of

__all__ = ["INSERT_EVALUATION", "INSERT_SCORED", "evaluation_rows", "scored_rows"]

INSERT_SCORED = "INSERT OR IGNORE INTO scored VALUES (?, ?, ?, ?, ?, ?)"
INSERT_EVALUATION = "INSERT OR IGNORE INTO evaluation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
"""What one scoring has given an answer it gives once."""


def scored_rows(
    attempt_id: int, session_id: int, result: RunResult, scorings: Mapping[str, int]
) -> list[tuple[Any, ...]]:
    """Write which evaluators have scored an attempt, and what it took.

    Args:
        attempt_id: The attempt.
        session_id: The session that scored it.
        result: The attempt, with its scores.
        scorings: The scoring of each evaluator at answers to its problem.
    """
    return [
        (attempt_id, scorings[each.evaluator], session_id, each.rows, each.latency_s, each.cost_usd)
        for each in result.scored
        if each.evaluator in scorings
    ]


def evaluation_rows(
    attempt_id: int, result: RunResult, scorings: Mapping[str, int] = EMPTY
) -> list[tuple[Any, ...]]:
    """Write the scores of an attempt; the arguments are those of `scored_rows`."""
    made_by = [
        (scorings.get(each.evaluator, 0), number)
        for each in result.scored
        for number in range(each.rows)
    ]
    made_by += [(0, number) for number in range(len(result.evaluations) - len(made_by))]
    return [
        (
            attempt_id,
            scoring_id,
            number,
            each.evaluator_id,
            each.metric_name,
            cell_of(each.metric_value),
            _type(each.metric_value),
            each.metric_unit,
            each.aggregation_level,
            each.notes_json,
        )
        for (scoring_id, number), each in zip(made_by, result.evaluations, strict=True)
    ]


def _type(value: Any) -> str | None:
    """Return the type of a value that SQLite does not keep as it is."""
    if isinstance(value, bool):
        return "bool"

    if type(value) is int:
        return None if -(2**63) <= value < 2**63 else "int"

    return "nan" if isinstance(value, float) and isnan(value) else None

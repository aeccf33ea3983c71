"""Attempts that are saved at once, as statements: none of them is written without the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.results import RunResult, RunStatus
from penstock.store import rows
from penstock.store.transaction import Statement

__all__ = ["Group", "made_group"]


class Group(NamedTuple):
    """Attempts of one session, ready to be written."""

    statements: Sequence[Statement]
    next_id: int
    """The id of the attempt that is written next."""

    scoring: Mapping[int, tuple[int, Mapping[str, Any]]]
    """Position -> id and metrics of the answers that are saved and not yet scored."""


def made_group(
    attempts: Iterable[tuple[RunResult, bool]],
    session_id: int,
    next_id: int,
    scoring: Mapping[int, tuple[int, Mapping[str, Any]]],
) -> Group:
    """Write attempts as rows; one whose answer is saved already takes the place of that.

    Args:
        attempts: Each attempt, and whether it is its run's result.
        session_id: The session that made them.
        next_id: The id of the first of them that has none.
        scoring: See `Group`; as the last group left it.
    """
    made, observed, scored, superseded, replaced = [], [], [], [], []
    left = dict(scoring)
    for result, final in attempts:
        position = result.spec.position
        attempt_id, _ = left.pop(position, (next_id, None))
        if attempt_id == next_id:
            next_id += 1
        else:
            replaced.append((attempt_id,))

        if result.status is RunStatus.SCORING:
            left[position] = (attempt_id, result.metrics)

        made.append(rows.attempt_row(attempt_id, session_id, result, final=final))
        observed += rows.observation_rows(attempt_id, result)
        scored += rows.evaluation_rows(attempt_id, result)
        if final and result.attempt > 1:
            superseded.append((position,))

    return Group(
        [
            (rows.DELETE_ATTEMPT, replaced),
            (rows.DELETE_OBSERVATIONS, replaced),
            (rows.SUPERSEDE, superseded),
            (rows.INSERT_ATTEMPT, made),
            (rows.INSERT_OBSERVATION, observed),
            (rows.INSERT_EVALUATION, scored),
        ],
        next_id,
        left,
    )

"""Attempts that are saved at once, as statements: none of them is written without the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from penstock._base.fact import EMPTY
from penstock.results import RunResult, RunStatus
from penstock.store import rows, score_rows
from penstock.store.origins import Origins
from penstock.store.transaction import Statement

__all__ = ["Group", "Session", "made_group", "rescored"]

Row: TypeAlias = tuple[Any, ...]


class Session(NamedTuple):
    """What rows of a session refer to: itself, and what answers and scores are made by."""

    id: int = 0
    origins: Origins = Origins({}, {})
    scorings: Mapping[str, Mapping[str, int]] = EMPTY
    """Problem -> evaluator -> the scoring of its scores."""

    def score_rows(self, attempt_id: int, result: RunResult) -> tuple[list[Row], list[Row]]:
        """Write who has scored an attempt, and its scores."""
        scorings = self.scorings.get(result.spec.problem_id or "", EMPTY)
        return (
            score_rows.scored_rows(attempt_id, self.id, result, scorings),
            score_rows.evaluation_rows(attempt_id, result, scorings),
        )


class Group(NamedTuple):
    """Attempts of one session, ready to be written."""

    statements: Sequence[Statement]
    next_id: int
    """The id of the attempt that is written next."""

    scoring: Mapping[int, tuple[int, Mapping[str, Any]]]
    """Position -> id and metrics of the answers that are saved and not yet scored."""


def made_group(
    attempts: Iterable[tuple[RunResult, bool]],
    session: Session,
    next_id: int,
    scoring: Mapping[int, tuple[int, Mapping[str, Any]]],
) -> Group:
    """Write attempts as rows; one whose answer is saved already takes the place of that.

    Args:
        attempts: Each attempt, and whether it is its run's result.
        session: The session that made them.
        next_id: The id of the first of them that has none.
        scoring: See `Group`; as the last group left it.
    """
    made, observed, superseded, replaced = [], [], [], []
    scored, evaluated = list[Row](), list[Row]()
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

        by = session.origins.of(result.spec.problem_id, result.spec.agent_id)
        made.append(rows.attempt_row(attempt_id, session.id, result, final=final, made=by))
        observed += rows.observation_rows(attempt_id, result)
        by_whom, scores = session.score_rows(attempt_id, result)
        scored += by_whom
        evaluated += scores
        if final and result.attempt > 1:
            superseded.append((position,))

    return Group(
        [
            (rows.DELETE_ATTEMPT, replaced),
            (rows.DELETE_OBSERVATIONS, replaced),
            (rows.SUPERSEDE, superseded),
            (rows.INSERT_ATTEMPT, made),
            (rows.INSERT_OBSERVATION, observed),
            (score_rows.INSERT_SCORED, scored),
            (score_rows.INSERT_EVALUATION, evaluated),
        ],
        next_id,
        left,
    )


def rescored(
    attempt_id: int, session: Session, result: RunResult, known: Collection[int]
) -> list[Statement]:
    """Write new scores of an answer beside those that it had, which stay.

    Only scores that nobody says who made are replaced.

    Args:
        attempt_id: The attempt that holds the answer.
        session: The session that scored it.
        result: The attempt with all scores that count.
        known: The scorings whose scores it has already.
    """
    rows_of = session.score_rows(attempt_id, result)
    scored, evaluated = ([row for row in each if row[1] not in known] for each in rows_of)
    return [
        (rows.UPDATE_SCORES, [(*rows.score_cells(session.id, result), attempt_id)]),
        (rows.DELETE_ENDING, [(attempt_id,)]),
        (rows.INSERT_OBSERVATION, rows.last_rows(attempt_id, result)),
        ("DELETE FROM evaluation WHERE attempt_id = ? AND scoring_id = 0", [(attempt_id,)]),
        (score_rows.INSERT_SCORED, scored),
        (score_rows.INSERT_EVALUATION, evaluated),
    ]

"""Attempts that are saved at once, as statements: none of them is written without the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple, TypeAlias

from penstock._base.fact import EMPTY
from penstock.results import RunResult, RunStatus
from penstock.running.tally import Tally
from penstock.store import rows, score_rows
from penstock.store.origins import Origins
from penstock.store.restored import Restored
from penstock.store.transaction import Statement

__all__ = ["COUNTED", "Group", "Session", "count_group", "counts", "made_group", "rescored"]

Row: TypeAlias = tuple[Any, ...]

COUNTED = tuple(each.name for each in fields(Tally) if each.name not in ("opening", "gained"))
"""What a session counts; columns of the table ``session``."""

_COUNT = f"UPDATE session SET {', '.join(f'{name} = ?' for name in COUNTED)} WHERE id = ?"  # noqa: S608


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


def count_group(
    tally: Tally,
    attempts: Iterable[tuple[RunResult, bool]],
    scoring: Mapping[int, tuple[int, Mapping[str, Any]]],
    left: Restored,
) -> None:
    """Count attempts that are saved together.

    Args:
        tally: What the session has counted.
        attempts: Each attempt, and whether it is its run's result.
        scoring: See `Group`; as the last group left it.
        left: What earlier sessions left.
    """
    for result, final in attempts:
        position = result.spec.position
        if result.status is RunStatus.SCORING:
            tally.count_answer(result)
        elif result.status is RunStatus.CANCELLED:
            tally.give_up(result)
        else:
            _, counted = scoring.get(position, (0, None))
            replaced = left.replaced(position)
            tally.count(result, retried=not final, replaced=replaced, counted=counted)


def counts(tally: Tally, session: Session) -> Statement:
    """Write what a session has counted."""
    return (_COUNT, [(*(getattr(tally, name) for name in COUNTED), session.id)])


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

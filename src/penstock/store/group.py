"""Attempts that are saved at once, as statements: none of them is written without the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from penstock._base.fact import EMPTY
from penstock.results import RunResult, RunStatus
from penstock.running.tally import COUNTED, Tally
from penstock.store import rows
from penstock.store.announced import NO_WAITS, Listed, Waits, listed
from penstock.store.continuing.origins import Origins
from penstock.store.continuing.restored import Restored
from penstock.store.scores import score_rows
from penstock.store.transaction import Row, Statement

__all__ = ["Answered", "Group", "SessionKeys", "count_group", "counts", "made_group"]

_COUNT = f"UPDATE session SET {', '.join(f'{name} = ?' for name in COUNTED)} WHERE id = ?"  # noqa: S608


class SessionKeys(NamedTuple):
    """What rows of a session refer to: itself, and what answers and scores are made by."""

    id: int = 0
    origins: Origins = Origins({}, {})
    scorings: Mapping[str, Mapping[str, int]] = EMPTY
    """Problem -> evaluator -> the scoring of its scores."""

    def score_rows(self, attempt_id: int, result: RunResult) -> tuple[list[Row], list[Row]]:
        """Write who has scored an attempt, and its scores."""
        if not (result.scored or result.evaluations):
            return [], []

        scorings = self.scorings.get(result.spec.problem_id or "", EMPTY)
        return (
            score_rows.scored_rows(attempt_id, self.id, result, scorings),
            score_rows.evaluation_rows(attempt_id, result, scorings),
        )


class Answered(NamedTuple):
    """An answer that is saved and not yet scored."""

    attempt_id: int
    metrics: Mapping[str, Any]
    reported: int
    """How many observations its agent had reported then."""


class Group(NamedTuple):
    """Attempts of one session, ready to be written."""

    statements: Sequence[Statement]
    next_id: int
    """The id of the attempt that is written next."""

    scoring: Mapping[int, Answered]
    """Position -> the answers that are saved and not yet scored."""

    listed: Sequence[Listed]
    """The attempts as they are told again, in their order."""


def made_group(
    attempts: Iterable[tuple[RunResult, bool]],
    session: SessionKeys,
    next_id: int,
    scoring: Mapping[int, Answered],
    waits: Waits = NO_WAITS,
) -> Group:
    """Write attempts as rows; one whose answer is saved already takes the place of that.

    Args:
        attempts: Each attempt, and whether it is its run's result.
        session: The session that made them.
        next_id: The id of the first of them that has none.
        scoring: See `Group`; as the last group left it.
        waits: How long runs wait that are tried again.
    """
    made, observed, superseded, replaced, told = [], [], [], [], []
    scored, evaluated = list[Row](), list[Row]()
    left = dict(scoring)
    for result, final in attempts:
        position = result.spec.position
        answered = left.pop(position, None)
        if answered is None:
            attempt_id, next_id, said = next_id, next_id + 1, None
        else:
            attempt_id, said = answered.attempt_id, answered.reported
            replaced.append((attempt_id,))

        if result.status is RunStatus.SCORING:
            left[position] = Answered(attempt_id, result.metrics, len(result.reported))

        told.append(listed(attempt_id, result, final=final, said=said, waits=waits))
        by = session.origins.of(result.spec.problem_id, result.spec.agent_id)
        row = rows.attempt_row(attempt_id, session.id, result, final=final, made=by)
        made.append(row)
        # Else there is the answer alone, in its row.
        if result.reported or row[rows.ANSWER_ID] is None:
            observed += rows.observation_rows(attempt_id, result, row[rows.ANSWER_ID])

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
            *rows.insert_attempts(made),
            *rows.insert_observations(observed),
            (score_rows.INSERT_SCORED, scored),
            (score_rows.INSERT_EVALUATION, evaluated),
        ],
        next_id,
        left,
        told,
    )


def count_group(
    tally: Tally,
    attempts: Iterable[tuple[RunResult, bool]],
    scoring: Mapping[int, Answered],
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
            answered = scoring.get(position)
            counted = None if answered is None else answered.metrics
            replaced = left.replaced(position)
            tally.count(result, retried=not final, replaced=replaced, counted=counted)


def counts(tally: Tally, session: SessionKeys) -> Statement:
    """Write what a session has counted."""
    return (_COUNT, [(*(getattr(tally, name) for name in COUNTED), session.id)])

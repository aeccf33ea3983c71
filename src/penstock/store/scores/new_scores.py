"""New scores of answers that earlier sessions kept, as statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from penstock._base.json import decode
from penstock.results import RunResult
from penstock.running.tally import Tally
from penstock.store import rows
from penstock.store.group import SessionKeys
from penstock.store.scores import score_rows
from penstock.store.transaction import Statement

__all__ = ["new_scores"]

_KEPT = "SELECT id, metrics FROM attempt WHERE final AND position = ?"
_SCORED = "SELECT scoring_id FROM scored WHERE attempt_id = ?"


def new_scores(
    connection: sqlite3.Connection, session: SessionKeys, results: Sequence[RunResult], tally: Tally
) -> tuple[list[Statement], list[int]]:
    """Write new scores of kept answers; what earlier ones cost is told apart.

    Args:
        connection: The store.
        session: The session that scored them.
        results: The attempts with all scores that count.
        tally: What the session counts.

    Returns:
        The statements, and the ids of the attempts.
    """
    statements: list[Statement] = []
    ids: list[int] = []
    known: dict[int, Mapping[str, Any]] = {}
    for result in results:
        ((attempt_id, metrics),) = connection.execute(_KEPT, (result.spec.position,))
        tally.discount(known.get(attempt_id) or decode(metrics))
        known[attempt_id] = result.metrics
        has = {scoring_id for (scoring_id,) in connection.execute(_SCORED, (attempt_id,))}
        statements += _rescored(attempt_id, session, result, has)
        ids.append(attempt_id)

    return statements, ids


def _rescored(
    attempt_id: int, session: SessionKeys, result: RunResult, known: Collection[int]
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
        *rows.insert_observations(rows.last_rows(attempt_id, result)),
        ("DELETE FROM evaluation WHERE attempt_id = ? AND scoring_id = 0", [(attempt_id,)]),
        (score_rows.INSERT_SCORED, scored),
        (score_rows.INSERT_EVALUATION, evaluated),
    ]

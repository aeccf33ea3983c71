"""Scores from layouts that did not tell what made them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from penstock._base.json import decode
from penstock.errors import ValidationError
from penstock.evaluators.rules import PROBLEM_EVALUATOR, declaration_of
from penstock.results import RunStatus
from penstock.running.binding import Bindings
from penstock.store.continuing.declaration_rows import question_of
from penstock.store.schema import OF_BEFORE
from penstock.store.scores.scorings import Scoring, Scorings, declare_scorings
from penstock.study.declarations import EvaluatorDeclaration
from penstock.study.policies import KEPT

__all__ = ["adopt_scores", "has_scores_of_before"]


def adopt_scores(connection: sqlite3.Connection, bindings: Bindings) -> None:
    """Record what made older scores, where their evaluator and problem are still declared.

    All of them are taken for what the session before declared. Where that is another evaluator
    now, or another problem, the scores stay and are not shown.

    Args:
        connection: The store, inside a transaction; it holds what the session before declared.
        bindings: What takes part now.
    """
    if not has_scores_of_before(connection):
        return

    scorings = Scorings([*_as_before(connection, bindings)])
    declare_scorings(connection, scorings)
    for each in scorings.current:
        of_problem = "SELECT id FROM attempt WHERE problem_id = ?"
        connection.execute(
            "UPDATE evaluation SET scoring_id = ? WHERE scoring_id = ? AND evaluator_id = ? "  # noqa: S608
            f"AND attempt_id IN ({of_problem})",
            (each.id, OF_BEFORE, each.rule.evaluator_id, each.problem_id),
        )
        # Numbers count within a scoring, and a score says how many its evaluator gave.
        connection.execute(
            "INSERT INTO scored SELECT id, ?1, session_id, (SELECT count(*) FROM evaluation "
            "WHERE attempt_id = attempt.id AND scoring_id = ?1), 0, 0 FROM attempt "
            "WHERE problem_id = ?2 AND status = ?3",
            (each.id, each.problem_id, RunStatus.SUCCESS),
        )


def has_scores_of_before(connection: sqlite3.Connection) -> bool:
    """Return whether no session has said yet what made the scores of an older layout."""
    known = "SELECT 1 FROM scoring WHERE id = ? AND place IS NOT NULL"
    return connection.execute(known, (OF_BEFORE,)).fetchone() is not None


def _as_before(connection: sqlite3.Connection, bindings: Bindings) -> Iterator[Scoring]:
    ((definition,),) = connection.execute("SELECT definition FROM study")
    declared = decode(definition).get("evaluators", {})
    problems = {
        name: decode(kept)
        for name, kept in connection.execute("SELECT problem_id, definition FROM problem")
    }
    for name, problem in bindings.problems.items():
        question = question_of(problem)
        if name in problems and question_of(problems[name]) == question:
            for place, rule in enumerate(bindings.rules(name)):
                before = _declaration(declared, rule.evaluator_id)
                if rule.evaluator_id == PROBLEM_EVALUATOR or before == rule.declaration:
                    yield Scoring(name, question, rule, place)


def _declaration(declared: Mapping[str, Any], name: str) -> str | None:
    try:
        kept = EvaluatorDeclaration.model_validate(declared[name], context=KEPT)
    except (KeyError, ValueError, ValidationError):
        return None

    return declaration_of(kept)

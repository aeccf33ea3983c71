"""Accounts of scores: what answers lack, what a judge would take, what a newer rule changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from penstock._base.extras import load_extra
from penstock.store.reader import StoreReader

if TYPE_CHECKING:  # `status` needs none of it
    from penstock.planning.plan import Plan

__all__ = ["RuleChange", "judging_cost_usd", "lacking_scores", "mean_costs", "rule_changes"]


class RuleChange(NamedTuple):
    """What the rule of a newer release made of answers that an older one had scored."""

    evaluator: str
    answers: int
    changed: int

    def __str__(self) -> str:
        return (
            f"by the newer rule of {self.evaluator!r} {self.changed:,} of {self.answers:,} kept "
            "scores are other values"
        )


_PENDING = "SELECT 1 FROM scoring WHERE place IS NOT NULL AND is_pending LIMIT 1"
_LACKING = """
SELECT evaluator_id, count(DISTINCT attempt.id)
FROM scoring JOIN evaluator ON evaluator.id = scoring.evaluator
JOIN attempt USING (problem_id)
WHERE place IS NOT NULL AND is_pending AND final AND position IS NOT NULL AND status = 'success'
    AND NOT EXISTS (
        SELECT 1 FROM scored WHERE attempt_id = attempt.id AND scoring_id = scoring.id
    )
GROUP BY evaluator_id ORDER BY min(place)
"""

_CHANGED = """
SELECT now.evaluator_id, count(*), sum(new.metric_value IS NOT old.metric_value)
FROM scored JOIN scoring AS later ON later.id = scored.scoring_id
JOIN evaluator AS now ON now.id = later.evaluator
JOIN evaluator AS before ON (before.evaluator_id, before.declaration, before.source)
    = (now.evaluator_id, now.declaration, now.source) AND before.version < now.version
JOIN scoring AS earlier ON earlier.evaluator = before.id
    AND (earlier.problem_id, earlier.question) = (later.problem_id, later.question)
JOIN evaluation AS new ON new.attempt_id = scored.attempt_id AND new.scoring_id = later.id
JOIN evaluation AS old ON old.attempt_id = scored.attempt_id AND old.scoring_id = earlier.id
    AND old.number = new.number
WHERE later.place IS NOT NULL AND scored.session_id = (SELECT max(id) FROM session)
GROUP BY now.evaluator_id ORDER BY min(later.place)
"""


def lacking_scores(store: StoreReader) -> dict[str, int]:
    """Return for each evaluator how many answers of the plan it has not scored, where any."""
    if next(store.table(_PENDING), None) is None:
        return {}  # without a look at the answers

    return {str(name): int(count) for name, count in store.table(_LACKING)}


def rule_changes(store: StoreReader) -> Iterator[RuleChange]:
    """Yield what the last session changed by scoring answers with rules of a newer release."""
    for name, answers, changed in store.table(_CHANGED):
        yield RuleChange(name, answers, changed)


def mean_costs(connection: sqlite3.Connection) -> dict[str, tuple[float, float]]:
    """Return what each evaluator took for an answer, in the mean of all that it scored.

    Args:
        connection: The store.

    Returns:
        Evaluator -> US dollars and seconds.
    """
    query = (
        "SELECT r.evaluator_id, avg(d.cost_usd), avg(d.latency_s) FROM scored d "
        "JOIN scoring s ON s.id = d.scoring_id JOIN evaluator r ON r.id = s.evaluator "
        "GROUP BY r.evaluator_id"
    )
    return {name: (cost_usd, latency_s) for name, cost_usd, latency_s in connection.execute(query)}


def judging_cost_usd(plan: Plan, name: str) -> float | None:
    """Return what a judge may take for an answer, by its prompts and its longest replies.

    Args:
        plan: The plan.
        name: The evaluator.

    Returns:
        US dollars; None where that is not known, or the evaluator is not a judge.
    """
    declared = plan.study.evaluators.get(name)
    if declared is None or declared.judge is None:
        return None

    module = load_extra(
        "penstock.models.prompts.forecast", extra="models", what=f"evaluator {name!r}"
    )
    cost_usd: float | None = module.judging_cost_usd(plan, name, declared.judge)
    return cost_usd

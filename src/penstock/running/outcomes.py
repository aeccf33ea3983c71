"""Outcomes that nothing gives: found before the first call where that can be known, else early."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from penstock._base.suggestions import did_you_mean
from penstock.results import RunResult
from penstock.running.gathered import PRIMARY
from penstock.study.declarations import EvaluatorDeclaration
from penstock.study.hypotheses import Outcome
from penstock.study.model import Study
from penstock.study.problem import Problem

__all__ = ["OutcomeWatch", "outcome_errors"]

PATIENCE = 20
"""So many answers of an agent may lack the primary outcome before the study stops."""

_FILLED = ("runs", "evaluations")


def outcome_errors(study: Study, problems: Iterable[Problem]) -> Iterator[str]:
    """List the outcomes that no run can have: their columns are nobody's.

    What a function returns, or an agent records, is known when it has; see `OutcomeWatch`.

    Args:
        study: The declared study.
        problems: Those that take part; they may bring evaluators.
    """
    given = [each.metric_of(name) for name, each in study.evaluators.items()]
    is_known = all(each.call is None for each in study.evaluators.values()) and all(
        problem.evaluator is None for problem in problems
    )
    for outcome in study.outcomes:
        label = f"Outcome '{outcome.name}'"
        if outcome.primary and outcome.source_table not in _FILLED:
            yield (
                f"{label} is primary, and nothing fills a run's {outcome.source_table}."
                f"{outcome.column}; its source_table is one of: {', '.join(_FILLED)}."
            )
        elif outcome.source_table == "evaluations" and is_known and outcome.column not in given:
            yield (
                f"{label} is evaluations.{outcome.column}, which no evaluator gives"
                f"{_hint(outcome.column, given)}"
            )
        elif outcome.source_table == "runs" and outcome.primary and outcome.column in given:
            yield (
                f"{label} is runs.{outcome.column}, and the evaluator '{outcome.column}' fills "
                "evaluations; say `source_table: evaluations`."
            )


def _hint(name: str, known: Sequence[str]) -> str:
    otherwise = f"; they give: {', '.join(known)}." if known else ": the study declares none."
    return did_you_mean(name, known, otherwise)


class OutcomeWatch:
    """Sees whether the answers of each agent have the primary outcome that is declared.

    Args:
        outcomes: The study's outcomes.
        evaluators: The study's evaluators; a score that people give may come later.
    """

    def __init__(
        self, outcomes: Iterable[Outcome], evaluators: Mapping[str, EvaluatorDeclaration]
    ) -> None:
        declared = next((outcome for outcome in outcomes if outcome.primary), None)
        later = {name for name, each in evaluators.items() if each.labels is not None}
        is_watched = declared is not None and declared.column not in later
        self._outcome = declared if is_watched else None
        self._lacking: Counter[str] = Counter()
        self._having: set[str] = set()

    def why_stop(self, result: RunResult) -> str | None:
        """Look at an answer; say why to stop where none of an agent's first 20 has the outcome."""
        outcome, agent = self._outcome, result.spec.agent_id
        if outcome is None or agent in self._having:
            return None

        if result.metrics.get(PRIMARY) is not None:
            self._having.add(agent)
            return None

        self._lacking[agent] += 1
        if self._lacking[agent] < PATIENCE:
            return None

        scores = ", ".join(row.metric_name for row in result.evaluations) or "none"
        return (
            f"none of the first {PATIENCE} answers of agent {agent!r} has the primary outcome "
            f"{outcome.name!r} ({outcome.source_table}.{outcome.column}); the last one has the "
            f"scores {scores} and the metrics {', '.join(sorted(result.metrics))}. Mend the "
            "declaration and run again: the answers are kept"
        )

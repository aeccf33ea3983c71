"""The tally of a session: what its attempts came to, counted as they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import Any

from penstock.results import JUDGE_AMOUNTS, RunResult, RunStatus
from penstock.summary import SessionSummary, Spent, StudySummary

__all__ = ["COUNTED", "Tally", "amount_of"]


@dataclass(slots=True)
class Tally:
    """Counts of one session.

    Args:
        opening: Where the study stood when the session began.
        restored: Runs of the plan whose results the session keeps from earlier ones.
    """

    opening: StudySummary
    restored: int = 0
    started: int = 0
    attempts: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0
    retried: int = 0
    rescored: int = 0
    agent_cost_usd: float = 0.0
    agent_input_tokens: int | float = 0
    agent_output_tokens: int | float = 0
    judge_cost_usd: float = 0.0
    judge_input_tokens: int | float = 0
    judge_output_tokens: int | float = 0
    uncounted_cost_usd: float = 0.0
    uncounted_tokens: int | float = 0
    unpriced: int = 0
    unknown_endings: int | float = 0
    gained: Counter[RunStatus] = field(default_factory=Counter)
    """By how much the whole study's counts of runs have changed in this session."""

    def begin(self, opening: StudySummary) -> None:
        """Take over where the study stands, and what is kept, before anything is counted."""
        self.opening, self.restored = opening, opening.session.restored

    def count(
        self,
        result: RunResult,
        *,
        retried: bool = False,
        replaced: RunStatus | None = None,
        counted: Mapping[str, Any] | None = None,
    ) -> None:
        """Count an attempt that is over.

        Args:
            result: The attempt.
            retried: Whether it is tried again, and so is not the result of its run.
            replaced: How the result of the same run ended that this one takes the place of.
            counted: The metrics that were counted when its answer was saved (see
                `count_answer`), where it was.
        """
        if retried:
            self.retried += 1
        else:
            self._count_run(result, replaced)

        if result.is_rescored:
            self.rescored += not retried
            self._spend(result.metrics, "judge")
        elif counted is None:
            self._count_attempt(result)
        else:
            self._count_since(result, counted)

    def count_answer(self, result: RunResult) -> None:
        """Count an attempt whose answer is saved before it is over: it is made, and it has cost."""
        self._count_attempt(result)

    def give_up(self, result: RunResult | None) -> None:
        """Count an attempt that was given up, whose run is left to the next session.

        Args:
            result: What of it is kept. Where that is nothing, it counts as not made.
        """
        if result is not None:
            self.cancelled += 1
            self._count_attempt(result)

    def discount(self, earlier: Mapping[str, Any]) -> None:
        """Count what scoring an answer again costs, without what judges of it cost before.

        Args:
            earlier: The metrics of the answer as it was scored before.
        """
        self._spend(earlier, "judge", sign=-1)

    def copy(self) -> Tally:
        """Return another tally with these counts."""
        return replace(self, gained=self.gained.copy())

    def _count_attempt(self, result: RunResult) -> None:
        metrics = result.metrics
        self.attempts += 1
        if _cost_nothing(metrics):
            return

        self.unpriced += _is_unpriced(metrics)
        self._spend(metrics, "agent")
        if not JUDGE_AMOUNTS.isdisjoint(metrics):
            self._spend(metrics, "judge")

    def _count_since(self, result: RunResult, counted: Mapping[str, Any]) -> None:
        """Count what an attempt has cost since its answer was saved."""
        self.unpriced += _is_unpriced(result.metrics) - _is_unpriced(counted)
        for who, amounts in _AMOUNTS.items():
            since = {
                metric: amount_of(result.metrics.get(metric)) - amount_of(counted.get(metric))
                for metric, _ in amounts
            }
            self._spend(since, who)

    def _count_run(self, result: RunResult, replaced: RunStatus | None) -> None:
        self.gained[result.status] += 1
        if replaced is not None:
            self.gained[replaced] -= 1

        if result.status is RunStatus.SUCCESS:
            self.succeeded += 1
        elif result.status is RunStatus.FAILED:
            self.failed += 1
        elif result.status is RunStatus.SKIPPED:
            self.skipped += 1
        else:
            self.cancelled += 1

    def _spend(self, metrics: Mapping[str, Any], who: str, *, sign: int = 1) -> None:
        for metric, name in _AMOUNTS[who]:
            # Most amounts of most attempts are nothing.
            if (value := metrics.get(metric)) and (amount := amount_of(value)):
                setattr(self, name, getattr(self, name) + sign * amount)

    def session(self) -> SessionSummary:
        """State what the session did."""
        return SessionSummary(
            **{name: getattr(self, name) for name in SessionSummary.counts()},
            agents=self._spent("agent"),
            judges=self._spent("judge"),
        )

    def _spent(self, who: str) -> Spent:
        names = ("cost_usd", "input_tokens", "output_tokens")
        return Spent(**{name: getattr(self, f"{who}_{name}") for name in names})

    def summary(self, **now: Any) -> StudySummary:
        """State where the study stands.

        Args:
            **now: Fields that are neither counted here nor as they were at the beginning.
        """
        opening, session = self.opening, self.session()
        added = {
            "attempts": opening.attempts + session.attempts,
            "agents": opening.agents + session.agents,
            "judges": opening.judges + session.judges,
            "uncounted_cost_usd": opening.uncounted_cost_usd + session.uncounted_cost_usd,
            "uncounted_tokens": opening.uncounted_tokens + session.uncounted_tokens,
            "unpriced": opening.unpriced + session.unpriced,
            "unknown_endings": opening.unknown_endings + session.unknown_endings,
            "succeeded": opening.succeeded + self.gained[RunStatus.SUCCESS],
            "failed": opening.failed + self.gained[RunStatus.FAILED],
            "skipped": opening.skipped + self.gained[RunStatus.SKIPPED],
        }
        return opening.model_copy(update={**added, "session": session, **now})


COUNTED = tuple(each.name for each in fields(Tally) if each.name not in ("opening", "gained"))
"""What a session counts; columns of the table ``session``."""

_AMOUNTS = {
    "agent": (
        ("cost_usd", "agent_cost_usd"),
        ("known_cost_usd", "agent_cost_usd"),
        ("input_tokens", "agent_input_tokens"),
        ("output_tokens", "agent_output_tokens"),
        ("uncounted_cost_usd", "uncounted_cost_usd"),
        ("uncounted_tokens", "uncounted_tokens"),
        ("unknown_endings", "unknown_endings"),
    ),
    "judge": (
        ("judge_cost_usd", "judge_cost_usd"),
        ("judge_known_cost_usd", "judge_cost_usd"),
        ("judge_input_tokens", "judge_input_tokens"),
        ("judge_output_tokens", "judge_output_tokens"),
        ("judge_uncounted_cost_usd", "uncounted_cost_usd"),
        ("judge_uncounted_tokens", "uncounted_tokens"),
        ("judge_unknown_endings", "unknown_endings"),
    ),
}
"""Metrics of a run, and which sum each goes into."""

_ALWAYS = {"cost_usd", "input_tokens", "output_tokens"}
"""What every run has, though it be 0."""

_OTHERS = {metric for amounts in _AMOUNTS.values() for metric, _ in amounts} - _ALWAYS


def _cost_nothing(metrics: Mapping[str, Any]) -> bool:
    """Return whether an attempt has recorded no amount; None is one that is not known."""
    return (
        metrics.get("cost_usd", 0) == 0
        and not metrics.get("input_tokens")
        and not metrics.get("output_tokens")
        and _OTHERS.isdisjoint(metrics)
    )


def _is_unpriced(metrics: Mapping[str, Any]) -> bool:
    """Return whether some of what an attempt has cost is not known."""
    return metrics.get("cost_usd", 0) is None or metrics.get("judge_cost_usd", 0) is None


def amount_of(value: Any) -> int | float:
    """Read what was recorded as an amount; what is not one adds nothing."""
    is_number = isinstance(value, (int, float)) and isfinite(value)
    return value if is_number else 0

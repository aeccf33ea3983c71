"""The tally of a session: what its runs came to, counted as they go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.results import JUDGE_AMOUNTS, RunResult, RunStatus, StudySummary

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """Counts of this session, kept as runs go."""

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0
    retried: int = 0
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0

    def count(self, result: RunResult, *, retried: bool = False) -> None:
        """Count an attempt that is over."""
        if retried:
            self.retried += 1
        elif result.status is RunStatus.SUCCESS:
            self.succeeded += 1
        elif result.status is RunStatus.FAILED:
            self.failed += 1
        elif result.status is RunStatus.SKIPPED:
            self.skipped += 1
        else:
            self.cancelled += 1

        if not result.is_rescored:
            self._spend(result.metrics)

        if not JUDGE_AMOUNTS.isdisjoint(result.metrics):
            self._spend(result.metrics, "judge_")

    def discount(self, earlier: RunResult) -> None:
        """Count what scoring an answer again costs, without what judges of it cost before."""
        self._spend(earlier.metrics, "judge_", sign=-1)

    def _spend(self, metrics: Mapping[str, Any], prefix: str = "", *, sign: int = 1) -> None:
        self.cost_usd += sign * float(metrics.get(f"{prefix}cost_usd") or 0)
        self.input_tokens += sign * int(metrics.get(f"{prefix}input_tokens") or 0)
        self.output_tokens += sign * int(metrics.get(f"{prefix}output_tokens") or 0)

    def summary(self, study_id: str, **others: Any) -> StudySummary:
        """State the counts as a fact."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return StudySummary(study_id=study_id, **fields, **others)

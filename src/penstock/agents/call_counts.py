"""What an attempt has asked of models so far: how often each request, and which was the last."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose
from typing import Any

from penstock._base.fact import EMPTY

__all__ = ["CallCounts"]


class CallCounts:
    """Counts the requests of one attempt.

    A request that is made again is another: the n-th of an attempt is the n-th of the next one.

    Args:
        first_attempt: The first attempt of the session; those after it may take its answers.
        spoilt: Requests, each with its number among equal ones, with whose answers earlier
            attempts failed.

    Attributes:
        total: How many calls there were, judges' among them.
        evaluator_id: The evaluator that is at work, whose calls they are; empty while the agent is.
        last: The request that was made last.
        left: Answers that an attempt had which was cut off, by request and number among equal
            ones; None while nobody has looked for them.
        refused: Requests that earlier sessions were refused for good, and how.
        refused_before: How many calls were not made because of that, since the last answer.
        counted: What the agent's calls cost and used, as its metrics have it too.
        has_failed_in_passing: Whether the agent's last call, or the server of a tool, failed in a
            way that passes by itself.
    """

    __slots__ = (
        "_counts",
        "counted",
        "evaluator_id",
        "first_attempt",
        "has_failed_in_passing",
        "last",
        "left",
        "refused",
        "refused_before",
        "spoilt",
        "total",
    )

    def __init__(
        self, first_attempt: int = 1, spoilt: frozenset[tuple[str, int]] = frozenset()
    ) -> None:
        self.first_attempt = first_attempt
        self.spoilt = spoilt
        self.total = 0
        self.evaluator_id = ""
        self.last: tuple[str, int] | None = None
        self.left: Mapping[tuple[str, int], Any] | None = None
        self.refused: Mapping[str, Any] = EMPTY
        self.refused_before = 0
        self.has_failed_in_passing = False
        self.counted: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def of_another_attempt(self) -> CallCounts:
        """Begin the counts of the attempt after this one.

        It failed with its last answer, which is not given again; or its last call failed in
        passing, and the next attempt goes on from there.
        """
        if self.has_failed_in_passing:
            return CallCounts(self.first_attempt, self.spoilt)

        last = () if self.last is None else (self.last,)
        counts = CallCounts(self.first_attempt, self.spoilt.union(last))
        counts.left = {}  # it ended by itself
        counts.refused = self.refused
        return counts

    def of_lost_attempt(self) -> CallCounts:
        """Begin the counts of the attempt after this one, which was cut off with its worker."""
        return CallCounts(self.first_attempt, self.spoilt)

    def are_recorded_again(self, metrics: Mapping[str, Any]) -> bool:
        """Return whether an agent has recorded itself what was counted of its calls already."""
        tokens = ("input_tokens", "output_tokens")
        is_double = self._is_double
        return is_double("cost_usd", metrics) or all(is_double(name, metrics) for name in tokens)

    def _is_double(self, name: str, metrics: Mapping[str, Any]) -> bool:
        counted, known = self.counted.get(name, 0.0), metrics.get(name)
        return bool(counted) and known is not None and isclose(known, 2 * counted, rel_tol=1e-9)

    def note(self, digest: str) -> int:
        """Count a request that is about to be made; return how many equal ones its asker made."""
        key = f"{self.evaluator_id}:{digest}" if self.evaluator_id else digest
        before = self._counts.get(key, 0)
        self._counts[key] = before + 1
        self.last = (digest, before)
        return before

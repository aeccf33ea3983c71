"""How many runs may be in flight where nobody says it: as many as their agents keep up with.

Two things hold the number down. An agent that is *refused* (a rate limit, an overloaded server)
cuts it and pauses new runs, as at the gate of a chat model. An agent that merely *queues* refuses
nothing: behind a gate, a named limit, a pool of threads or a busy server, more runs in flight only
wait for each other. So the number doubles on trial. Where attempts then take longer by half, it
goes back to where it was.
"""

from __future__ import annotations

from math import exp, inf, log
from typing import NamedTuple

from penstock._base.aimd import REFUSED_STATUSES, AdaptiveLimit, OnChanged, Pause
from penstock.results import RunError, RunResult, RunStage

__all__ = ["AutomaticLimit", "Refusal", "refusal_of"]

INITIAL = 16
_TOO_SLOW = 1.5
"""Half-way, as ratios go, between agents that keep up (1) and those that do not at all (2)."""

_FEWEST = 32
"""Attempts from which a mean is made; the times of fewer vary too much."""

_PATIENCE_ROUNDS = 8
_SHORTEST_S = 0.001
"""What takes less counts as this: answers out of a cache, times of a coarse clock."""

_LONGEST_PAUSE_S = 300.0
_COOLDOWN_S = 0.25
"""Shorter than that of a gate: what began before a cut does not count, and a pause comes first."""


class Refusal(NamedTuple):
    """An attempt that the other side refused because it had too much to do.

    Args:
        reason: Who was refused and why, for people.
        retry_after_s: How long the other side asks to wait, in seconds.
    """

    reason: str
    retry_after_s: float | None = None


def refusal_of(result: RunResult) -> Refusal | None:
    """Return whether an attempt failed because too many are in flight.

    It did where its error says how long to wait (``retry_after_s``), has the HTTP status 429, 503
    or 529, or is of a class that is named after a rate limit. It did not where its call went
    through the gate of an endpoint: that has cut its own limit, and other endpoints bear what they
    bore before. A timeout is not a refusal: some calls stall at any number in flight.
    """
    error = result.error
    if error is None or not _says_too_much(error):
        return None

    gate = "judge_queued_s" if error.stage is RunStage.EVALUATOR else "queued_s"
    if gate in result.metrics:
        return None

    status = "" if error.http_status is None else f" (http status {error.http_status})"
    who = f"{result.spec.agent_id} was refused" if result.spec.agent_id else "a run was refused"
    return Refusal(f"{who}: {error.kind}{status}", error.retry_after_s)


def _says_too_much(error: RunError) -> bool:
    name = error.kind.lower()
    return (
        error.retry_after_s is not None
        or error.http_status in REFUSED_STATUSES
        or any(part in name for part in _REFUSALS_NAMED)
    )


_REFUSALS_NAMED = ("ratelimit", "toomanyrequests", "throttl", "resourceexhausted", "overloaded")
"""Parts of the names that clients of providers give to such errors, in lower case."""


class _Sample:
    """How long attempts take that began after a moment: the mean of the logarithms of seconds.

    Times of answers spread over orders of magnitude; a plain mean would be that of the slowest.
    """

    def __init__(self, begun_at: float, limit: int, rounds_first: int = 0) -> None:
        self._begun_at = begun_at
        self._ignored = rounds_first * limit
        self._missing = max(limit, _FEWEST)
        self._count = 0
        self._sum = 0.0

    def add(self, started_at: float, took_s: float) -> bool:
        """Add an attempt; returns whether there are enough now."""
        if started_at < self._begun_at:
            return False

        if self._ignored:
            self._ignored -= 1
            return False

        self._count += 1
        self._sum += log(max(took_s, _SHORTEST_S))
        return self._count >= self._missing

    @property
    def mean(self) -> float:
        return self._sum / self._count


class AutomaticLimit:
    """A limit of runs in flight that finds itself; it is told of attempts and has no clock.

    Args:
        most: The most that it grows to.
        on_changed: Is told the new limit and why at each cut, each doubling, and at the most.
        initial: Where it begins.
    """

    def __init__(
        self, most: int, on_changed: OnChanged | None = None, *, initial: int = INITIAL
    ) -> None:
        self._most = most
        self._limit = AdaptiveLimit(
            None,
            on_changed,
            initial=min(initial, most),
            cooldown_s=_COOLDOWN_S,
            least_step=0.0,
        )
        self._pause = Pause(_LONGEST_PAUSE_S)
        self._started: dict[str, float] = {}
        self._full_at = -inf
        self._proven = self._limit.maximum = self._limit.value
        self._usual: float | None = None
        self._sample: _Sample | None = None
        self._patience = _PATIENCE_ROUNDS

    @property
    def value(self) -> int:
        """How many runs may be in flight."""
        return self._limit.value

    @property
    def paused_until(self) -> float:
        """Until when no run should begin."""
        return self._pause.until

    def started(self, run_id: str, now: float) -> None:
        """Note that an attempt at a run began."""
        self._started[run_id] = now
        if len(self._started) >= self.value:
            self._full_at = now

    def ended(
        self, run_id: str, now: float, *, refusal: Refusal | None = None, succeeded: bool = True
    ) -> None:
        """Note that an attempt ended.

        Args:
            run_id: Of which run.
            now: The present moment.
            refusal: Why the other side refused it, if it did.
            succeeded: Whether there is an answer.
        """
        started_at = self._started.pop(run_id, now)
        is_saturated = started_at <= self._full_at  # all slots were taken while it ran
        if refusal is not None:
            self._refused(started_at, now, refusal)
            return

        if succeeded:
            self._pause.relax(started_at)
            self._limit.grow(started_at, is_saturated=is_saturated)

        if is_saturated and self._limit.value >= self._limit.maximum:
            self._compare(started_at, now)

    def _refused(self, started_at: float, now: float, refusal: Refusal) -> None:
        self._pause.begin(refusal.retry_after_s, started_at, now)
        before = self.value
        if self._limit.cut(started_at, now, refusal.reason):
            # Back to where it was cut it grows untried: as a rule it is refused there again.
            self._limit.maximum = before
            self._usual = self._sample = None
            self._patience = _PATIENCE_ROUNDS

    def _compare(self, started_at: float, now: float) -> None:
        """Measure at the maximum, let it double, and measure again."""
        if self.value >= self._most:
            return

        if self._sample is None:
            self._sample = _Sample(now, self.value)

        if not self._sample.add(started_at, now - started_at):
            return

        mean = self._sample.mean
        slower = 1.0 if self._usual is None else exp(mean - self._usual)
        if slower < _TOO_SLOW:
            self._proven, self._usual, self._sample = self.value, mean, None
            self._limit.maximum = min(2 * self._proven, self._most)
            self._limit.forget_cut()
            return

        reason = f"with {self.value} in flight, runs took {slower:.1f} times as long"
        self._limit.maximum = self._proven
        self._limit.lower(self._proven, reason)
        self._usual, self._sample = None, _Sample(now, self._proven, self._patience)
        self._patience *= 2  # else what chance lets pass would add up over a long study

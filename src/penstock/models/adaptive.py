"""How many calls may be in flight at an endpoint: as many as it turns out to bear."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

__all__ = ["AdaptiveLimit"]

_INITIAL = 64
_CUT = 0.5
_ROUNDS_TO_MAXIMUM = 50
_COOLDOWN_S = 5.0


class AdaptiveLimit:
    """A limit that grows while it is what holds calls back, and is cut when a call is rejected.

    Slow start until the first cut (one more for each success, so it doubles each round; Jacobson
    1988), then additive increase and multiplicative decrease (Chiu & Jain 1989).

    Args:
        maximum: The most that it grows to; None for no bound.
        on_changed: Is told the new limit and why at each cut, each doubling, and at the maximum.
        initial: Where it begins.
        cooldown_s: At most one cut in so many seconds: the calls that were in flight together
            are rejected together, and say one thing and not a hundred.
    """

    def __init__(
        self,
        maximum: int | None,
        on_changed: Callable[[int, str], None] | None = None,
        *,
        initial: int = _INITIAL,
        cooldown_s: float = _COOLDOWN_S,
    ) -> None:
        self._maximum = inf if maximum is None else maximum
        self._exact = min(float(initial), self._maximum)
        self._step = max(1.0, (maximum or 0) / _ROUNDS_TO_MAXIMUM)
        self._cooldown_s = cooldown_s
        self._cut_at = -inf
        self._on_changed = on_changed
        self._told = self.value

    @property
    def value(self) -> int:
        """How many calls may be in flight."""
        return int(self._exact)

    def grow(self, admitted_at: float, *, is_saturated: bool) -> bool:
        """Say that a call succeeded; returns whether the limit grew.

        Args:
            admitted_at: When the call was admitted; one from before the last cut says nothing
                about the limit after it.
            is_saturated: Whether all slots were taken; if not, nothing is known of a higher
                limit, so it stays.
        """
        if not is_saturated or admitted_at <= self._cut_at or self._exact >= self._maximum:
            return False

        before = self.value
        is_slow_start = self._cut_at == -inf
        growth = 1.0 if is_slow_start else self._step / self._exact
        self._exact = min(self._exact + growth, self._maximum)
        if self.value >= 2 * self._told or (self.value > before and self._exact == self._maximum):
            self._tell("slow start" if is_slow_start else "additive increase")

        return self.value > before

    def cut(self, admitted_at: float, now: float, reason: str) -> bool:
        """Say that a call was rejected; returns whether the limit was cut.

        Args:
            admitted_at: When the call was admitted.
            now: The present moment.
            reason: Why it was rejected.
        """
        if now < self._cut_at + self._cooldown_s or admitted_at <= self._cut_at:
            return False

        self._cut_at = now
        before = self.value
        self._exact = max(1.0, float(int(self._exact * _CUT)))
        if self.value != before:
            self._tell(reason)

        return True

    def _tell(self, reason: str) -> None:
        self._told = self.value
        if self._on_changed is not None:
            self._on_changed(self.value, reason)

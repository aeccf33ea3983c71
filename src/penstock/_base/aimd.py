"""How many may be in flight, and when nothing should begin: what the other side turns out to bear.

The arithmetic that calls to an endpoint and the runs of a study share; it has no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

__all__ = ["REFUSED_STATUSES", "AdaptiveLimit", "OnChanged", "Pause"]

REFUSED_STATUSES = frozenset({429, 503, 529})
"""HTTP statuses that say 'not now': too many requests, unavailable, overloaded."""

OnChanged = Callable[[int, str], None]
"""Is told a new limit and, for people, why it changed."""

_INITIAL = 64
_CUT = 0.5
_ROUNDS = 50
"""In so many rounds additive increase adds the maximum, or what there was before the last cut."""
_COOLDOWN_S = 5.0
_FIRST_PAUSE_S = 0.25
_LONGEST_UNSTATED_PAUSE_S = 30.0


class AdaptiveLimit:
    """A limit that grows while it is what holds work back, and is cut when some is refused.

    Slow start until the first cut (one more for each success, so it doubles each round; Jacobson
    1988), then additive increase and multiplicative decrease (Chiu & Jain 1989).

    Args:
        maximum: The most that it grows to; None for no bound. May be set anew at any time.
        on_changed: Is told the new limit and why at each cut, each doubling, and at the maximum.
        initial: Where it begins.
        cooldown_s: At most one cut in so many seconds: what was in flight together is refused
            together, and says one thing and not a hundred.
        least_step: How much it grows at least in a round of additive increase.
    """

    def __init__(
        self,
        maximum: int | None,
        on_changed: OnChanged | None = None,
        *,
        initial: int = _INITIAL,
        cooldown_s: float = _COOLDOWN_S,
        least_step: float = 1.0,
    ) -> None:
        self.maximum = inf if maximum is None else maximum
        self._exact = min(float(initial), self.maximum)
        self._least_step = max(least_step, (maximum or 0) / _ROUNDS)
        self._step = self._least_step
        self._cooldown_s = cooldown_s
        self._cut_at = -inf
        self._is_slow_start = True
        self._on_changed = on_changed
        self._told = self.value

    @property
    def value(self) -> int:
        """How many may be in flight."""
        return int(self._exact)

    def grow(self, admitted_at: float, *, is_saturated: bool) -> bool:
        """Say that something succeeded; returns whether the limit grew.

        Args:
            admitted_at: When it was admitted; what was admitted before the last cut says nothing
                about the limit after it.
            is_saturated: Whether all slots were taken; if not, nothing is known of a higher
                limit, so it stays.
        """
        if not is_saturated or admitted_at <= self._cut_at or self._exact >= self.maximum:
            return False

        before = self.value
        growth = 1.0 if self._is_slow_start else self._step / self._exact
        self._exact = min(self._exact + growth, self.maximum)
        if self.value >= 2 * self._told or (self.value > before and self._exact == self.maximum):
            self._tell("slow start" if self._is_slow_start else "additive increase")

        return self.value > before

    def cut(self, admitted_at: float, now: float, reason: str) -> bool:
        """Say that something was refused; returns whether the limit was cut.

        Args:
            admitted_at: When it was admitted.
            now: The present moment.
            reason: Why it was refused.
        """
        if now < self._cut_at + self._cooldown_s or admitted_at <= self._cut_at:
            return False

        self._cut_at = now
        self._is_slow_start = False
        before = self.value
        self._step = max(self._least_step, before / _ROUNDS)
        self._exact = max(1.0, float(int(self._exact * _CUT)))
        if self.value != before:
            self._tell(reason)

        return True

    def forget_cut(self) -> None:
        """Begin slow start again: what was refused once is borne by now."""
        self._is_slow_start = True

    def lower(self, limit: int, reason: str) -> None:
        """Go back to a limit for another reason than a refusal: it counts as no cut."""
        self._exact = float(limit)
        self._tell(reason)

    def _tell(self, reason: str) -> None:
        self._told = self.value
        if self._on_changed is not None:
            self._on_changed(self.value, reason)


class Pause:
    """A time in which nobody begins anything, because the provider said so to one.

    Where it says 429, 503 or 529 and not for how long, the pause begins at a quarter of a second
    and doubles for as long as nothing succeeds.

    Args:
        longest_s: The longest wait that is kept to, in seconds; beyond it the call fails at
            once, and the others are paused as if nothing had been stated.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._unstated_s = _FIRST_PAUSE_S
        self._begun_at = -inf
        self.until = -inf

    def begin(self, stated_s: float | None, admitted_at: float, now: float) -> bool:
        """Pause, because a request was rejected; returns whether the pause became longer.

        Args:
            stated_s: How long the provider asks to wait, in seconds.
            admitted_at: When the rejected request was admitted. One from before a pause says
                nothing about the time after it, so it does not double the pause.
            now: The present moment.
        """
        if stated_s and stated_s <= self._longest_s:
            wait_s = stated_s
        elif admitted_at > self._begun_at:
            wait_s = self._unstated_s
            self._unstated_s = min(2 * wait_s, _LONGEST_UNSTATED_PAUSE_S)
        else:
            return False

        self._begun_at = now
        is_longer = now + wait_s > self.until
        self.until = max(self.until, now + wait_s)
        return is_longer

    def relax(self, admitted_at: float) -> None:
        """Say that a request succeeded: the next unstated pause is short again."""
        if admitted_at >= self.until:
            self._unstated_s = _FIRST_PAUSE_S

"""How many may be in flight, and when nothing should begin: what the other side turns out to bear.

The arithmetic that calls to an endpoint and the runs of a study share; it has no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

__all__ = [
    "FIRST_LIMIT",
    "REFUSED_STATUSES",
    "AdaptiveLimit",
    "OnChanged",
    "Pause",
    "RecentRefusals",
]

REFUSED_STATUSES = frozenset({429, 503, 529})
"""HTTP statuses that say 'not now': too many requests, unavailable, overloaded."""

OnChanged = Callable[[int, str], None]
"""Is told a new limit and, for people, why it changed."""

FIRST_LIMIT = 64
"""Where a limit begins that nothing is known of."""
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

    Where what was in flight together is weighed (`weigh`), a cut is half the share of it that was
    refused, as in DCTCP (Alizadeh et al. 2010): all of it, and half of the limit goes; one in a
    hundred, and it stays nearly what it was, slow start included.

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
        initial: int = FIRST_LIMIT,
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
        self._weighed: _Weighed | None = None
        self._on_changed = on_changed
        self._told = self.value

    @property
    def value(self) -> int:
        """How many may be in flight."""
        return int(self._exact)

    def grow(self, admitted_at: float, *, is_saturated: bool) -> bool:
        """Count a success; return whether the limit grew.

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

    def cut(
        self, admitted_at: float, now: float, reason: str, *, refused: float = 1, of: float = 1
    ) -> bool:
        """Count a refusal; return whether the limit was cut.

        Args:
            admitted_at: When it was admitted.
            now: The present moment.
            reason: Why it was refused.
            refused: How many were refused of late, this one included; with ``of`` it is the
                share that the cut begins with.
            of: How many were refused or answered.
        """
        if now < self._cut_at + self._cooldown_s or admitted_at <= self._cut_at:
            return False

        self._cut_at = now
        before = self.value
        self._weighed = _Weighed(self._exact, refused, of, is_slow_start=self._is_slow_start)
        self._step = max(self._least_step, before / _ROUNDS)
        self._follow(self._weighed)
        if self.value != before:
            self._tell(reason)

        return True

    def weigh(self, admitted_at: float, *, is_refused: bool, is_saturated: bool = False) -> bool:
        """Count how something ended; the last cut is weighed by what was in flight then.

        Args:
            admitted_at: When it was admitted; what was admitted after the cut does not count.
            is_refused: Whether it was refused.
            is_saturated: Whether all slots were taken.

        Returns:
            Whether the limit is higher than before.
        """
        weighed = self._weighed
        if weighed is None or admitted_at > self._cut_at:
            return False

        before, was_stray = self.value, weighed.is_stray
        weighed.add(is_refused=is_refused)
        if weighed.is_stray and weighed.is_slow_start and is_saturated and not is_refused:
            weighed.limit = min(weighed.limit + 1.0, self.maximum)

        self._follow(weighed)
        if weighed.is_stray and not was_stray:
            self._tell(f"only {weighed.share:.0%} were refused")

        return self.value > before

    def _follow(self, weighed: _Weighed) -> None:
        exact = weighed.limit * (1 - (1 - _CUT) * weighed.share)
        self._is_slow_start = weighed.is_slow_start and weighed.is_stray
        self._exact = max(1.0, min(float(int(exact)), self.maximum))

    def forget_cut(self) -> None:
        """Begin slow start again: what was refused once is borne by now."""
        self._is_slow_start = True
        self._weighed = None

    def lower(self, limit: int, reason: str) -> None:
        """Go back to a limit for another reason than a refusal: it counts as no cut."""
        self._exact = float(limit)
        self._weighed = None
        self._tell(reason)

    def _tell(self, reason: str) -> None:
        self._told = self.value
        if self._on_changed is not None:
            self._on_changed(self.value, reason)


class _Weighed:
    """A cut that is weighed by what was in flight with what was refused."""

    def __init__(self, limit: float, refused: float, of: float, *, is_slow_start: bool) -> None:
        self.limit = limit
        """Before the cut."""
        self.is_slow_start = is_slow_start
        self._refused = refused
        self._of = of

    @property
    def share(self) -> float:
        return self._refused / self._of

    @property
    def is_stray(self) -> bool:
        return self.share < _STRAY

    def add(self, *, is_refused: bool) -> None:
        self._refused += is_refused
        self._of += 1


class RecentRefusals:
    """Which share of the last hundred or so outcomes were refusals.

    Attributes:
        total: Refusals since the beginning.
    """

    def __init__(self) -> None:
        self.refused = 0.0
        self.count = 0.0
        self.total = 0

    def add(self, *, is_refused: bool) -> None:
        """Count an outcome; the older ones fade."""
        kept = 1 - 1 / _RECENT
        self.refused = self.refused * kept + is_refused
        self.count = self.count * kept + 1
        self.total += is_refused

    @property
    def are_stray(self) -> bool:
        """Whether refusals are so few that they say nothing about what may be in flight."""
        return self.count >= _FEWEST and self.refused < _STRAY * self.count


_STRAY = 0.1
"""Below this share of refusals nobody but who was refused is held up."""

_RECENT = 100
_FEWEST = 20


class Pause:
    """A time in which nobody begins anything, because the provider said so to one.

    Where it says 429, 503 or 529 and not for how long, the pause begins at a quarter of a second
    and doubles for as long as nothing succeeds.

    Args:
        longest_s: The longest wait that is kept to, in seconds; beyond it the call fails at
            once, and the others are paused as if nothing had been stated.
    """

    def __init__(self, longest_s: float) -> None:
        self.longest_s = longest_s
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
        if stated_s and stated_s <= self.longest_s:
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
        """Record that a request succeeded: the next unstated pause is short again."""
        if admitted_at >= self.until:
            self._unstated_s = _FIRST_PAUSE_S

"""A time in which nothing is begun, because the other side has refused something."""

from __future__ import annotations

from math import inf

__all__ = ["Pause"]

_FIRST_PAUSE_S = 0.25
_LONGEST_UNSTATED_PAUSE_S = 30.0


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

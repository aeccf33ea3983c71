"""Real limits on rates: what is counted in any window, not from one full minute to the next."""

from __future__ import annotations

from collections import deque
from math import ceil, inf

__all__ = ["RateLimits", "SlidingWindow"]


class SlidingWindow:
    """Counts what happened within the last seconds.

    Args:
        limit: The most that may happen in a window.
        window_s: Its length, in seconds.
    """

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit = limit
        self._window_s = window_s
        self._entries: deque[tuple[float, int]] = deque()
        self._used = 0

    def wait_s(self, now_s: float, amount: int) -> float:
        """Return how long until an amount fits: 0 if it does now, infinity if it never will."""
        self._forget(now_s)
        if amount > self.limit:
            return inf

        excess = self._used + amount - self.limit
        wait_s = 0.0
        for at_s, used in self._entries:
            if excess <= 0:
                break

            excess -= used
            wait_s = at_s + self._window_s - now_s

        return wait_s

    def add(self, now_s: float, amount: int) -> None:
        """Count an amount."""
        self._entries.append((now_s, amount))
        self._used += amount

    def remaining(self, now_s: float) -> int:
        """Return how much is left now."""
        self._forget(now_s)
        return self.limit - self._used

    def reset_s(self, now_s: float) -> float:
        """Return how long until everything is back, in seconds."""
        return self._entries[-1][0] + self._window_s - now_s if self._entries else 0.0

    def _forget(self, now_s: float) -> None:
        while self._entries and self._entries[0][0] + self._window_s <= now_s:
            self._used -= self._entries.popleft()[1]


class RateLimits:
    """The limits on requests and on tokens, where there are any."""

    def __init__(self, requests: int | None, tokens: int | None, window_s: float) -> None:
        self._windows: dict[str, SlidingWindow] = {}
        for kind, limit in (("requests", requests), ("tokens", tokens)):
            if limit is not None:
                self._windows[kind] = SlidingWindow(limit, window_s)

    def refusal(self, now_s: float, tokens: int) -> tuple[str, float] | None:
        """Return which limit stands in a request's way, and for how many seconds.

        Args:
            now_s: The time, in seconds.
            tokens: Tokens of its prompt and of its answer.
        """
        waits = {
            kind: window.wait_s(now_s, tokens if kind == "tokens" else 1)
            for kind, window in self._windows.items()
        }
        kind = max(waits, key=waits.__getitem__, default="")
        return (kind, waits[kind]) if kind and waits[kind] > 0 else None

    def count(self, now_s: float, tokens: int) -> None:
        """Count a request that is taken."""
        for kind, window in self._windows.items():
            window.add(now_s, tokens if kind == "tokens" else 1)

    def headers(self, now_s: float) -> dict[str, str]:
        """Return what is left, as ``x-ratelimit-*`` headers."""
        said = {}
        for kind, window in self._windows.items():
            said[f"x-ratelimit-limit-{kind}"] = str(window.limit)
            said[f"x-ratelimit-remaining-{kind}"] = str(window.remaining(now_s))
            said[f"x-ratelimit-reset-{kind}"] = f"{ceil(window.reset_s(now_s) * 1000)}ms"

        return said

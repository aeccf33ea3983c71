"""How fast calls may begin: so much in any minute, and what a provider says is left.

Each says when the next call may begin; none sleeps and none has a clock.
"""

from __future__ import annotations

from collections import deque
from math import inf

from penstock.models.chat_model import RateLimitHeaders
from penstock.study.spending import EndpointLimits

__all__ = ["Allowance", "Entry", "Pace", "Rate", "Window"]

_WINDOW_S = 63.0
"""A minute and 5 %: calls reach the server up to 3 s more or less late than they began here."""


class Entry:
    """What one call took of a window.

    Args:
        at: When, on the clock of whoever keeps the window.
        amount: How much.

    Attributes:
        mark: By which an `Allowance` knows the call again.
    """

    __slots__ = ("amount", "at", "has_left", "mark")

    def __init__(self, at: float, amount: int) -> None:
        self.at = at
        self.amount = amount
        self.has_left = False
        self.mark = 0


class Window:
    """At most so much in any minute: a sliding log, so a burst counts wherever it is cut.

    What was taken comes back a minute later, and no faster than the limit's own rate: a burst is
    followed by an even flow and not by a burst a minute. Over time 95 % of the limit is used.

    Args:
        limit: How much in any 60 seconds; None for no limit. May be set anew at any time; what
            was taken while there was none does not count.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._entries: deque[Entry] = deque()
        self._used = 0
        self._last_left_at = -inf

    def free_at(self, amount: int, now: float) -> float:
        """Return when to ask again: now where the amount fits, else when the next entry leaves.

        An amount beyond the limit fits into an empty window, else it would wait for ever.
        """
        if self.limit is None:
            return now

        self._drop_old(now, self.limit)
        if self._used <= 0 or self._used + amount <= self.limit:
            return now

        return self._leaves_at(self._entries[0], self.limit)

    def take(self, amount: int, now: float) -> Entry:
        """Take an amount now."""
        entry = Entry(now, amount)
        if self.limit is not None:
            self._entries.append(entry)
            self._used += amount
        else:
            entry.has_left = True

        return entry

    def correct(self, entry: Entry, amount: int) -> None:
        """Correct how much it was."""
        if not entry.has_left:
            self._used += amount - entry.amount

        entry.amount = amount

    def _drop_old(self, now: float, limit: int) -> None:
        while self._entries and (left_at := self._leaves_at(self._entries[0], limit)) <= now:
            entry = self._entries.popleft()
            entry.has_left = True
            self._used -= entry.amount
            self._last_left_at = left_at

    def _leaves_at(self, entry: Entry, limit: int) -> float:
        spacing_s = _WINDOW_S * min(entry.amount / limit, 1.0)
        return max(entry.at + _WINDOW_S, self._last_left_at + spacing_s)


class Allowance:
    """What a provider says is left, in the ``x-ratelimit-*`` headers of its responses.

    A response tells how things stood when its own request was counted; what began after that
    request may be counted in it or not, and is taken as not. So the allowance is never too high,
    and the response to the latest request makes it exact.

    Args:
        longest_s: The longest wait for a reset that is kept to, in seconds.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._taken = 0
        self._ceiling = 0
        self._heard_of = -1
        self._resets_at = -inf

    def take(self, amount: int) -> int:
        """Count an amount; returns the mark by which `hear` knows the request again."""
        self._taken += amount
        return self._taken

    def hear(self, mark: int, remaining: int | None, reset_s: float | None, now: float) -> None:
        """Note what the response to a request says; one older than the last says nothing new.

        Args:
            mark: What `take` returned for the request.
            remaining: How much is left.
            reset_s: How long until it is back, in seconds.
            now: The present moment.
        """
        if remaining is None or reset_s is None:
            return

        if mark >= self._heard_of or now >= self._resets_at:
            self._heard_of = mark
            self._ceiling = mark + remaining
            self._resets_at = now + min(reset_s, self._longest_s)

    def free_at(self, amount: int, now: float) -> float:
        """Return when to ask again: now where the amount is left, else when it is reset."""
        is_free = now >= self._resets_at or self._taken + amount <= self._ceiling
        return now if is_free else self._resets_at


class Rate:
    """How fast one thing may be used, requests or tokens: a limit of ours and what is left.

    Args:
        limit: How much in any 60 seconds; None for no limit.
        longest_s: The longest wait for a provider's reset that is kept to, in seconds.
    """

    def __init__(self, limit: int | None, longest_s: float) -> None:
        self._window = Window(limit)
        self._allowance = Allowance(longest_s)

    def free_at(self, amount: int, now: float) -> float:
        """Return when to ask again whether an amount may be used; now where it may."""
        allowed_at = self._allowance.free_at(amount, now)
        window = self._window
        return allowed_at if window.limit is None else max(window.free_at(amount, now), allowed_at)

    def take(self, amount: int, now: float) -> Entry:
        """Use an amount now."""
        entry = self._window.take(amount, now)
        entry.mark = self._allowance.take(amount)
        return entry

    def correct(self, entry: Entry, amount: int) -> None:
        """Correct how much it was."""
        self._window.correct(entry, amount)

    def hear(self, entry: Entry, remaining: int | None, reset_s: float | None, now: float) -> None:
        """Note what the response to a call says is left, and how long until it is back."""
        self._allowance.hear(entry.mark, remaining, reset_s, now)

    def keep_to(self, limit: int | None) -> None:
        """Keep to another limit from now on."""
        self._window.limit = limit


class Pace:
    """How fast calls may begin: by their number, and by the tokens that they use.

    Args:
        limits: What the endpoint lets one account do.
    """

    def __init__(self, limits: EndpointLimits) -> None:
        longest_s = limits.max_retry_after_s
        self._requests = Rate(limits.requests_per_minute, longest_s)
        self._tokens = Rate(limits.tokens_per_minute, longest_s)

    def keep_to(self, limits: EndpointLimits) -> None:
        """Keep to other limits from now on."""
        self._requests.keep_to(limits.requests_per_minute)
        self._tokens.keep_to(limits.tokens_per_minute)

    def free_at(self, tokens: int, now: float) -> float:
        """Return when to ask again whether a call may begin; now where it may."""
        return max(self._requests.free_at(1, now), self._tokens.free_at(tokens, now))

    def take(self, tokens: int, now: float) -> tuple[Entry, Entry]:
        """Begin a call now."""
        return self._requests.take(1, now), self._tokens.take(tokens, now)

    def correct(self, entries: tuple[Entry, Entry] | None, *, requests: int, tokens: int) -> None:
        """Correct what a call that was begun has used."""
        if entries is not None:
            self._requests.correct(entries[0], requests)
            self._tokens.correct(entries[1], tokens)

    def hear(self, entries: tuple[Entry, Entry], said: RateLimitHeaders, now: float) -> None:
        """Note what the response to a call says is left, and how long until it is back."""
        requests, tokens = entries
        self._requests.hear(requests, said.remaining_requests, said.reset_requests_s, now)
        self._tokens.hear(tokens, said.remaining_tokens, said.reset_tokens_s, now)

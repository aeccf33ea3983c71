"""The gate before an endpoint: who may call it next, and when.

One gate is shared by everything that calls one endpoint with one key. It is asked before a call
and told what came of it; it makes no calls itself.
"""
# ruff: noqa: SLF001 - a ticket is a part of its gate

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from math import inf, isfinite
from time import monotonic

import anyio

from penstock._base.aimd import FIRST_LIMIT, AdaptiveLimit, Pause, RecentRefusals
from penstock.models.chat_model import RateLimitHeaders
from penstock.models.gate.fair_queue import FairQueue
from penstock.models.gate.pacing import Pace
from penstock.models.gate.ticket import Ticket
from penstock.models.model_errors import ModelError
from penstock.study.spending import EndpointLimits

__all__ = ["Gate"]

_SHORTEST_SLEEP_S = 0.001
"""A clock's rounding may leave less than it can count; sleeping for that would never end."""


class Gate:
    """Admits calls to one endpoint, in turn between groups, no more and no faster than it bears.

    Belongs to one event loop. Waking whoever is next takes the same time however many wait: each
    waits for an event of its own, and one of them (the timekeeper) sleeps for all.

    Args:
        name: What the gate is called in messages; never a key.
        limits: What the endpoint lets one account do.
        clock: Tells the time, in seconds.
        sleep: Waits for so many seconds of that clock.
        on_limit_changed: Is told the new limit of calls in flight and why it changed.
        room: The most calls in flight that this process has room for.
    """

    def __init__(
        self,
        name: str,
        limits: EndpointLimits,
        *,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        on_limit_changed: Callable[[int, str], None] | None = None,
        room: float = inf,
    ) -> None:
        self.name = name
        self._clock = clock
        self._sleep = sleep
        self._room = room
        most = min(limits.max_in_flight or inf, room)
        first, bound = limits.max_in_flight or FIRST_LIMIT, int(most) if isfinite(most) else None
        self._limit = AdaptiveLimit(bound, on_limit_changed, initial=first)
        self._pause = Pause(limits.max_retry_after_s)
        self.refusals = RecentRefusals()
        self._refused_since: float | None = None
        self._pace = Pace(limits)
        self._queue: FairQueue[Ticket] = FairQueue()
        self._in_flight = 0
        self._waking: OrderedDict[Ticket, None] = OrderedDict()
        self._timekeeper: Ticket | None = None
        self._due = inf

    @property
    def in_flight(self) -> int:
        """Calls that have a slot."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return len(self._queue)

    @property
    def limit(self) -> int:
        """How many calls may be in flight now."""
        return self._limit.value

    @property
    def refused_for_s(self) -> float:
        """For how long every call has been refused, in seconds; 0 where the last one was not."""
        return 0.0 if self._refused_since is None else self._clock() - self._refused_since

    def keep_to(self, limits: EndpointLimits) -> None:
        """Keep to other limits from now on; what is in flight ends."""
        self._limit.maximum = most = min(limits.max_in_flight or inf, self._room)
        self._pause.longest_s = limits.max_retry_after_s
        self._pace.keep_to(limits)
        if self._limit.value > most:
            self._limit.lower(int(most), "another study's lower limit")

        self._give_turns()

    def give_up(self, error: ModelError) -> None:
        """Let nobody wait any longer: whoever does fails, with this error."""
        for ticket in self._queue:
            ticket._failure = error
            self._wake(ticket)

    def admit(self, group: str, tokens: int) -> Ticket:
        """Ask for a turn; entering the ticket waits for it.

        Args:
            group: Between whom turns are given in rotation: the condition's id.
            tokens: How many tokens the call is reckoned to use, prompt and answer. More than
                ``tokens_per_minute`` are admitted when nothing else has used any for a minute.
        """
        return Ticket(self, group, tokens)

    def _enter_at_once(self, ticket: Ticket) -> bool:
        if self._queue or self._in_flight >= self._limit.value:
            return False

        now = self._clock()
        is_free = self._free_at(ticket.tokens, now) <= now
        if is_free:
            self._admit(ticket, now)

        return is_free

    async def _enter(self, ticket: Ticket) -> None:
        if self._enter_at_once(ticket):
            return

        began_at = self._clock()
        self._queue.append(ticket.group, ticket)
        try:
            self._give_turns()
            while ticket._admitted_at is None:
                await self._wait(ticket)
        except BaseException:
            self._withdraw(ticket)
            raise

        self._waking.pop(ticket, None)
        ticket.waited_s = max(0.0, ticket._admitted_at - began_at)

    async def _wait(self, ticket: Ticket) -> None:
        if self._timekeeper is not ticket:
            ticket._woken = anyio.Event()
            await ticket._woken.wait()
        else:
            with anyio.CancelScope() as ticket._alarm:
                await self._sleep(max(self._due - self._clock(), _SHORTEST_SLEEP_S))

            ticket._alarm = None
            if self._timekeeper is ticket:
                self._timekeeper = None
                self._give_turns()

        if ticket._failure is not None and ticket._admitted_at is None:
            raise ticket._failure

    def _withdraw(self, ticket: Ticket) -> None:
        """Forget a caller that was cancelled before its call began, perhaps with a turn."""
        if ticket._admitted_at is not None:
            self._waking.pop(ticket, None)
            self._take_turn_back(ticket)
        else:
            self._queue.remove(ticket.group, ticket)

        if self._timekeeper is ticket:
            self._timekeeper = None

        self._give_turns()

    def _give_turns(self) -> None:
        """Admit whoever may begin now; see to it that somebody wakes when the next may."""
        # Where all slots are taken whoever leaves gives the next turn.
        while self._in_flight < self._limit.value and (ticket := self._queue.first()) is not None:
            now = self._clock()
            free_at = self._free_at(ticket.tokens, now)
            if free_at > now:
                self._keep_time(free_at)
                return

            self._give_turn(self._queue.take(), now)

    def _free_at(self, tokens: int, now: float) -> float:
        return max(self._pause.until, self._pace.free_at(tokens, now))

    def _admit(self, ticket: Ticket, now: float) -> None:
        ticket._admitted_at = now
        ticket._entries = self._pace.take(ticket.tokens, now)
        self._in_flight += 1

    def _give_turn(self, ticket: Ticket, now: float) -> None:
        self._admit(ticket, now)
        self._waking[ticket] = None
        if self._timekeeper is ticket:
            self._timekeeper = None

        self._wake(ticket)

    def _take_turn_back(self, ticket: Ticket) -> None:
        """Undo a turn that nothing was begun with."""
        ticket._admitted_at = None
        self._correct(ticket, requests=0, tokens=0)
        self._in_flight -= 1

    def _keep_time(self, due: float) -> None:
        """Have somebody wake at a moment: whoever waits longest, so that it seldom changes."""
        if self._timekeeper is None:
            self._timekeeper = self._queue.last()
        elif due >= self._due:
            return

        self._due = due
        if self._timekeeper is not None:
            self._wake(self._timekeeper)

    def _wake(self, ticket: Ticket) -> None:
        if ticket._alarm is not None:
            ticket._alarm.cancel()
        elif ticket._woken is not None:
            ticket._woken.set()

    def _leave(self, ticket: Ticket) -> None:
        if ticket._admitted_at is not None:
            ticket._admitted_at = None
            self._in_flight -= 1
            self._give_turns()

    def _correct(self, ticket: Ticket, *, requests: int, tokens: int) -> None:
        self._pace.correct(ticket._entries, requests=requests, tokens=tokens)

    def _settle(self, ticket: Ticket, tokens: int) -> None:
        self._correct(ticket, requests=1, tokens=tokens)
        self._give_turns()

    def _succeeded(self, ticket: Ticket, headers: RateLimitHeaders | None) -> None:
        if ticket._is_told or ticket._admitted_at is None:
            return

        ticket._is_told = True
        self._hear(ticket, headers)
        self._pause.relax(ticket._admitted_at)
        is_saturated = self._in_flight >= self._limit.value
        self.refusals.add(is_refused=False)
        self._refused_since = None
        if self._limit.weigh(
            ticket._admitted_at, is_refused=False, is_saturated=is_saturated
        ) or self._limit.grow(ticket._admitted_at, is_saturated=is_saturated):
            self._give_turns()

    def _rejected(self, ticket: Ticket, error: ModelError) -> None:
        if ticket._is_told or ticket._admitted_at is None:
            return

        ticket._is_told = True
        self._hear(ticket, error.rate_limits)
        if not error.is_refusal:
            return

        now = self._clock()
        self._refused_since = self._refused_since or now
        self._correct(ticket, requests=1, tokens=0)  # rejected requests count, their tokens do not
        recent = self.refusals
        recent.add(is_refused=True)
        is_stray = recent.are_stray
        if not is_stray and self._pause.begin(error.retry_after_s, ticket._admitted_at, now):
            self._hold_back()

        self._limit.weigh(ticket._admitted_at, is_refused=True)
        share = {"refused": recent.refused, "of": recent.count} if is_stray else {}
        reason = f"http status {error.http_status}"
        self._limit.cut(ticket._admitted_at, now, reason, **share)

    def _hold_back(self) -> None:
        """Take back the turns of callers that have not woken yet: their calls would begin now."""
        for ticket in reversed(self._waking):
            self._take_turn_back(ticket)
            self._queue.put_back(ticket.group, ticket)

        self._waking.clear()

    def _hear(self, ticket: Ticket, headers: RateLimitHeaders | None) -> None:
        if headers is not None and ticket._entries is not None:
            self._pace.hear(ticket._entries, headers, self._clock())

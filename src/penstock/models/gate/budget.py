"""What a study may spend: each call reserves its worst case before it is made."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from time import monotonic
from typing import Literal

import anyio

from penstock.errors import StopStudy
from penstock.study.spending import Budget

__all__ = ["BudgetExhaustedError", "Reservation", "Spending"]

Bound = Literal["max_cost_usd", "max_tokens", "max_duration_s"]

_ROUNDING = 1e-9
"""Sums of prices are not exact; a budget is not exhausted by that."""


class BudgetExhaustedError(StopStudy):
    """The study's budget does not allow another call; what was paid for is kept.

    Args:
        bound: Which bound of the budget.
        budgeted: What the bound is, in its unit.
        spent: What was spent of it.
        reserved: What calls in flight may still spend.
        asked: What this call might spend.
    """

    def __init__(
        self, bound: Bound, budgeted: float, spent: float, reserved: float, asked: float
    ) -> None:
        self.bound = bound
        if bound == "max_duration_s":
            what = f"{spent:.6g} of {budgeted:.6g} seconds are over"
        else:
            what = (
                f"of {budgeted:.6g}, {spent:.6g} are spent and {reserved:.6g} reserved for calls "
                f"in flight, and this call may need {asked:.6g}"
            )
            if spent > budgeted:
                over = f"{spent - budgeted:.6g}"
                what += f"; calls were billed {over} more than they could be, or it was lowered"

        super().__init__(
            f"budget.{bound} is exhausted: {what}; raise budget.{bound} and run the study again "
            "to continue where it stopped"
        )


class Reservation:
    """What one call may spend at most; held until it is known what it did spend.

    Attributes:
        is_begun: Whether the call was sent, so that it may be billed.
        is_open: Whether it is not known yet what it did spend.
    """

    __slots__ = ("_spending", "cost_usd", "is_begun", "is_open", "tokens")

    def __init__(self, spending: Spending, cost_usd: float, tokens: int) -> None:
        self.cost_usd = cost_usd
        self.tokens = tokens
        self.is_begun = False
        self._spending = spending
        self.is_open = True

    def begin(self) -> None:
        """Note that the call is about to be sent: from now on it may be billed."""
        self.is_begun = True
        self._spending.begun(self)

    def settle(self, cost_usd: float, tokens: int) -> None:
        """Count what the call really cost; doing so again changes nothing.

        Args:
            cost_usd: US dollars.
            tokens: Tokens of prompt and answer.

        Raises:
            ValueError: an amount is negative or not a finite number.
        """
        _check(cost_usd, tokens)
        if self.is_open:
            self.is_open = False
            self._spending.close(self, cost_usd, tokens)

    def release(self) -> None:
        """Note that nothing was spent; this changes nothing where it was settled before."""
        if self.is_open:
            self.settle(0.0, 0)


class Spending:
    """What a study has spent over all its sessions, and what its calls in flight may spend.

    What is spent stays within the budget as long as no call spends more than it reserved; it is
    exceeded by no more than what such calls spend beyond their reservations.

    Args:
        budget: What the study may spend.
        spent_usd: What earlier sessions spent, in US dollars.
        spent_tokens: What earlier sessions spent, in tokens.
        clock: Tells the time, in seconds; ``max_duration_s`` counts from now.
        on_risked: Is told, whenever that changes, what the calls of this session may have cost so
            far, in US dollars and in tokens: what was settled, and the worst case of those under
            way.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        spent_usd: float = 0.0,
        spent_tokens: int = 0,
        clock: Callable[[], float] = monotonic,
        on_risked: Callable[[float, int], None] = lambda _cost_usd, _tokens: None,
    ) -> None:
        _check(spent_usd, spent_tokens)
        self.spent_usd = spent_usd
        self.spent_tokens = spent_tokens
        self.reserved_usd = 0.0
        self.reserved_tokens = 0
        self._allowed = budget
        self._open = 0
        self._risked_usd = 0.0
        self._risked_tokens = 0
        self._on_risked = on_risked
        self._turn = anyio.Lock(fast_acquire=True)
        self._freed = anyio.Event()
        self._clock = clock
        self._began_at = clock()

    @property
    def budget(self) -> Budget:
        """What the study may spend; setting it lets those who wait for it look again."""
        return self._allowed

    @budget.setter
    def budget(self, budget: Budget) -> None:
        self._allowed = budget
        self._freed.set()

    def reserve(self, cost_usd: float, tokens: int) -> Reservation:
        """Reserve the worst case of a call before it is made.

        Args:
            cost_usd: What it costs at most, in US dollars; 0 where no price is known.
            tokens: What it uses at most, prompt and answer.

        Raises:
            BudgetExhaustedError: what is spent, what is reserved and this are more than a bound.
            ValueError: an amount is negative or not a finite number.
        """
        _check(cost_usd, tokens)
        self._check_bounds(cost_usd, tokens)
        return self._reserve(cost_usd, tokens)

    def reserve_at_once(self, cost_usd: float, tokens: int) -> Reservation | None:
        """Reserve as `reserve_in_turn` does, where nobody waits and the budget allows it now."""
        _check(cost_usd, tokens)
        if self._turn.locked() or not self._fits(cost_usd, tokens):
            return None

        return self._reserve(cost_usd, tokens)

    async def reserve_in_turn(self, cost_usd: float, tokens: int) -> Reservation:
        """Reserve as `reserve` does, but wait while only others' reservations stand in the way.

        Calls seldom need their worst case. At high concurrency the worst cases together exceed a
        budget of which little is spent; whoever waits for them uses the budget up.

        Raises:
            BudgetExhaustedError: what is spent and this are more than a bound.
            ValueError: an amount is negative or not a finite number.
        """
        _check(cost_usd, tokens)
        async with self._turn:  # first come, first served
            while not self._fits(cost_usd, tokens):
                self._check_bounds(cost_usd, tokens, waits=True)
                self._freed = anyio.Event()
                await self._freed.wait()

            return self._reserve(cost_usd, tokens)

    def begun(self, reservation: Reservation) -> None:
        """Count a call that is about to be sent; `Reservation.begin` does it."""
        self._risk(reservation.cost_usd, reservation.tokens)

    def close(self, reservation: Reservation, cost_usd: float, tokens: int) -> None:
        """Put what a call cost in place of what it reserved; `Reservation.settle` does it."""
        if reservation.is_begun:
            self._risk(cost_usd - reservation.cost_usd, tokens - reservation.tokens)

        self.spent_usd += cost_usd
        self.spent_tokens += tokens
        self._open -= 1
        self.reserved_tokens -= reservation.tokens
        # Differences of sums drift: with nothing in flight nothing is reserved.
        self.reserved_usd = self.reserved_usd - reservation.cost_usd if self._open else 0.0
        self._freed.set()

    def _risk(self, cost_usd: float, tokens: int) -> None:
        self._risked_usd += cost_usd
        self._risked_tokens += tokens
        self._on_risked(self._risked_usd, self._risked_tokens)

    def _reserve(self, cost_usd: float, tokens: int) -> Reservation:
        self._open += 1
        self.reserved_usd += cost_usd
        self.reserved_tokens += tokens
        return Reservation(self, cost_usd, tokens)

    def _fits(self, cost_usd: float, tokens: int) -> bool:
        try:
            self._check_bounds(cost_usd, tokens)
        except BudgetExhaustedError:
            return False

        return True

    def _check_bounds(self, cost_usd: float, tokens: int, *, waits: bool = False) -> None:
        """Refuse what the budget does not allow; who waits is not held up by what may come back."""
        budget = self._allowed
        if budget.max_duration_s is not None:
            duration_s = self._clock() - self._began_at
            if duration_s >= budget.max_duration_s:
                most_s = budget.max_duration_s
                raise BudgetExhaustedError("max_duration_s", most_s, duration_s, 0, 0)

        amounts: tuple[tuple[Bound, float | None, float, float, float], ...] = (
            ("max_cost_usd", budget.max_cost_usd, self.spent_usd, self.reserved_usd, cost_usd),
            ("max_tokens", budget.max_tokens, self.spent_tokens, self.reserved_tokens, tokens),
        )
        for bound, budgeted, spent, reserved, asked in amounts:
            if budgeted is None:
                continue

            needed = spent + asked + (0 if waits else reserved)
            if needed > budgeted * (1 + _ROUNDING):
                raise BudgetExhaustedError(bound, budgeted, spent, reserved, asked)


def _check(cost_usd: float, tokens: int) -> None:
    if not (isfinite(cost_usd) and cost_usd >= 0 and tokens >= 0):
        raise ValueError(
            f"not an amount that can be spent: {cost_usd!r} US dollars, {tokens!r} tokens"
        )

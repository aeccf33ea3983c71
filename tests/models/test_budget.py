from __future__ import annotations

from math import inf, nan

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import StopStudy
from penstock.models.gate.budget import BudgetExhaustedError, Reservation, Spending
from penstock.study.spending import Budget
from tests.models.simulated_clock import SimulatedClock, settled

pytestmark = pytest.mark.anyio

CENT = 0.01


def test_what_is_reserved_counts_until_it_is_settled_or_released() -> None:
    spending = Spending(Budget(max_cost_usd=1.0))
    large, small = spending.reserve(0.6, 10), spending.reserve(0.4, 10)
    with pytest.raises(BudgetExhaustedError):
        spending.reserve(CENT, 10)

    large.settle(0.1, 3)
    small.release()
    assert (spending.spent_usd, spending.spent_tokens) == (0.1, 3)
    assert (spending.reserved_usd, spending.reserved_tokens) == (0.0, 0)
    spending.reserve(0.9, 10)


def test_an_exhausted_budget_says_which_bound_and_what_to_do() -> None:
    spending = Spending(Budget(max_cost_usd=5.0), spent_usd=4.5)
    spending.reserve(0.25, 1)
    with pytest.raises(BudgetExhaustedError) as caught:
        spending.reserve(0.5, 1)

    assert isinstance(caught.value, StopStudy)
    assert caught.value.bound == "max_cost_usd"
    assert str(caught.value) == (
        "budget.max_cost_usd is exhausted: of 5, 4.5 are spent and 0.25 reserved for calls in "
        "flight, and this call may need 0.5; raise budget.max_cost_usd and run the study again "
        "to continue where it stopped"
    )


def test_tokens_of_earlier_sessions_count() -> None:
    spending = Spending(Budget(max_tokens=100), spent_tokens=60)
    spending.reserve(1e6, 40)
    with pytest.raises(BudgetExhaustedError, match=r"budget\.max_tokens"):
        spending.reserve(0.0, 1)


def test_a_session_takes_no_longer_than_its_bound() -> None:
    clock = SimulatedClock()
    spending = Spending(Budget(max_duration_s=60.0), clock=clock)
    clock.now += 59
    spending.reserve(0.0, 0)
    clock.now += 1
    with pytest.raises(BudgetExhaustedError, match="60 of 60 seconds are over"):
        spending.reserve(0.0, 0)


def test_without_a_budget_everything_is_allowed_and_counted() -> None:
    spending = Spending(Budget())
    spending.reserve(1e9, 10**12).settle(2e9, 7)

    assert (spending.spent_usd, spending.spent_tokens) == (2e9, 7)


def test_settling_or_releasing_again_changes_nothing() -> None:
    spending = Spending(Budget(max_cost_usd=1.0))
    reservation = spending.reserve(0.5, 5)
    reservation.settle(0.25, 2)
    reservation.settle(0.25, 2)
    reservation.release()

    assert (spending.spent_usd, spending.spent_tokens) == (0.25, 2)
    assert spending.reserved_usd == 0.0


@pytest.mark.parametrize(("cost_usd", "tokens"), [(-1.0, 0), (nan, 0), (inf, 0), (0.0, -1)])
def test_amounts_that_cannot_be_spent_are_refused(cost_usd: float, tokens: int) -> None:
    spending = Spending(Budget())
    with pytest.raises(ValueError, match="not an amount that can be spent"):
        spending.reserve(cost_usd, tokens)

    with pytest.raises(ValueError, match="not an amount that can be spent"):
        spending.reserve(0.0, 0).settle(cost_usd, tokens)


def test_a_budget_can_be_spent_to_its_last_cent() -> None:
    spending = Spending(Budget(max_cost_usd=0.3))
    for _ in range(3):
        spending.reserve(0.1, 0).settle(0.1, 0)

    with pytest.raises(BudgetExhaustedError):
        spending.reserve(CENT, 0)


STEPS = st.lists(
    st.tuples(
        st.booleans(),  # begin a call, or end one
        st.floats(0, 2),  # its worst case
        st.floats(0, 1),  # what share of it is spent
        st.floats(0, 1),  # what is spent beyond it
        st.integers(0, 1000),  # which one ends
    ),
    max_size=60,
)


@given(bound=st.floats(0.01, 10), steps=STEPS)
def test_at_any_interleaving_no_more_is_spent_than_the_bound(
    bound: float, steps: list[tuple[bool, float, float, float, int]]
) -> None:
    spending = Spending(Budget(max_cost_usd=bound, max_tokens=50))
    reservations: list[Reservation] = []
    for begins, worst_usd, share, _, which in steps:
        if begins:
            try:
                reservations.append(spending.reserve(worst_usd, round(worst_usd)))
            except BudgetExhaustedError:
                continue
        elif reservations:
            ended = reservations.pop(which % len(reservations))
            ended.settle(ended.cost_usd * share, round(ended.tokens * share))

        assert spending.spent_usd <= bound * (1 + 1e-9)
        assert spending.spent_tokens <= 50


@given(bound=st.floats(0.01, 10), steps=STEPS, erring=st.integers(0, 20))
def test_a_bound_is_exceeded_by_no_more_than_the_error_of_the_call_that_was_underestimated(
    bound: float, steps: list[tuple[bool, float, float, float, int]], erring: int
) -> None:
    spending = Spending(Budget(max_cost_usd=bound))
    reservations: list[Reservation] = []
    ended_calls, error_usd = 0, 0.0
    for begins, worst_usd, share, beyond_usd, which in steps:
        if begins:
            try:
                reservations.append(spending.reserve(worst_usd, 0))
            except BudgetExhaustedError:
                continue
        elif reservations:
            ended = reservations.pop(which % len(reservations))
            is_wrong = ended_calls == erring
            error_usd = beyond_usd if is_wrong else error_usd
            ended.settle(ended.cost_usd + beyond_usd if is_wrong else ended.cost_usd * share, 0)
            ended_calls += 1

        assert spending.spent_usd <= bound * (1 + 1e-9) + error_usd


async def test_whoever_waits_in_turn_uses_a_budget_up_that_worst_cases_would_exhaust() -> None:
    spending = Spending(Budget(max_cost_usd=1.0))
    refused: list[BudgetExhaustedError] = []

    async def call() -> None:
        try:
            reservation = await spending.reserve_in_turn(0.1, 10)
        except BudgetExhaustedError as error:
            refused.append(error)
            return

        await anyio.lowlevel.checkpoint()
        reservation.settle(0.01, 1)

    async with anyio.create_task_group() as tasks:
        for _ in range(300):
            tasks.start_soon(call)

    assert 0.9 < spending.spent_usd <= 1.0
    assert spending.spent_tokens + len(refused) == 300
    assert spending.reserved_usd == 0.0


async def test_those_who_wait_for_the_budget_are_served_in_order_and_may_be_cancelled() -> None:
    spending = Spending(Budget(max_cost_usd=1.0))
    first = spending.reserve(1.0, 0)
    served: list[int] = []

    impatient = anyio.CancelScope()

    async def call(number: int) -> None:
        await spending.reserve_in_turn(0.5, 0)
        served.append(number)

    async def call_impatiently() -> None:
        with impatient:
            await call(0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call_impatiently)
        await settled()
        for number in (1, 2):
            tasks.start_soon(call, number)

        await settled()
        impatient.cancel()
        await settled()
        assert served == []
        first.settle(0.0, 0)

    assert served == [1, 2]


async def test_whoever_waits_for_the_budget_is_told_when_it_is_gone() -> None:
    spending = Spending(Budget(max_cost_usd=1.0))
    first = spending.reserve(1.0, 0)
    async with anyio.create_task_group() as tasks:

        async def call() -> None:
            with pytest.raises(BudgetExhaustedError):
                await spending.reserve_in_turn(0.5, 0)

        tasks.start_soon(call)
        await settled()
        first.settle(0.75, 0)


def test_what_a_session_may_have_cost_is_told_before_each_call_and_after_it() -> None:
    told: list[tuple[float, int]] = []
    spending = Spending(
        Budget(max_cost_usd=10.0), spent_usd=3.0, on_risked=lambda *risked: told.append(risked)
    )
    first, second, never = (spending.reserve(2.0, 20) for _ in range(3))
    assert not told, "nothing was sent"
    first.begin()
    second.begin()
    first.settle(0.5, 7)
    second.release()
    never.release()
    assert told == [(2.0, 20), (4.0, 40), (2.5, 27), (0.5, 7)]


async def test_nobody_reserves_at_once_who_would_pass_another_or_the_bound() -> None:
    spending = Spending(Budget(max_cost_usd=1.0))
    first = spending.reserve_at_once(0.75, 0)
    assert first is not None
    assert spending.reserve_at_once(0.5, 0) is None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(spending.reserve_in_turn, 0.5, 0)
        await settled()
        assert spending.reserve_at_once(0.25, 0) is None, "there is room, and another waits"
        first.settle(0.25, 0)

    assert spending.reserved_usd == 0.5
    assert spending.reserve_at_once(0.25, 0) is not None

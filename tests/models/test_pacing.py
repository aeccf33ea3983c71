from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.models.gate.pacing import Allowance, Entry, Window

MOMENTS = st.lists(
    st.tuples(st.floats(0, 30), st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=80
)


@given(limit=st.integers(1, 100), calls=MOMENTS)
def test_what_was_taken_in_any_minute_is_never_more_than_the_limit(
    limit: int, calls: list[tuple[float, int, int]]
) -> None:
    window, now = Window(limit), 0.0
    taken: list[Entry] = []
    for pause_s, amount, less in calls:
        now += pause_s
        wanted = min(amount, limit)
        while (free_at := window.free_at(wanted, now)) > now:
            now = free_at

        taken.append(window.take(wanted, now))
        window.correct(taken[-1], max(0, wanted - less))

    for last in taken:
        within = [entry.amount for entry in taken if last.at - 60 <= entry.at <= last.at]
        assert sum(within) <= limit


@given(limit=st.integers(1, 50), pauses_s=st.lists(st.floats(0, 5), max_size=120))
def test_with_constant_demand_most_of_the_limit_is_used_after_any_beginning(
    limit: int, pauses_s: list[float]
) -> None:
    window, now = Window(limit), 0.0
    for pause_s in pauses_s:
        now = max(now + pause_s, window.free_at(1, now + pause_s))
        while (free_at := window.free_at(1, now)) > now:
            now = free_at

        window.take(1, now)

    begun, taken = now, 0
    while now < begun + 600:
        if (free_at := window.free_at(1, now)) > now:
            now = free_at
        else:
            window.take(1, now)
            taken += 1

    assert taken >= 0.9 * limit * 10 - limit  # at most one limit was taken in the minute before


def test_without_a_limit_nothing_waits_and_nothing_is_kept() -> None:
    window = Window(None)
    entry = window.take(10**9, 0.0)
    window.correct(entry, 5)

    assert window.free_at(10**9, 0.0) == 0.0


def test_what_is_corrected_after_its_minute_changes_nothing() -> None:
    window = Window(10)
    entry = window.take(10, 0.0)
    assert window.free_at(10, 64.0) == 64.0
    window.correct(entry, 1000)

    assert window.free_at(10, 64.0) == 64.0


def test_an_allowance_counts_what_began_after_the_request_that_told_of_it() -> None:
    allowance = Allowance(longest_s=300)
    first = allowance.take(1)
    allowance.take(1)
    allowance.hear(first, 3, 10.0, now=0.0)

    assert allowance.free_at(2, 0.0) == 0.0
    assert allowance.free_at(3, 0.0) == 10.0
    assert allowance.free_at(3, 10.0) == 10.0


def test_an_allowance_that_is_over_gives_way_to_any_other() -> None:
    allowance = Allowance(longest_s=300)
    first, second = allowance.take(1), allowance.take(1)
    allowance.hear(second, 0, 10.0, now=0.0)
    allowance.hear(first, 100, 10.0, now=9.0)
    assert allowance.free_at(1, 9.0) == 10.0

    allowance.hear(first, 100, 10.0, now=11.0)
    assert allowance.free_at(1, 11.0) == 11.0


def test_headers_without_a_reset_or_a_rest_say_nothing() -> None:
    allowance = Allowance(longest_s=300)
    mark = allowance.take(1)
    allowance.hear(mark, 0, None, now=0.0)
    allowance.hear(mark, None, 10.0, now=0.0)

    assert allowance.free_at(1, 0.0) == 0.0

from __future__ import annotations

from penstock._base.aimd import AdaptiveLimit


def grow(limit: AdaptiveLimit, rounds: int, now: float) -> int:
    """Let so many rounds succeed at a moment, with all slots taken."""
    for _ in range(rounds):
        for _ in range(limit.value):
            limit.grow(now, is_saturated=True)

    return limit.value


def test_it_doubles_each_round_until_it_is_cut_and_then_adds_a_step() -> None:
    limit = AdaptiveLimit(None, initial=8)
    assert [grow(limit, 1, now=1.0) for _ in range(3)] == [16, 32, 64]

    assert limit.cut(1.0, 2.0, "refused")
    assert limit.value == 32
    assert grow(limit, 1, now=1.5) == 32, "what was admitted before the cut says nothing"
    assert grow(limit, 10, now=3.0) == 44  # by 64 / 50 in a round


def test_after_a_cut_it_is_back_in_some_25_rounds_however_small_it_is() -> None:
    for before in (4, 40, 400):
        limit = AdaptiveLimit(None, initial=before, least_step=0.0)
        limit.cut(0.0, 1.0, "refused")
        rounds = 0
        while limit.value < before:
            grow(limit, 1, now=2.0)
            rounds += 1

        assert 20 <= rounds <= 40, (before, rounds)


def test_there_is_one_cut_in_a_cooldown_and_never_below_one() -> None:
    limit = AdaptiveLimit(None, initial=4, cooldown_s=5.0)
    assert limit.cut(0.0, 1.0, "refused")
    assert not limit.cut(2.0, 3.0, "within the cooldown")
    assert not limit.cut(0.5, 7.0, "admitted before the cut")
    assert limit.cut(2.0, 7.0, "refused")
    assert limit.cut(8.0, 13.0, "refused")
    assert limit.value == 1


def test_it_stays_where_not_all_slots_are_taken_and_at_its_maximum() -> None:
    limit = AdaptiveLimit(None, initial=8)
    assert not limit.grow(1.0, is_saturated=False)
    limit.maximum = 8
    assert grow(limit, 1, now=1.0) == 8
    limit.maximum = 12
    assert grow(limit, 2, now=1.0) == 12


def test_slow_start_begins_again_once_a_cut_is_forgotten() -> None:
    limit = AdaptiveLimit(None, initial=8)
    limit.cut(0.0, 1.0, "refused")
    limit.forget_cut()
    assert grow(limit, 1, now=2.0) == 8


def test_each_cut_each_doubling_and_the_maximum_are_told() -> None:
    told: list[tuple[int, str]] = []
    limit = AdaptiveLimit(20, lambda value, reason: told.append((value, reason)), initial=4)
    grow(limit, 4, now=1.0)
    limit.cut(1.0, 2.0, "refused")
    limit.lower(7, "slower")
    assert told == [
        (8, "slow start"),
        (16, "slow start"),
        (20, "slow start"),
        (10, "refused"),
        (7, "slower"),
    ]

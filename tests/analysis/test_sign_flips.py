from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.analysis.sign_flips import sign_flips


def by_hand(differences: list[float], unit: float) -> tuple[float, float]:
    """Count every choice of signs on whole numbers."""
    whole = [round(each / unit) for each in differences]
    observed = sum(whole)
    sums = [
        sum(s * abs(w) for s, w in zip(signs, whole, strict=True))
        for signs in product((-1, 1), repeat=len(whole))
    ]
    count = len(sums)
    return (
        sum(abs(each) >= abs(observed) for each in sums) / count,
        sum(each >= observed for each in sums) / count,
    )


@given(st.lists(st.integers(-30, 30).filter(bool), min_size=1, max_size=10))
def test_every_choice_of_signs_is_counted_and_ties_with_it(tenths: list[int]) -> None:
    differences = [each / 10 for each in tenths]

    found = sign_flips(np.array(differences))

    assert (found.p, found.p_greater) == pytest.approx(by_hand(differences, 0.1), rel=1e-12)
    assert found.is_exact


def test_ties_of_decimals_are_ties() -> None:
    # As floats the sum of these misses its own ties: 26 of 256 in the place of 30.
    found = sign_flips(np.array([0.3, 0.1, 0.2, -0.1, 0.3, 0.2, 0.4, -0.2]))

    assert found.p == 30 / 256


def test_where_nothing_differs_nothing_is_against_it() -> None:
    assert sign_flips(np.zeros(7)) == (1.0, 1.0, True)
    assert sign_flips(np.array([])) == (1.0, 1.0, True)


def test_sums_of_many_numbers_of_many_digits_are_drawn_with_a_fixed_seed() -> None:
    rng = np.random.default_rng(1)
    differences = rng.normal(0.3, 1.0, size=40)

    found = sign_flips(differences)

    assert not found.is_exact
    assert found == sign_flips(differences)
    assert 0 < found.p_greater < found.p < 0.5


def test_a_few_numbers_of_many_digits_are_enumerated() -> None:
    differences = np.array([0.1234567891234, 0.777777777123, -0.31415926535, 0.27182818284])

    found = sign_flips(differences)

    assert found.is_exact
    assert found.p == pytest.approx(by_hand(differences.tolist(), 1e-12)[0])


def test_differences_too_small_for_whole_numbers_are_counted_as_they_are() -> None:
    found = sign_flips(np.array([1e-14, 2e-14, 3e-14]))

    assert (found.p, found.is_exact) == (2 / 2**3, True)

"""The sign-flip test: how often flipped signs give a sum as far from zero as the one observed.

Source: R. A. Fisher, The Design of Experiments (1935), section 21. Under the null hypothesis each
problem's difference could as well have had the other sign; all ``2**n`` choices are counted.
Differences are brought to whole numbers first: compared as floats, ties are counted wrongly.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["SignFlips", "counted_sign_flips", "sign_flips"]

_DRAWS = 100_000
_SEED = 20_250_101
_MOST_SUMS = 20_000_000
"""Sums that are counted exactly: beyond it, so many flips are drawn at random with a fixed seed."""

_ENUMERATED = 20


class SignFlips(NamedTuple):
    """The p values of a sign-flip test.

    Args:
        p: Two-sided.
        p_greater: That the sum is as large.
        is_exact: Whether all flips were counted; else 100,000 were drawn with a fixed seed.
    """

    p: float
    p_greater: float
    is_exact: bool


def sign_flips(differences: npt.NDArray[np.float64]) -> SignFlips:
    """Test whether differences are centred on zero; without any, or all zero, p is 1.

    Args:
        differences: One for each problem, shape (problems,).
    """
    counted = counted_sign_flips(differences)
    return _by_drawing(differences[differences != 0]) if counted is None else counted


def counted_sign_flips(differences: npt.NDArray[np.float64]) -> SignFlips | None:
    """Return the test where all flips can be counted; None where they would have to be drawn.

    Args:
        differences: One for each problem, shape (problems,).
    """
    moving = differences[differences != 0]
    if not len(moving):
        return SignFlips(1.0, 1.0, is_exact=True)

    whole = _whole_numbers(moving)
    if whole is not None:
        counted = _by_convolution(whole)
        if counted is not None:
            return counted

    return _by_enumeration(moving) if len(moving) <= _ENUMERATED else None


def _whole_numbers(differences: npt.NDArray[np.float64]) -> list[int] | None:
    """Return the differences as multiples of one unit, where a unit of their digits is found."""
    fractions = []
    for value in differences.tolist():
        fraction = Fraction(value).limit_denominator(10**6)
        if not fraction or abs(float(fraction) - value) > 1e-12 * max(1.0, abs(value)):
            return None

        fractions.append(fraction)

    unit = 1
    for fraction in fractions:
        unit = unit * fraction.denominator // gcd(unit, fraction.denominator)
        if unit > 10**9:
            return None

    whole = [int(fraction * unit) for fraction in fractions]
    common = 0
    for number in whole:
        common = gcd(common, number)

    return [number // common for number in whole]


def _by_convolution(whole: list[int]) -> SignFlips | None:
    """Count the flips of each sum: adding twice the size of one number after the other."""
    sizes = sorted(abs(number) for number in whole)
    total, observed = sum(sizes), sum(whole)
    if total * len(sizes) > _MOST_SUMS:
        return None

    # Shares, not counts: 2**n does not fit. counts[k] is the share of flips with sum 2k - total.
    shares = np.zeros(total + 1)
    shares[0] = 1.0
    reach = 0
    for size in sizes:
        before = shares[: reach + 1].copy()
        shares[size : reach + size + 1] += before
        reach += size
        shares[: reach + 1] /= 2

    sums = 2 * np.arange(total + 1) - total
    both = float(np.sum(shares[np.abs(sums) >= abs(observed)]))
    return SignFlips(
        min(1.0, both), min(1.0, float(np.sum(shares[sums >= observed]))), is_exact=True
    )


def _by_enumeration(differences: npt.NDArray[np.float64]) -> SignFlips:
    sums = np.zeros(1)
    for size in np.abs(differences):
        sums = np.concatenate([sums - size, sums + size])

    return _shares_of(sums, differences, is_exact=True)


def _by_drawing(differences: npt.NDArray[np.float64]) -> SignFlips:
    rng = np.random.default_rng(_SEED)
    sums = np.concatenate(
        [
            (rng.integers(0, 2, size=(10_000, len(differences))) * 2.0 - 1) @ np.abs(differences)
            for _ in range(_DRAWS // 10_000)
        ]
    )
    return _shares_of(np.append(sums, differences.sum()), differences, is_exact=False)


def _shares_of(
    sums: npt.NDArray[np.float64], differences: npt.NDArray[np.float64], *, is_exact: bool
) -> SignFlips:
    observed = float(differences.sum())
    slack = 1e-9 * float(np.abs(differences).sum())
    return SignFlips(
        float(np.mean(np.abs(sums) >= abs(observed) - slack)),
        float(np.mean(sums >= observed - slack)),
        is_exact=is_exact,
    )

"""Tests of a difference beside the paired ones: equivalence, discordant pairs, unpaired means.

Sources: D. J. Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987), 657-680, for
two one-sided tests; Q. McNemar, Psychometrika 12 (1947), 153-157, exact; B. L. Welch, Biometrika 34
(1947), 28-35.
"""

from __future__ import annotations

from math import sqrt

from penstock._base.fact import Fact
from penstock.analysis.distributions import binomial_two_sided, t_quantile, t_tail, t_two_sided
from penstock.analysis.estimates import Interval, interval_of, standard_error
from penstock.analysis.sample import Floats

__all__ = ["Equivalence", "McNemar", "Welch", "equivalence", "equivalence_of", "mcnemar", "welch"]


class Equivalence(Fact):
    """Two one-sided tests: whether the difference is smaller than what would matter.

    Args:
        delta: The smallest effect of interest.
        p: The larger of the two p values.
        p_lower: That the difference is above ``-delta``.
        p_upper: That it is below ``delta``.
        interval: The 90 % interval, which lies inside of both limits where p is below 0.05.
    """

    delta: float
    p: float
    p_lower: float
    p_upper: float
    interval: Interval


class McNemar(Fact):
    """McNemar's exact test of problems that were each tried once on both sides."""

    only_left: int
    only_right: int
    p: float
    p_greater: float


class Welch(Fact):
    """Welch's test, which ignores that both sides share their problems."""

    difference: float
    t: float
    df: float
    p: float
    interval: Interval


def equivalence(differences: Floats, delta: float) -> Equivalence:
    """Test whether paired differences are smaller than a smallest effect of interest."""
    mean, se, df = float(differences.mean()), standard_error(differences), len(differences) - 1
    return equivalence_of(mean, se, df, delta)


def equivalence_of(mean: float, se: float, df: float, delta: float) -> Equivalence:
    """Test whether a difference with a standard error is smaller than a smallest effect."""
    lower, upper = t_tail((mean + delta) / se, df), t_tail((delta - mean) / se, df)
    return Equivalence(
        delta=delta,
        p=max(lower, upper),
        p_lower=lower,
        p_upper=upper,
        interval=interval_of(mean, se, df, level=0.9),
    )


def mcnemar(differences: Floats) -> McNemar:
    """Test whether problems that one side alone solved are as many as those of the other."""
    left, right = int((differences > 0).sum()), int((differences < 0).sum())
    p, p_greater = binomial_two_sided(left, left + right)
    return McNemar(only_left=left, only_right=right, p=p, p_greater=p_greater)


def welch(left: Floats, right: Floats) -> Welch | None:
    """Compare two means as if they had nothing in common; None where neither side varies."""
    if min(len(left), len(right)) <= 1:
        return None

    spread = [float(side.var(ddof=1)) / len(side) for side in (left, right)]
    if sum(spread) <= 0:
        return None

    difference = float(left.mean() - right.mean())
    se = sqrt(sum(spread))
    shares = (each**2 / (len(side) - 1) for each, side in zip(spread, (left, right), strict=True))
    df = sum(spread) ** 2 / sum(shares)
    half = t_quantile(0.975, df) * se
    return Welch(
        difference=difference,
        t=difference / se,
        df=df,
        p=t_two_sided(difference / se, df),
        interval=Interval(low=difference - half, high=difference + half),
    )

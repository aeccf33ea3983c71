"""Distributions: the few that the analysis needs, from ``scipy.special``, which is quick to import.

Sources: C. W. Dunnett, Journal of the American Statistical Association 50 (1955), 1096-1121, for
comparisons with a control. scipy's own noncentral t is not a number where the noncentrality is
large, and its Dunnett test ignores that conditions share their problems: both are mended here.
"""

from __future__ import annotations

from functools import cache
from math import isnan, sqrt
from typing import Any

import numpy as np

from penstock._base.extras import load_extra

__all__ = [
    "binomial_two_sided",
    "chi_square_quantile",
    "dunnett_critical",
    "dunnett_p",
    "equivalence_power",
    "f_tail",
    "hedges_factor",
    "normal_quantile",
    "normal_tail",
    "t_quantile",
    "t_tail",
    "t_two_sided",
    "two_sided_t_power",
]


@cache
def _special() -> Any:
    return load_extra("scipy.special", extra="analysis", what="an analysis")


def normal_quantile(probability: float) -> float:
    """Return the value below which a standard normal variable falls with a probability."""
    return float(_special().ndtri(probability))


def normal_tail(value: float) -> float:
    """Return the probability that a standard normal variable exceeds a value."""
    return float(_special().ndtr(-value))


def t_quantile(probability: float, df: float) -> float:
    """Return the value below which Student's t falls with a probability."""
    return float(_special().stdtrit(df, probability))


def t_tail(value: float, df: float) -> float:
    """Return the probability that Student's t exceeds a value."""
    return float(_special().stdtr(df, -value))


def t_two_sided(value: float, df: float) -> float:
    """Return the two-sided p value of Student's t."""
    return 2 * t_tail(abs(value), df)


def f_tail(value: float, df1: float, df2: float) -> float:
    """Return the probability that an F variable exceeds a value."""
    return float(_special().fdtrc(df1, df2, value))


def chi_square_quantile(probability: float, df: float) -> float:
    """Return the value below which a chi-square variable falls with a probability."""
    return float(_special().chdtri(df, 1 - probability))


def binomial_two_sided(successes: int, trials: int) -> tuple[float, float]:
    """Return the exact p of a fair coin, two-sided and for at least so many successes.

    With no trials at all there is nothing against a fair coin: both are 1.
    """
    if trials == 0:
        return 1.0, 1.0

    special = _special()
    at_least = 1.0 if successes == 0 else float(special.bdtrc(successes - 1, trials, 0.5))
    at_most = float(special.bdtr(successes, trials, 0.5))
    return min(1.0, 2 * min(at_least, at_most)), at_least


def hedges_factor(df: float) -> float:
    """Return Hedges' exact correction of a standardised mean for small samples."""
    special = _special()
    logs = special.gammaln(df / 2) - special.gammaln((df - 1) / 2)
    return float(np.exp(logs) / sqrt(df / 2))


def two_sided_t_power(noncentrality: float, df: float, alpha: float = 0.05) -> float:
    """Return the power of a two-sided t test, both tails counted.

    Args:
        noncentrality: The true effect in standard errors.
        df: Degrees of freedom.
        alpha: The level of the test.
    """
    bound = t_quantile(1 - alpha / 2, df)
    above = 1 - _noncentral_t_below(bound, df, abs(noncentrality))
    return above + _noncentral_t_below(-bound, df, abs(noncentrality))


def equivalence_power(limit: float, df: float, alpha: float = 0.05) -> float:
    """Return how likely two one-sided t tests show an equivalence where there is no difference.

    Args:
        limit: The largest difference that does not matter, in standard errors.
        df: Degrees of freedom.
        alpha: The level of each test.
    """
    special = _special()
    scale, weights = _chi_nodes(df)
    inside = 2 * special.ndtr(limit - t_quantile(1 - alpha, df) * scale) - 1
    return float(np.sum(weights * np.maximum(inside, 0.0)))


def _noncentral_t_below(value: float, df: float, noncentrality: float) -> float:
    special = _special()
    below = float(special.nctdtr(df, noncentrality, value))
    if not isnan(below):
        return below

    scale, weights = _chi_nodes(df)
    return float(np.sum(weights * special.ndtr(value * scale - noncentrality)))


@cache
def _chi_nodes(df: float) -> tuple[Any, Any]:
    """Return nodes and weights of the density of ``sqrt(chi2(df) / df)``."""
    special = _special()
    low, high = (sqrt(special.chdtri(df, tail) / df) for tail in (1 - 1e-16, 1e-16))
    nodes, weights = np.polynomial.legendre.leggauss(200)
    scale = (high - low) / 2 * nodes + (high + low) / 2
    log_density = (
        np.log(2)
        + df / 2 * np.log(df / 2)
        - special.gammaln(df / 2)
        + (df - 1) * np.log(scale)
        - df / 2 * scale**2
    )
    return scale, weights * (high - low) / 2 * np.exp(log_density)


@cache
def _normal_nodes() -> tuple[Any, Any]:
    """Return nodes and weights of the standard normal density."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    return nodes, weights / sqrt(2 * np.pi)


def dunnett_p(value: float, comparisons: int, df: float) -> float:
    """Return the p value of one of several comparisons with one control, adjusted for all.

    Args:
        value: The t statistic of the comparison.
        comparisons: How many conditions are compared with the control.
        df: Degrees of freedom of the pooled error.
    """
    special = _special()
    scale, weights = _chi_nodes(df)
    nodes, shares = _normal_nodes()
    bound = sqrt(2) * abs(value) * scale[:, None]
    inside = special.ndtr(bound - nodes) - special.ndtr(-bound - nodes)
    within = np.sum(weights[:, None] * shares * inside**comparisons)
    return float(min(1.0, max(0.0, 1 - within)))


@cache
def dunnett_critical(comparisons: int, df: float, alpha: float = 0.05) -> float:
    """Return the t statistic that the largest of several comparisons exceeds by chance alone."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if dunnett_p(middle, comparisons, df) > alpha else (low, middle)

    return (low + high) / 2

"""Estimates of these problems and no others: replicates are the unit, within each problem.

A study of four test functions asks which wins on these four, which are not a sample of others.
So what is uncertain is only what other replicates would give: the variance within each problem and
condition, added up over problems as over the strata of a stratified sample (W. G. Cochran, Sampling
Techniques, 1977, chapter 5), with degrees of freedom as in Welch's test (F. E. Satterthwaite,
Biometrics Bulletin 2 (1946), 110-114).
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np

from penstock.analysis.sample import Floats, Sample, Weights, weighted

__all__ = ["WithinProblems", "estimate_within_problems"]

_ONE_SCALE = 3.0
"""Problems are of one scale where the spread of none is more than so many times that of another."""


class WithinProblems(NamedTuple):
    """A mean over problems that are themselves of interest.

    Args:
        problems: How many were scored in every arm that counts.
        value: The mean of the problems' values.
        se: Its standard error; None where a replicate cannot be repeated, or none differ.
        df: The degrees of freedom of the error.
        is_standardised: Whether each problem is in its own standard deviations between replicates,
            because the scales of problems differ.
        why_not: Why there is no standard error.
    """

    problems: int
    value: float | None = None
    se: float | None = None
    df: float | None = None
    is_standardised: bool = False
    why_not: str = ""


def estimate_within_problems(
    sample: Sample, weights: Weights, *, may_standardise: bool = False
) -> WithinProblems:
    """Estimate a mean, or a difference of means, over these problems.

    Args:
        sample: The scored runs.
        weights: What is estimated: arms and their weights.
        may_standardise: Whether problems of other scales may be brought to one.
    """
    strata = [
        [sample.cell(arm, at) for arm in weights]
        for at in range(len(sample.problems))
        if all(len(sample.cell(arm, at)) for arm in weights)
    ]
    if not strata:
        return WithinProblems(0, why_not="no problem was scored in every condition compared.")

    shares = np.array([*weights.values()])
    means = np.array([[cell.mean() for cell in cells] for cells in strata])
    values = weighted(shares, means.T)
    if any(len(cell) == 1 for cells in strata for cell in cells):
        why = "a problem with one replicate does not say how replicates vary."
        return WithinProblems(len(strata), float(values.mean()), why_not=why)

    parts = np.array([_variances(cells) * shares**2 for cells in strata])
    spreads = np.array([sqrt(np.mean([cell.var(ddof=1) for cell in cells])) for cells in strata])
    is_standardised = may_standardise and _differ_in_scale(spreads)
    if is_standardised:
        values, parts = values / spreads, parts / spreads[:, None] ** 2

    variance = float(parts.sum())
    if variance == 0:
        why = "the replicates of every problem came to the same."
        return WithinProblems(len(strata), float(values.mean()), why_not=why)

    sizes = np.array([[len(cell) for cell in cells] for cells in strata])
    return WithinProblems(
        len(strata),
        float(values.mean()),
        sqrt(variance) / len(strata),
        variance**2 / float((parts**2 / (sizes - 1)).sum()),
        is_standardised,
    )


def _variances(cells: list[Floats]) -> Floats:
    return np.array([cell.var(ddof=1) / len(cell) for cell in cells])


def _differ_in_scale(spreads: Floats) -> bool:
    return bool(spreads.min() > 0) and bool(spreads.max() > _ONE_SCALE * spreads.min())

"""The spread of a contrast in a pilot, and what more problems or replicates make of it.

A pilot's spread is itself uncertain. Its limits are those of a variance at 95 %, with degrees of
freedom shrunk by the kurtosis of the problems' differences (a chi-square of a normal sample is too
narrow at a ceiling), taken before the replicate part is exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import NamedTuple

import numpy as np

from penstock.analysis.distributions import chi_square_quantile
from penstock.analysis.sample import WITHIN_PROBLEMS, Floats, Sample, Weights
from penstock.analysis.within_problems import estimate_within_problems
from penstock.study.hypotheses import ExpectedVariance

__all__ = ["Spread", "declared_spread", "pilot_spread"]


class Spread(NamedTuple):
    """How a contrast varies, and which part of that replicates cause.

    Args:
        variance: The variance of the problems' differences; where these problems alone are meant,
            what one replicate of each adds to that of their mean.
        limits: The smallest and the largest variance that a pilot does not rule out; the variance
            itself where it is declared.
        replicate_part: The part of `variance` that replicates cause; None where a pilot of one
            replicate cannot tell.
        replicate: What one replicate of each problem adds; None likewise.
        df: The degrees of freedom of the pilot where these problems alone are meant, for one
            replicate more; None where problems are what is generalised over.
    """

    variance: float
    limits: tuple[float, float]
    replicate_part: float | None
    replicate: float | None
    df: float | None = None

    def standard_error(
        self, problems: int, replicates: int | None, variance: float | None = None
    ) -> float:
        """Return the standard error of a difference; endless replicates where None are given."""
        total = self.variance if variance is None else variance
        if self.df is not None:
            return sqrt(max(total / replicates, 1e-300)) if replicates else 1e-150

        if self.replicate is not None and self.replicate_part is not None:
            total = max(total - self.replicate_part, 0.0)
            total += self.replicate / replicates if replicates else 0.0

        return sqrt(max(total, 1e-300) / problems)

    def degrees_of_freedom(self, problems: int, replicates: int | None) -> float:
        """Return the degrees of freedom of that standard error."""
        if self.df is None:
            return problems - 1

        return self.df * max((replicates or 1_000_000) - 1, 1e-9)


def declared_spread(declared: ExpectedVariance, weights: Weights) -> Spread:
    """Return the spread that is expected, from variance components that a study declares.

    Args:
        declared: The components.
        weights: The contrast.
    """
    scale = sum(weight**2 for weight in weights.values())
    noise = scale * declared.replicate
    variance = scale * declared.problem_condition + noise
    return Spread(variance, (variance, variance), noise, noise)


def pilot_spread(sample: Sample, weights: Weights) -> Spread | str:
    """Return the spread of a contrast in a pilot, or the sentence why it does not tell.

    Args:
        sample: The pilot's scored runs.
        weights: The contrast.
    """
    if sample.unit == "replicate":
        return "the pilot has one problem, which says nothing of how problems vary."

    if sample.unit == WITHIN_PROBLEMS:
        return _within_problems(sample, weights)

    shares = np.array(list(weights.values()))
    differences = shares @ np.array([sample.means(arm) for arm in weights])
    shared = np.flatnonzero(~np.isnan(differences))
    if len(shared) <= 1:
        return "the pilot has fewer than two problems that were scored on both sides."

    variance = float(differences[shared].var(ddof=1))
    if variance <= 1e-24 * max(1.0, float(np.abs(differences[shared]).max())) ** 2:
        return "the pilot shows no variation to plan with."

    cells = {arm: [sample.cell(arm, int(at)) for at in shared] for arm in weights}
    part, noise = _replicate_parts(cells, weights)
    limits = _limits(variance, _df_of(differences[shared]))
    return Spread(variance, limits, part, noise)


def _replicate_parts(
    cells: Mapping[int, list[Floats]], weights: Weights
) -> tuple[float | None, float | None]:
    """Return what replicates add to the differences' variance: those of the pilot, and one."""
    part = noise = 0.0
    for arm, weight in weights.items():
        repeated = [cell for cell in cells[arm] if len(cell) > 1]
        if not repeated:
            return None, None

        squares = sum(float(((cell - cell.mean()) ** 2).sum()) for cell in repeated)
        variance = squares / sum(len(cell) - 1 for cell in repeated)
        noise += weight**2 * variance
        part += weight**2 * variance * float(np.mean([1 / len(cell) for cell in cells[arm]]))

    return part, noise


def _within_problems(sample: Sample, weights: Weights) -> Spread | str:
    found = estimate_within_problems(sample, weights)
    if found.se is None or found.df is None:
        return f"the pilot does not say how replicates vary: {found.why_not}"

    counts = [len(sample.cell(arm, at)) for arm in weights for at in range(len(sample.problems))]
    replicates = float(np.mean([count for count in counts if count]))
    variance = found.se**2 * replicates
    limits = _limits(variance, found.df)
    return Spread(variance, limits, variance, variance, df=found.df / (replicates - 1))


def _df_of(differences: Floats) -> float:
    count = len(differences)
    centred = differences - differences.mean()
    kurtosis = float((centred**4).mean() / (centred**2).mean() ** 2 - 3)
    return 2 / (2 / (count - 1) + max(0.0, kurtosis) / count)


def _limits(variance: float, df: float) -> tuple[float, float]:
    return (
        variance * df / chi_square_quantile(0.975, df),
        variance * df / chi_square_quantile(0.025, df),
    )

"""Forecasts: what other numbers of problems and replicates would show, from a pilot.

A pilot's spread is uncertain, so a forecast is a band. Its limits are those of the variance of the
problems' differences at 95 %, with degrees of freedom shrunk by their kurtosis (a chi-square of a
normal sample is too narrow at a ceiling), taken before the replicate part is exchanged.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from penstock._base.fact import Fact
from penstock.analysis.contrasts import Weights
from penstock.analysis.distributions import chi_square_quantile
from penstock.analysis.power import planned_power
from penstock.analysis.sample import Floats, Sample

__all__ = ["PowerForecast", "forecast_power", "replicates_needed"]

_WANTED = 0.8
_MOST_REPLICATES = 10_000


class PowerForecast(Fact):
    """The power of a design, from a pilot.

    Args:
        problems: Problems of the design.
        replicates: Replicates of the design.
        delta: The effect that is to be shown.
        power: The power at the pilot's spread.
        low: The power at the largest spread that the pilot does not rule out.
        high: The power at the smallest.
    """

    problems: int
    replicates: int
    delta: float
    power: float
    low: float
    high: float


def forecast_power(
    sample: Sample, weights: Weights, *, problems: int, replicates: int, delta: float
) -> PowerForecast | None:
    """Forecast the power of a contrast; None where the pilot does not say how problems vary.

    Args:
        sample: The pilot's scored runs.
        weights: The contrast.
        problems: Problems of the design, two or more.
        replicates: Replicates of the design; a pilot of one replicate forecasts its own number
            only, for it cannot tell replicates from problems.
        delta: The smallest effect of interest.
    """
    spread = _spread(sample, weights)
    if spread is None or (spread.replicates == 1 and replicates != 1):
        return None

    powers = [
        planned_power(sqrt(spread.at(variance, replicates)), problems, delta)
        for variance in (spread.variance, *spread.limits)
    ]
    return PowerForecast(
        problems=problems,
        replicates=replicates,
        delta=delta,
        power=powers[0],
        low=min(powers),
        high=max(powers),
    )


def replicates_needed(
    sample: Sample, weights: Weights, *, problems: int, delta: float
) -> int | str | None:
    """Return how many replicates make the power 0.8, or the sentence that none do.

    Args:
        sample: The pilot's scored runs.
        weights: The contrast.
        problems: Problems of the design.
        delta: The smallest effect of interest.
    """
    spread = _spread(sample, weights)
    if spread is None or spread.replicates == 1:
        return None

    endless = planned_power(sqrt(spread.at(spread.variance, None)), problems, delta)
    if endless < _WANTED:
        return (
            f"no number of replicates reaches {_WANTED} with {problems:,} problems: with endless "
            f"replicates the power is {endless:.3f} (problem x condition remains)."
        )

    low, high = 0, 1
    while planned_power(sqrt(spread.at(spread.variance, high)), problems, delta) < _WANTED:
        low, high = high, high * 2
        if high > _MOST_REPLICATES:
            return f"more than {_MOST_REPLICATES:,} replicates would be needed."

    while high - low > 1:
        middle = (low + high) // 2
        power = planned_power(sqrt(spread.at(spread.variance, middle)), problems, delta)
        low, high = (low, middle) if power >= _WANTED else (middle, high)

    return high


class _Spread:
    """How the problems' differences of a pilot vary, and which part of it replicates cause."""

    def __init__(self, differences: Floats, noise: float, replicates: int) -> None:
        self.variance = float(differences.var(ddof=1))
        self.replicates = replicates
        self._noise = noise  # of one replicate, on the difference
        count = len(differences)
        centred = differences - differences.mean()
        kurtosis = float((centred**4).mean() / (centred**2).mean() ** 2 - 3)
        df = 2 / (2 / (count - 1) + max(0.0, kurtosis) / count)
        self.limits = [
            self.variance * df / chi_square_quantile(probability, df)
            for probability in (0.025, 0.975)
        ]

    def at(self, variance: float, replicates: int | None) -> float:
        """Return the variance of differences with other replicates; endless ones with None."""
        between = max(variance - self._noise / self.replicates, 0.0)
        total = between + (0.0 if replicates is None else self._noise / replicates)
        return max(total, 1e-300)


def _spread(sample: Sample, weights: Weights) -> _Spread | None:
    if sample.unit != "problem":
        return None

    means = np.array([sample.means(arm) for arm in weights])
    differences = np.array(list(weights.values())) @ means
    shared = np.flatnonzero(~np.isnan(differences))
    if len(shared) <= 1 or float(differences[shared].std()) == 0:
        return None

    cells = {arm: [sample.cell(arm, int(at)) for at in shared] for arm in weights}
    replicates = min(len(cell) for row in cells.values() for cell in row)
    noise = 0.0
    if replicates > 1:
        noise = sum(
            weight**2 * float(np.mean([cell.var(ddof=1) for cell in cells[arm]]))
            for arm, weight in weights.items()
        )

    return _Spread(differences[shared], noise, replicates)

"""Power: how likely a design is to show an effect, and how many problems or replicates it takes.

From the noncentral t on paired problem means. A pilot's spread is itself uncertain, so what it
forecasts is a band. Source of expected mean squares: H. Scheffé, The Analysis of Variance (1959).
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.distributions import two_sided_t_power
from penstock.analysis.sample import Sample

__all__ = [
    "PairedPower",
    "VarianceComponents",
    "paired_power",
    "planned_power",
    "variance_components",
]

_WANTED = 0.8
_MOST = 1_000_000


class PairedPower(Fact):
    """What a paired design of so many problems can show, from the spread of its differences.

    Args:
        noncentrality: The smallest effect of interest in standard errors.
        at_delta: The power at the smallest effect of interest.
        smallest_effect: The effect that is shown with a power of 0.8.
        problems_needed: The fewest problems with which the power is 0.8.
    """

    noncentrality: float
    at_delta: float
    smallest_effect: float
    problems_needed: int | None


class VarianceComponents(Fact):
    """How much problems differ, how much conditions differ between problems, and replicates.

    From expected mean squares of a balanced design. A negative estimate is kept in ``raw`` and
    shown as 0.

    Args:
        problem: The variance between problems.
        problem_condition: That of a condition's effect between problems.
        replicate: That between replicates of one problem under one condition.
        problem_condition_plus_replicate: Their sum, where one replicate cannot tell them apart.
        mean_squares: The mean squares they are made from.
        raw: The estimates before negative ones are set to 0.
        undefined: The name of each quantity that does not exist here -> why.
    """

    problem: float | None = None
    problem_condition: float | None = None
    replicate: float | None = None
    problem_condition_plus_replicate: float | None = None
    mean_squares: dict[str, float] = EMPTY
    raw: dict[str, float] = EMPTY
    undefined: dict[str, str] = EMPTY


def paired_power(sd: float, problems: int, delta: float) -> PairedPower:
    """Return the power of a paired t test.

    Args:
        sd: The standard deviation of the problems' differences.
        problems: How many problems there are.
        delta: The smallest effect of interest.
    """
    return PairedPower(
        noncentrality=delta / sd * sqrt(problems),
        at_delta=planned_power(sd, problems, delta),
        smallest_effect=_smallest_effect(sd, problems),
        problems_needed=_problems_needed(sd, delta),
    )


def planned_power(sd: float, problems: int, delta: float) -> float:
    """Return the power of so many problems whose differences have a standard deviation."""
    return two_sided_t_power(delta / sd * sqrt(problems), problems - 1)


def _smallest_effect(sd: float, problems: int) -> float:
    low, high = 0.0, 1e3
    for _ in range(200):
        middle = (low + high) / 2
        is_enough = two_sided_t_power(middle, problems - 1) >= _WANTED
        low, high = (low, middle) if is_enough else (middle, high)

    return (low + high) / 2 * sd / sqrt(problems)


def _problems_needed(sd: float, delta: float) -> int | None:
    """Find the smallest whole number; power grows with the number of problems."""
    if delta == 0:
        return None

    low, high = 1, 2
    while planned_power(sd, high, delta) < _WANTED:
        low, high = high, high * 2
        if high > _MOST:
            return None

    while high - low > 1:
        middle = (low + high) // 2
        is_enough = planned_power(sd, middle, delta) >= _WANTED
        low, high = (low, middle) if is_enough else (middle, high)

    return high


def variance_components(sample: Sample) -> VarianceComponents:
    """Estimate how problems, conditions between problems, and replicates vary."""
    if sample.unit == "replicate":
        why = "one problem does not vary."
        return VarianceComponents(undefined={"problem": why, "problem_condition": why})

    cells = [
        [sample.cell(arm, at) for at in range(len(sample.problems))]
        for arm in range(len(sample.arms))
    ]
    sizes = {len(cell) for row in cells for cell in row}
    if len(sizes) != 1 or sizes == {0} or len(sample.arms) < 2:  # noqa: PLR2004 - two to compare
        why = "the numbers of scored runs differ between problems or conditions."
        if len(sample.arms) < 2:  # noqa: PLR2004
            why = "one condition does not vary."

        return VarianceComponents(undefined=dict.fromkeys(_NAMES, why))

    (replicates,) = sizes
    return _by_moments(np.array(cells), replicates)


_NAMES = ("problem", "problem_condition", "replicate")


def _by_moments(values: Any, replicates: int) -> VarianceComponents:
    """Solve the expected mean squares of values of shape (conditions, problems, replicates)."""
    conditions, problems, _ = values.shape
    means = values.mean(axis=2)
    of_problems = means.mean(axis=0)
    rest = means - of_problems - means.mean(axis=1, keepdims=True) + means.mean()
    between = replicates * conditions * float(((of_problems - means.mean()) ** 2).sum())
    squares = {
        "problem": between / (problems - 1),
        "problem_condition": replicates
        * float((rest**2).sum())
        / ((problems - 1) * (conditions - 1)),
    }
    raw = {
        "problem": (squares["problem"] - squares["problem_condition"]) / (replicates * conditions)
    }
    if replicates == 1:
        told_apart = "with one replicate it cannot be told from"
        return VarianceComponents(
            problem=max(0.0, raw["problem"]),
            problem_condition_plus_replicate=squares["problem_condition"],
            mean_squares=squares,
            raw=raw,
            undefined={
                "replicate": f"{told_apart} problem x condition.",
                "problem_condition": f"{told_apart} the replicate's own; their sum stands as "
                "problem_condition_plus_replicate.",
            },
        )

    within = float(((values - means[:, :, None]) ** 2).sum())
    squares["replicate"] = within / (problems * conditions * (replicates - 1))
    raw["replicate"] = squares["replicate"]
    raw["problem_condition"] = (squares["problem_condition"] - squares["replicate"]) / replicates
    return VarianceComponents(
        **{name: max(0.0, raw[name]) for name in _NAMES}, mean_squares=squares, raw=raw
    )

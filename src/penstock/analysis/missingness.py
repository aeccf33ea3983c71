"""Missingness: which runs came to an end, and what failed ones could change.

Source: C. F. Manski, American Economic Review 80 (1990), 319-323, for bounds without assumptions.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.contrasts import Contrast, Weights, compare
from penstock.analysis.sample import Floats, Sample

__all__ = [
    "Bounds",
    "Flow",
    "Missing",
    "bounds_of",
    "flow_of",
    "missing_by_condition",
    "missing_of",
]


class Flow(Fact):
    """What became of the runs of one condition.

    Args:
        name: The condition.
        planned: Runs in the plan.
        ended: Runs with a result.
        failed: Runs that failed.
        skipped: Runs that did not apply.
        scored: Runs with a value of the outcome.
        failures: Error class -> how many runs failed with it; and a text that stands where others
            have a number -> how many runs have it, and so no value.
    """

    name: str
    planned: int
    ended: int
    failed: int
    skipped: int
    scored: int
    failures: dict[str, int] = EMPTY


class Bounds(Fact):
    """What a contrast would be with other answers in the place of failed runs.

    Args:
        worst: Every failed run counts as 0, on both sides; as 1 where a lower outcome is better.
        best: Every failed run counts as 1, on both sides; as 0 where a lower outcome is better.
        manski_low: Failures of the left side count as 0, of the right side as 1.
        manski_high: The other way round.
    """

    worst: float
    best: float
    manski_low: float
    manski_high: float


class Missing(NamedTuple):
    """The runs of a contrast that have no value."""

    without: int
    runs: int
    contrast: Contrast
    """The contrast of the share of runs without a value."""


def flow_of(sample: Sample) -> list[Flow]:
    """Count what became of each condition's runs."""
    flows = []
    for at, arm in enumerate(sample.arms):
        runs = [run for run in sample.runs if run.arm == at]
        by_status = Counter(run.status for run in runs)
        told = [run for run in runs if run.status == "failed" or (run.error and run.value is None)]
        failures = Counter(run.error or "unknown" for run in told)
        flows.append(
            Flow(
                name=arm.name,
                planned=len(runs),
                ended=len(runs) - by_status[None],
                failed=by_status["failed"],
                skipped=by_status["skipped"],
                scored=sum(run.value is not None for run in runs),
                failures=dict(failures.most_common()),
            )
        )

    return flows


def missing_by_condition(sample: Sample, weights: Weights, name: str) -> Contrast | None:
    """Test whether the share of runs without a value depends on the condition, by problem.

    Returns:
        The contrast of shares; None where no run of either side is without a value.
    """
    taking_part = [run for run in sample.runs if run.arm in weights and run.status is not None]
    if all(run.value is not None for run in taking_part):
        return None

    as_shares = [run._replace(value=float(run.value is None)) for run in taking_part]
    return compare(Sample(sample.arms, sample.problems, as_shares), name, weights)


def missing_of(sample: Sample, weights: Weights) -> Missing | None:
    """Return which runs of a contrast have no value; None where all have one."""
    contrast = missing_by_condition(sample, weights, "runs without a value")
    if contrast is None:
        return None

    ended = [run for run in sample.runs if run.arm in weights and run.status is not None]
    return Missing(sum(run.value is None for run in ended), len(ended), contrast)


def bounds_of(sample: Sample, weights: Weights, *, is_lower_better: bool = False) -> Bounds | None:
    """Bound a contrast of an outcome of 0 and 1 by what failed runs could have come to.

    Args:
        sample: The runs.
        weights: The contrast.
        is_lower_better: Whether 0 is the better value.
    """
    runs = [run for run in sample.runs if run.arm in weights]
    if not sample.is_binary or all(run.value is not None for run in runs):
        return None

    missing = np.zeros((len(sample.arms), len(sample.problems)))
    place = {problem: at for at, problem in enumerate(sample.problems)}
    for run in runs:
        missing[run.arm, place[run.problem]] += run.value is None

    worst, best = (1.0, 0.0) if is_lower_better else (0.0, 1.0)
    return Bounds(
        worst=_difference(sample, weights, missing, left=worst, right=worst),
        best=_difference(sample, weights, missing, left=best, right=best),
        manski_low=_difference(sample, weights, missing, left=0.0, right=1.0),
        manski_high=_difference(sample, weights, missing, left=1.0, right=0.0),
    )


def _difference(
    sample: Sample, weights: Weights, missing: Floats, *, left: float, right: float
) -> float:
    """Return a contrast in which runs without a value count as one on each side."""
    found = 0.0
    for arm, weight in weights.items():
        filling = left if weight > 0 else right
        cells = [sample.cell(arm, at) for at in range(len(sample.problems))]
        scored = np.array([len(cell) for cell in cells])
        sums = np.array([cell.sum() for cell in cells]) + filling * missing[arm]
        runs = scored + missing[arm]
        found += weight * float((sums[runs > 0] / runs[runs > 0]).mean())

    return found

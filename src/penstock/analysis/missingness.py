"""Missingness: which runs came to an end, and what failed ones could change.

Source: C. F. Manski, American Economic Review 80 (1990), 319-323, for bounds without assumptions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.contrasts import Contrast, Weights, compare
from penstock.analysis.sample import Floats, Sample, weighted

__all__ = [
    "Begun",
    "Bounds",
    "Compared",
    "Flow",
    "Missing",
    "bounds_of",
    "compared",
    "flow_of",
    "missing_by_condition",
]


class Flow(Fact):
    """What became of the runs of one condition.

    Args:
        name: The condition.
        planned: Runs in the plan.
        started: Runs that were tried.
        ended: Runs with a result.
        failed: Runs that failed.
        skipped: Runs that did not apply.
        scored: Runs with a value of the outcome.
        analysed: Those of them that the filters of analysis plans leave.
        failures: Error class -> how many runs failed with it; and a text that stands where others
            have a number -> how many runs have it, and so no value.
    """

    name: str
    planned: int
    started: int
    ended: int
    failed: int
    skipped: int
    scored: int
    analysed: int
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


class Compared(NamedTuple):
    """A contrast, what it compares, and which of these runs have no value."""

    contrast: Contrast
    weights: Weights
    missing: Missing | None


def compared(sample: Sample, name: str, weights: Weights, **told: Any) -> Compared:
    """Compare two sides of a sample, and find which of their runs have no value.

    Args:
        sample: The runs.
        name: The contrast's name.
        weights: What is compared.
        told: What else `compare` is told.
    """
    contrast = compare(sample, name, weights, **told)
    return Compared(contrast, weights, missing_by_condition(sample, weights, name))


class Begun(NamedTuple):
    """How many runs of a condition are planned, and how many were tried."""

    planned: int = 0
    started: int = 0


def flow_of(
    sample: Sample, begun: Mapping[str, Begun] = EMPTY, analysed: Sample | None = None
) -> list[Flow]:
    """Count what became of each condition's runs.

    Args:
        sample: All runs that have ended.
        begun: Condition -> its runs; where not given, those that have ended.
        analysed: Those that the filters of analysis plans leave; all where not given.
    """
    left = Counter(
        (sample if analysed is None else analysed).arms[run.arm].name
        for run in (sample if analysed is None else analysed).runs
        if run.value is not None
    )
    flows = []
    for at, arm in enumerate(sample.arms):
        runs = [run for run in sample.runs if run.arm == at]
        by_status = Counter(run.status for run in runs)
        own = begun.get(arm.name, Begun(len(runs), len(runs)))
        told = [run for run in runs if run.status == "failed" or (run.error and run.value is None)]
        failures = Counter(run.error or "unknown" for run in told)
        flows.append(
            Flow(
                name=arm.name,
                planned=own.planned,
                started=own.started,
                ended=len(runs) - by_status[None],
                failed=by_status["failed"],
                skipped=by_status["skipped"],
                scored=sum(run.value is not None for run in runs),
                analysed=left[arm.name],
                failures=dict(failures.most_common()),
            )
        )

    none = dict.fromkeys(("ended", "failed", "skipped", "scored", "analysed"), 0)
    known = {each.name for each in flows}
    not_ended = (
        Flow(name=name, planned=each.planned, started=each.started, **none)
        for name, each in begun.items()
        if name not in known
    )
    return [*flows, *not_ended]


def missing_by_condition(sample: Sample, weights: Weights, name: str) -> Missing | None:
    """Test whether the share of runs without a value depends on the condition, by problem.

    Returns:
        Those runs, with the contrast of shares; None where no run of either side is one.
    """
    taking_part = [run for run in sample.runs if run.arm in weights and run.status is not None]
    if all(run.value is not None for run in taking_part):
        return None

    shares = [run._replace(value=float(run.value is None)) for run in taking_part]
    contrast = compare(Sample(sample.arms, sample.problems, shares), name, weights)
    return Missing(int(sum(run.value for run in shares)), len(shares), contrast)


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
    means = []
    for arm, weight in weights.items():
        filling = left if weight > 0 else right
        cells = [sample.cell(arm, at) for at in range(len(sample.problems))]
        scored = np.array([len(cell) for cell in cells])
        sums = np.array([cell.sum() for cell in cells]) + filling * missing[arm]
        runs = scored + missing[arm]
        means.append([(sums[runs > 0] / runs[runs > 0]).mean()])

    return float(weighted(np.array([*weights.values()]), np.array(means))[0])

"""Drift: whether an outcome, or what a run takes, moved while the study ran.

Runs are held against others of the same condition and problem, so that neither what was run early
nor what is hard looks like a change: an ordinary regression on the order in which runs were
started, with a constant for each condition and problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import numpy as np

from penstock._base.fact import Fact
from penstock.analysis.arms import AGENT
from penstock.analysis.distributions import t_two_sided
from penstock.analysis.estimates import Interval, interval_of
from penstock.analysis.sample import Floats, Run, Sample

__all__ = ["Drift", "drift_of"]


class Drift(Fact):
    """How far something moved from the first run to the last.

    Args:
        quantity: What moved: an outcome, or ``latency_s``.
        agent: Whose runs; ``all`` where there is one agent.
        n_runs: Runs that tell: those of a condition and problem that has several.
        change: How far it moved from the first run to the last.
        interval: The 95 % interval of that.
        p: The p value of no change.
    """

    quantity: str
    agent: str
    n_runs: int
    change: float
    interval: Interval
    p: float


def drift_of(sample: Sample, quantity: str) -> Iterator[Drift]:
    """Yield how far an outcome moved, for each agent whose runs tell.

    Args:
        sample: The runs, with the order in which they were started.
        quantity: What the outcome is called.
    """
    by_agent: dict[str, list[Run]] = {}
    for run in sample.runs:
        if isinstance(run.value, (int, float)) and run.started_order is not None:
            by_agent.setdefault(str(sample.level_of(run.arm, AGENT) or "all"), []).append(run)

    for agent, runs in by_agent.items():
        if (found := _regressed(runs, quantity, agent)) is not None:
            yield found


def _regressed(runs: list[Run], quantity: str, agent: str) -> Drift | None:
    cells: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for run in runs:
        point = (float(run.started_order or 0), float(run.value))
        cells.setdefault((run.arm, run.problem), []).append(point)

    repeated = [np.array(points) for points in cells.values() if len(points) > 1]
    if not repeated:
        return None

    centred: Floats = np.concatenate([points - points.mean(axis=0) for points in repeated])
    order, values = centred[:, 0], centred[:, 1]
    spread, df = float((order**2).sum()), len(centred) - len(repeated) - 1
    if spread == 0 or df < 1:
        return None

    slope = float((order * values).sum()) / spread
    error = sqrt(float(((values - slope * order) ** 2).sum()) / df / spread)
    if error == 0:
        return None

    places = [each.started_order or 0 for each in runs]
    whole = max(places) - min(places)
    return Drift(
        quantity=quantity,
        agent=agent,
        n_runs=len(centred),
        change=slope * whole,
        interval=interval_of(slope * whole, error * whole, df),
        p=t_two_sided(slope / error, df),
    )

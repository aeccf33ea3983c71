"""Sections: the parts of the view that are tables and figures, made from a sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from penstock._base.fact import changed
from penstock.analysis.analysis_facts import Analysis, OutcomeAnalysis
from penstock.analysis.covariates import Covariate
from penstock.analysis.missingness import Flow
from penstock.analysis.readings import Readings
from penstock.analysis.sample import Sample
from penstock.page.sentences import MINUS
from penstock.page.view import BoundsRow, ConditionRow, DesignRow, Matrix, TimePoint

__all__ = [
    "bounds_rows",
    "conditions_of",
    "costs_of",
    "flow_rows",
    "label_of",
    "matrix_of",
    "measured_rows",
    "time_points",
]

_BLOCKS = 16
"""Stretches of runs in the figure of the outcome over time."""


def conditions_of(
    sample: Sample,
    found: OutcomeAnalysis | None,
    costs: Mapping[str, tuple[float | None, float | None]],
) -> tuple[ConditionRow, ...]:
    """Return an estimate for each condition, with what a run of it cost and took."""
    rows = []
    for arm, each in enumerate(sample.arms):
        estimate = None if found is None else found.conditions[arm]
        interval = None if estimate is None else estimate.interval
        means = sample.means(arm)
        means = means[~np.isnan(means)]
        cost, latency = costs.get(each.name, (None, None))
        rows.append(
            ConditionRow(
                name=label_of(each.levels),
                mean=float(means.mean()) if len(means) else None,
                low=None if interval is None else interval.low,
                high=None if interval is None else interval.high,
                n=len(sample.values(arm)),
                cost_usd=cost,
                latency_s=latency,
                note="" if estimate is None else estimate.undefined.get("mean", ""),
            )
        )

    return tuple(rows)


def label_of(levels: Mapping[str, Any]) -> str:
    """Return a condition's levels as people read them."""
    return " · ".join(str(level) for level in levels.values()) or "all runs"


def costs_of(readings: Readings, whole: Sample) -> dict[str, tuple[float | None, float | None]]:
    """Return the cost of a run and the median seconds of each condition, by its name."""
    places = readings.places(whole)
    costs: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for row in readings.rows():
        arm = whole.arms[places[row["condition_id"], row["agent_id"]]].name
        seconds.setdefault(arm, []).append(row["latency_s"])
        if row["cost_usd"] is not None:
            costs.setdefault(arm, []).append(row["cost_usd"])

    return {
        arm: (
            float(np.mean(costs[arm])) if any(costs.get(arm, ())) else None,
            float(np.median(each)),
        )
        for arm, each in seconds.items()
    }


def flow_rows(flow: Iterable[Flow], whole: Sample) -> tuple[Flow, ...]:
    """Return what became of each condition's runs, those without any at the end."""
    labels = {arm.name: label_of(arm.levels) for arm in whole.arms}
    return tuple(changed(each, name=labels.get(each.name, each.name)) for each in flow)


def bounds_rows(found: OutcomeAnalysis) -> Iterable[BoundsRow]:
    """Yield what each difference would be with other answers in the place of failed runs."""
    for name, each in found.bounds.items():
        contrast = found.contrasts.get(name)
        yield BoundsRow(
            name=name.replace("-", f" {MINUS} "),
            complete=None if contrast is None else contrast.difference,
            worst=each.worst,
            best=each.best,
        )


def measured_rows(analysis: Analysis | None) -> Iterable[DesignRow]:
    """Yield what was measured of the study itself: how runs vary, and how far evaluators agree."""
    if analysis is None:
        return

    found = analysis.outcomes[analysis.primary].variance
    parts = {
        "problems": found.problem,
        "problem by condition": found.problem_condition,
        "replicates": found.replicate,
        "problem by condition, and replicates": found.problem_condition_plus_replicate,
    }
    known = [f"{name} {value:.3g}" for name, value in parts.items() if value is not None]
    if known:
        yield DesignRow(name=f"Variance of {analysis.primary}", value=" · ".join(known))

    for covariate in analysis.outcomes[analysis.primary].covariates:
        yield DesignRow(name=f"Covariate {covariate.name}", value=_covariate_told(covariate))

    for each in analysis.agreements:
        kappa = "" if each.kappa is None else f" · kappa {each.kappa:.2f}"
        alpha = "" if each.alpha is None else f" · alpha {each.alpha:.2f}"
        yield DesignRow(
            name=f"Agreement of {each.other} with {each.first}",
            value=f"the same on {each.observed:.0%} of {each.n_runs:,} runs{kappa}{alpha}"
            f" · bias {each.bias:+.3g}".replace("-", MINUS),
        )


def _covariate_told(covariate: Covariate) -> str:
    missing = f"{covariate.n_missing:,} scored runs without a value are left out of the models"
    parts = [
        "" if covariate.columns == (covariate.name,) else ", ".join(covariate.columns),
        covariate.note,
        missing if covariate.n_missing and covariate.columns else "",
    ]
    return " · ".join(filter(None, parts)) or "a number of each run"


def matrix_of(sample: Sample, *, is_lower_better: bool = False) -> Matrix:
    """Return the mean of each problem under each condition, the hardest problem first."""
    if sample.texts or not len(sample.values()):
        return Matrix()

    table = np.array(
        [
            [
                cell.mean() if len(cell := sample.cell(arm, at)) else np.nan
                for at in range(len(sample.problems))
            ]
            for arm in range(len(sample.arms))
        ]
    )
    known = ~np.isnan(table)
    sums = np.where(known, table, 0).sum(axis=0)
    ease = np.where(known.any(axis=0), sums / np.maximum(known.sum(axis=0), 1), -np.inf)
    order = np.argsort(-ease if is_lower_better else ease, kind="stable")
    place = {problem: at for at, problem in enumerate(sample.problems)}
    failed = np.zeros(table.shape, dtype=int)
    for run in sample.runs:
        failed[run.arm, place[run.problem]] += run.status == "failed"

    return Matrix(
        problems=tuple(sample.problems[at] for at in order),
        conditions=tuple(label_of(arm.levels) for arm in sample.arms),
        values=tuple(
            tuple(None if np.isnan(value) else float(value) for value in row)
            for row in table[:, order]
        ),
        failed=tuple(tuple(int(count) for count in row) for row in failed[:, order]),
        is_share=sample.is_binary,
    )


def time_points(readings: Readings, sample: Sample) -> Iterable[TimePoint]:
    """Yield the mean outcome of stretches of runs, by agent, with a band of two standard errors."""
    rows = readings.rows()
    order = sorted(range(len(rows)), key=lambda at: rows[at]["started_at"])
    by_agent: dict[str, list[tuple[int, float]]] = {}
    for number, at in enumerate(order, start=1):
        value = sample.runs[at].value
        if isinstance(value, (int, float)):
            by_agent.setdefault(rows[at]["agent_id"], []).append((number, float(value)))

    for agent, points in by_agent.items():
        if len(points) < 2 * _BLOCKS:
            continue

        for block in np.array_split(np.array(points), _BLOCKS):
            mean, spread = block[:, 1].mean(), block[:, 1].std(ddof=1) / np.sqrt(len(block))
            least, most = (0.0, 1.0) if sample.is_binary else (-np.inf, np.inf)
            yield TimePoint(
                agent=agent,
                order=float(block[:, 0].mean()),
                mean=float(mean),
                low=float(max(least, mean - 1.96 * spread)),
                high=float(min(most, mean + 1.96 * spread)),
            )

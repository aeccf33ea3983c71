"""Estimates of each condition: its mean or share, with an interval over problems.

Sources: E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209-212, for the
interval of a share; M. Chen et al., "Evaluating Large Language Models Trained on Code" (2021), for
pass@k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb, sqrt
from typing import Any

import numpy as np

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.distributions import normal_quantile, t_quantile
from penstock.analysis.sample import WITHIN_PROBLEMS, Floats, Run, Sample
from penstock.analysis.sources import rows_sql
from penstock.analysis.within_problems import estimate_within_problems

__all__ = [
    "ConditionEstimate",
    "Interval",
    "WilsonInterval",
    "estimate_condition",
    "shares_told",
    "t_interval",
]

_MOST_TEXTS = 5
"""So many of an outcome's texts are told in a line."""


class Interval(Fact):
    """A confidence interval.

    Args:
        low: Its lower end.
        high: Its upper end.
        level: How often such intervals hold the truth.
    """

    low: float
    high: float
    level: float = 0.95


class WilsonInterval(Interval):
    """Wilson's interval of a share, with a sample size that counts what runs share.

    Args:
        effective_n: How many independent runs would tell as much.
    """

    effective_n: float


class ConditionEstimate(Fact):
    """What the outcome came to under one condition.

    Args:
        name: The condition: its levels, joined by dots.
        levels: What was varied -> the condition's level of it.
        n_problems: Problems with a scored run.
        n_runs: Scored runs.
        mean: The mean of the problems' means.
        se: Its standard error, from how the problems' means differ.
        interval: The interval that is shown: Wilson's for outcomes of 0 and 1, else t's.
        t_interval: The interval of Student's t on the problems' means.
        wilson: Wilson's interval, for outcomes of 0 and 1.
        pass_at: k -> the share of problems of which one of k answers is right.
        pass_hat: k -> the share of problems of which all of k answers are right.
        shares: Text -> its share among the problems, for outcomes that are texts.
        undefined: The name of each quantity that does not exist here -> why.
        how: The method, and the numbers of problems and runs.
        rows: The SQL that gives those runs.
    """

    name: str
    levels: dict[str, Any] = EMPTY
    n_problems: int
    n_runs: int
    mean: float | None = None
    se: float | None = None
    interval: Interval | None = None
    t_interval: Interval | None = None
    wilson: WilsonInterval | None = None
    pass_at: dict[str, float] = EMPTY
    pass_hat: dict[str, float] = EMPTY
    shares: dict[str, float] = EMPTY
    undefined: dict[str, str] = EMPTY
    how: str = ""
    rows: str = ""


def t_interval(values: Floats, level: float = 0.95) -> Interval:
    """Return Student's interval of a mean; two values or more that differ."""
    return interval_of(float(values.mean()), standard_error(values), len(values) - 1, level)


def interval_of(mean: float, se: float, df: float, level: float = 0.95) -> Interval:
    """Return Student's interval of a mean with a standard error and its degrees of freedom."""
    half = t_quantile((1 + level) / 2, df) * se
    return Interval(low=mean - half, high=mean + half, level=level)


def standard_error(values: Floats) -> float:
    """Return the standard error of a mean, shape (values,)."""
    return float(values.std(ddof=1)) / sqrt(len(values))


def estimate_condition(sample: Sample, arm: int, *, is_binary: bool) -> ConditionEstimate:
    """Estimate the mean of one condition.

    Args:
        sample: The scored runs.
        arm: The place of the condition among the sample's arms.
        is_binary: Whether the outcome is 0 or 1 in every run of the study.
    """
    means = sample.means(arm)
    means = means[~np.isnan(means)]
    kind = (int, float) if len(means) else str
    scored = [run for run in sample.runs if run.arm == arm and isinstance(run.value, kind)]
    runs, problems = len(scored), len({run.problem for run in scored})
    shares = _shares(scored, sample.texts)
    undefined: dict[str, str] = {}
    found: dict[str, Any] = {}
    if len(means):
        found["mean"] = float(means.mean())
    elif shares:
        undefined["mean"] = f"texts have no mean: {shares_told(shares)}"
    else:
        undefined["mean"] = _why_unscored(sample, arm)

    if len(means):
        spread, why_not = _spread(sample, arm, means, is_binary=is_binary)
        found |= spread
        undefined |= why_not

    if is_binary and len(means) > 1 and sample.unit != WITHIN_PROBLEMS:
        found["wilson"] = _wilson(found["mean"], found["se"], runs, len(means))

    found["interval"] = found.get("wilson") or found.get("t_interval")
    if is_binary and len(means):
        found["pass_at"], found["pass_hat"] = _pass(sample, arm)
        if len(found["pass_at"]) == 1:
            undefined["pass_at.2"] = "one replicate."  # noqa: S105 - no password

    return ConditionEstimate(
        name=sample.arms[arm].name,
        levels=dict(sample.arms[arm].levels),
        n_problems=problems,
        n_runs=runs,
        shares=shares,
        undefined=undefined,
        how=_how(sample, found, problems, runs),
        rows=rows_sql(sample, {arm: 1.0}),
        **found,
    )


def _spread(
    sample: Sample, arm: int, means: Floats, *, is_binary: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the standard error of a condition and Student's interval, or why there is none."""
    if sample.unit == WITHIN_PROBLEMS:
        found = estimate_within_problems(sample, {arm: 1.0})
        if found.value is None or found.se is None or found.df is None:
            return {}, dict.fromkeys(("se", "t_interval"), found.why_not)

        return {"se": found.se, "t_interval": interval_of(found.value, found.se, found.df)}, {}

    if len(means) == 1:
        return {}, dict.fromkeys(("se", "t_interval"), f"there is one {sample.unit} only.")

    se = standard_error(means)
    if se > 0:
        return {"se": se, "t_interval": t_interval(means)}, {}

    advice = "; use the Wilson interval" if is_binary else ""
    runs = len(sample.values(arm))
    return {"se": se}, {"t_interval": f"all {runs:,} runs came to {means[0]:g}{advice}."}


def _why_unscored(sample: Sample, arm: int) -> str:
    of_it = [run for run in sample.runs if run.arm == arm]
    if of_it and all(run.status == "failed" for run in of_it):
        return f"all {len(of_it):,} runs failed."

    return f"none of {len(of_it):,} runs has a value of the outcome."


def _wilson(mean: float, se: float, runs: int, units: int) -> WilsonInterval:
    """Count as many runs as would be as certain: what runs of a problem share counts once.

    Where problems do not differ (the standard error is 0) replicates may repeat each other, so
    each problem counts once.
    """
    z, t = normal_quantile(0.975), t_quantile(0.975, units - 1)
    counted = min(runs, mean * (1 - mean) / se**2) if se > 0 else units
    n = counted * (z / t) ** 2
    centre = (mean + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * sqrt(mean * (1 - mean) / n + z**2 / (4 * n**2))
    low = max(0.0, centre - half) if mean > 0 else 0.0  # which rounding may leave a bit above 0
    high = min(1.0, centre + half) if mean < 1 else 1.0
    return WilsonInterval(low=low, high=high, effective_n=n)


def _pass(sample: Sample, arm: int) -> tuple[dict[str, float], dict[str, float]]:
    cells = [sample.cell(arm, at) for at in range(len(sample.problems))]
    cells = [cell for cell in cells if len(cell)]
    most = min(len(cell) for cell in cells)
    at: dict[str, float] = {}
    hat: dict[str, float] = {}
    for k in range(1, most + 1):
        ways = [(len(cell), int(cell.sum())) for cell in cells]
        at[str(k)] = float(np.mean([1 - comb(n - c, k) / comb(n, k) for n, c in ways]))
        hat[str(k)] = float(np.mean([comb(c, k) / comb(n, k) for n, c in ways]))

    return at, hat


def _shares(scored: Sequence[Run], texts: Sequence[str]) -> dict[str, float]:
    """Return the mean over problems of the share of each text."""
    by_problem: dict[str, list[str]] = {}
    for run in scored:
        if isinstance(run.value, str):
            by_problem.setdefault(run.problem, []).append(run.value)

    return {
        text: float(np.mean([given.count(text) / len(given) for given in by_problem.values()]))
        for text in (texts if by_problem else ())
    }


def shares_told(shares: Mapping[str, float]) -> str:
    """Describe which texts are the most frequent, such as ``no 40 %, yes 60 %``."""
    frequent = sorted(shares, key=lambda text: -shares[text])[:_MOST_TEXTS]
    told = [f"{text} {shares[text]:.0%}".replace("%", " %") for text in shares if text in frequent]
    left = len(shares) - len(told)
    return ", ".join(told) + (f", and {left:,} more" if left else "")


def _how(sample: Sample, found: dict[str, Any], problems: int, runs: int) -> str:
    counted = f"{problems:,} problems, {runs:,} runs"
    if "mean" not in found:
        return counted

    unit = "the replicates of one problem" if sample.unit == "replicate" else "problem means"
    interval = "Wilson's interval" if "wilson" in found else "Student's t interval"
    of_these = ", of these problems only" if sample.unit == WITHIN_PROBLEMS else ""
    told = f"mean of {unit}{of_these}; {interval}; {counted}"
    return "; ".join(filter(None, (told, sample.chosen.told)))

"""Simulated studies: how often our default tests and intervals are right, beside naive ones.

python benchmarks/simulated_studies.py [--studies N] [--write]

Every study is drawn anew from a fixed seed, so the table is the same each time. ``--write`` puts it
into docs/statistics.md.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from penstock.analysis.adjustment import adjusted
from penstock.analysis.arms import Arm
from penstock.analysis.contrasts import compare, contrast_of
from penstock.analysis.effects import with_control
from penstock.analysis.estimates import estimate_condition
from penstock.analysis.forecasts import forecast_power
from penstock.analysis.power import planned_power
from penstock.analysis.sample import Run, Sample
from penstock.analysis.spread import pilot_spread

MEANT = {
    "type I error": (3.5, 6.5),
    "any of 3": (0.0, 6.5),
    "equivalence at the limit, 20": (0.0, 5.5),
    "equivalence at the limit, 100": (4.0, 5.5),
    "coverage at 0.58": (93.0, 98.0),
    "coverage at 0.94": (92.0, 100.0),
    "coverage at 0.94, 10 problems, replicates": (94.0, 100.0),
    "coverage at 0.94, 30 problems, replicates": (94.0, 100.0),
    "power band": (90.0, 100.0),
}
"""What a row begins with -> the percentages it is meant to lie between; the longest one counts."""

PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"
Values = npt.NDArray[np.float64]


def sample_of(values: Values) -> Sample:
    """Arrange values of shape (conditions, problems, replicates)."""
    names = [f"c{at}" for at in range(len(values))]
    problems = [f"p{at}" for at in range(values.shape[1])]
    arms = [Arm(name, {"condition": name}, (name,)) for name in names]
    runs = [
        Run(arm, problems[problem], replicate, "success", float(values[arm, problem, replicate]))
        for arm, problem, replicate in np.ndindex(*values.shape)
    ]
    return Sample(arms, problems, runs)


def answers(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    *,
    mean: float,
    problem_sd: float,
    cell_sd: float,
) -> Values:
    """Draw outcomes of 0 and 1 whose log-odds vary by problem, and by condition within it."""
    conditions, problems, _ = shape
    logits = (
        mean
        + rng.normal(0, problem_sd, size=(1, problems, 1))
        + rng.normal(0, cell_sd, size=(conditions, problems, 1))
    )
    return (rng.random(shape) < 1 / (1 + np.exp(-logits))).astype(float)


def null_studies(studies: int) -> Iterator[tuple[str, str, str]]:
    """Two conditions that do not differ, 20 problems, 20 replicates."""
    for problem_sd, mean in ((1.0, 0.25), (0.0, 0.0), (1.0, 2.6)):
        rng = np.random.default_rng(1)
        ours = naive = 0
        for _ in range(studies):
            values = answers(rng, (2, 20, 20), mean=mean, problem_sd=problem_sd, cell_sd=1.2)
            sample = sample_of(values)
            found = compare(sample, "c1-c0", contrast_of(sample, "condition", "c1", "c0"))
            ours += (found.p or 1.0) <= 0.05
            table = [[side.sum(), side.size - side.sum()] for side in values]
            naive += stats.chi2_contingency(table, correction=False).pvalue <= 0.05

        what = f"type I error, problem sd {problem_sd:g}, mean logit {mean:g}"
        yield what, _share(ours, studies), f"two proportions on runs: {_share(naive, studies)}"


def families(studies: int) -> Iterator[tuple[str, str, str]]:
    """Three variants and a control that do not differ, 20 problems, 5 replicates."""
    rng = np.random.default_rng(2)
    holm = dunnett = plain = 0
    for _ in range(studies):
        values = rng.normal(size=(1, 20, 1)) + rng.normal(size=(4, 20, 1)) / 2
        sample = sample_of(values + rng.normal(size=(4, 20, 5)))
        p_values = {
            name: compare(sample, name, contrast_of(sample, "condition", name, "c0")).p or 1.0
            for name in ("c1", "c2", "c3")
        }
        plain += min(p_values.values()) <= 0.05
        holm += min(adjusted(p_values, "holm").values()) <= 0.05
        dunnett += min(each.p for each in with_control(sample, "condition", "c0").values()) <= 0.05

    yield "any of 3 hypotheses, Holm", _share(holm, studies), f"none: {_share(plain, studies)}"
    yield "any of 3 comparisons with a control, Dunnett", _share(dunnett, studies), ""


def equivalences(studies: int) -> Iterator[tuple[str, str, str]]:
    """Two conditions that differ by just the smallest effect of interest: equivalence is wrong."""
    for problems in (20, 100):
        rng = np.random.default_rng(3)
        wrong = 0
        for _ in range(studies):
            values = rng.normal(size=(1, problems, 1)) + rng.normal(size=(2, problems, 1)) / 5
            values[1] += 0.1
            sample = sample_of(values + rng.normal(size=(2, problems, 5)) / 5)
            weights = contrast_of(sample, "condition", "c1", "c0")
            found = compare(sample, "c1-c0", weights, delta=0.1).equivalence
            wrong += found is not None and found.p <= 0.05

        yield (
            f"equivalence at the limit, {problems} problems",
            _share(wrong, studies),
            "5 % at most",
        )


def coverage(studies: int) -> Iterator[tuple[str, str, str]]:
    """Shares near the middle and near the ceiling, and replicates that repeat each other."""
    for truth in (0.58, 0.94):
        logit = _logit_with_mean(truth, 1.2)
        for problems in (10, 30, 100):
            rng = np.random.default_rng(4)
            held = held_t = 0
            for _ in range(studies):
                values = answers(rng, (1, problems, 20), mean=logit, problem_sd=0, cell_sd=1.2)
                found = estimate_condition(sample_of(values), 0, is_binary=True)
                held += _holds(found.interval, truth)
                held_t += _holds(found.t_interval, truth)

            what = f"coverage at {truth}, {problems} problems x 20"
            yield what, _share(held, studies), f"Student's t: {_share(held_t, studies)}"

    rng = np.random.default_rng(5)
    for problems in (10, 30):
        held = 0
        for _ in range(studies):
            values = np.repeat((rng.random((1, problems, 1)) < 0.94).astype(float), 20, axis=2)
            found = estimate_condition(sample_of(values), 0, is_binary=True)
            held += _holds(found.interval, 0.94)

        what = f"coverage at 0.94, {problems} problems, replicates that repeat each other"
        yield what, _share(held, studies), ""


def power_bands(studies: int) -> Iterator[tuple[str, str, str]]:
    """Pilots of 20 problems and 5 replicates that forecast 40 problems and 10 replicates."""
    for name, mean in (("in the middle", 0.0), ("at the ceiling", 2.75)):
        truth = _true_power(mean)
        rng = np.random.default_rng(6)
        held = counted = 0
        for _ in range(studies):
            sample = sample_of(answers(rng, (2, 20, 5), mean=mean, problem_sd=0, cell_sd=1.2))
            weights = contrast_of(sample, "condition", "c1", "c0")
            spread = pilot_spread(sample, weights)
            if not isinstance(spread, str):
                found = forecast_power("h", spread, problems=40, replicates=10, delta=0.1)
                counted += 1
                held += _holds(found.power, truth)

        yield f"power band holds the truth, {name}", _share(held, counted), f"power {truth:.2f}"


def _true_power(mean: float) -> float:
    rng = np.random.default_rng(7)
    chances = 1 / (1 + np.exp(-(mean + rng.normal(0, 1.2, size=400_000))))
    variance = 2 * (chances.var() + (chances * (1 - chances)).mean() / 10)
    return planned_power(sqrt(variance), 40, 0.1)


def _logit_with_mean(share: float, sd: float) -> float:
    rng = np.random.default_rng(8)
    draws = rng.normal(0, sd, size=400_000)
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        is_low = float((1 / (1 + np.exp(-(middle + draws)))).mean()) < share
        low, high = (middle, high) if is_low else (low, middle)

    return low


def _holds(interval: Any, truth: float) -> bool:
    return interval is not None and interval.low <= truth <= interval.high


def _share(count: int, of: int) -> str:
    return f"{100 * count / max(of, 1):.1f} %"


def rows(studies: int) -> Iterator[tuple[str, str, str]]:
    """Yield every row of the table: what, ours, and what it is held against."""
    for part in (null_studies, families, equivalences, coverage, power_bands):
        yield from part(studies)


def written(found: Sequence[tuple[str, str, str]], studies: int) -> str:
    """Lay the rows out as a table of Markdown."""
    lines = [
        f"| {studies:,} simulated studies each | penstock | beside it |",
        "| --- | --- | --- |",
    ]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in found)]) + "\n"


def is_as_meant(what: str, ours: str) -> bool:
    """Tell whether a row lies where it is meant to."""
    begin = max((each for each in MEANT if what.startswith(each)), key=len)
    low, high = MEANT[begin]
    return low <= float(ours.removesuffix(" %")) <= high


def main(options: Mapping[str, Any]) -> None:
    found = []
    for row in rows(options["studies"]):
        print(*row, sep="  ", flush=True)
        found.append(row)

    missed = [what for what, ours, _ in found if not is_as_meant(what, ours)]
    if options["write"]:
        begin, end = "<!-- table: simulations -->\n", "<!-- end: simulations -->"
        page = PAGE.read_text(encoding="utf-8")
        made = written(found, options["studies"])
        made = re.sub(f"(?<={begin}).*?(?={end})", lambda _: made, page, flags=re.DOTALL)
        PAGE.write_text(made, encoding="utf-8")

    if missed:
        sys.exit(f"not as meant: {'; '.join(missed)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--write", action="store_true")
    main(vars(parser.parse_args()))

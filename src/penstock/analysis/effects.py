"""Effects: what each factor does, and whether factors change each other's effect.

Source: G. E. P. Box, W. G. Hunter and J. S. Hunter, Statistics for Experimenters, 2nd ed. (2005),
for main effects and interactions as differences of means.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from math import sqrt
from typing import Any

import numpy as np

from penstock._base.fact import Fact
from penstock.analysis.contrasts import Contrast, Weights, compare, contrast_of
from penstock.analysis.distributions import dunnett_critical, dunnett_p, f_tail
from penstock.analysis.estimates import Interval
from penstock.analysis.sample import Floats, Sample
from penstock.designs import alias_structure

__all__ = [
    "Dunnett",
    "FactorTest",
    "aliases_of",
    "factor_test",
    "interaction_of",
    "main_effects",
    "with_control",
]

_TWO = 2
"""Levels of a factor whose effect is one difference."""


class FactorTest(Fact):
    """Whether any level of a factor differs, on the problems that were scored at all levels.

    Args:
        factor: What was varied.
        f: Fisher's F of the problems' means.
        df1: Levels less one.
        df2: Degrees of freedom of the error.
        p: The p value.
        n_problems: Problems scored at every level.
    """

    factor: str
    f: float
    df1: float
    df2: float
    p: float
    n_problems: int


class Dunnett(Fact):
    """A comparison with the control, adjusted for all others, errors pooled over conditions.

    Args:
        difference: The level less the control.
        t: Its t statistic.
        p: The p value, adjusted.
        interval: The simultaneous interval.
        critical: The t that the largest comparison exceeds once in twenty by chance.
    """

    difference: float
    t: float
    df: float
    p: float
    interval: Interval
    critical: float


Sides = tuple[str, Any, Any]
"""A factor, its high level, and its low level."""


def interaction_of(sample: Sample, first: Sides, second: Sides) -> Weights:
    """Return the weights of a difference of differences.

    Args:
        sample: The scored runs.
        first: A factor and its two levels.
        second: Another.
    """
    weights: dict[int, float] = {}
    for high, sign in ((True, 1), (False, -1)):
        for other, other_sign in ((True, 1), (False, -1)):
            wanted = {
                first[0]: first[1] if high else first[2],
                second[0]: second[1] if other else second[2],
            }
            cell = [
                at
                for at in range(len(sample.arms))
                if all(sample.level_of(at, name) == level for name, level in wanted.items())
            ]
            for at in cell:
                weights[at] = sign * other_sign / len(cell)

    return weights


def main_effects(sample: Sample, baselines: dict[str, Any]) -> dict[str, tuple[Contrast, Weights]]:
    """Compare the levels of each factor of two levels, and pairs of such factors.

    Args:
        sample: The scored runs.
        baselines: Factor -> the level that the other is compared with.
    """
    two = {name: levels for name, levels in sample.factors().items() if len(levels) == _TWO}
    sides: dict[str, Sides] = {}
    for name, levels in two.items():
        low = baselines.get(name, levels[0])
        high = next(level for level in levels if level != low)
        sides[name] = (name, high, low)

    found: dict[str, tuple[Contrast, Weights]] = {}
    for name, (_, high, low) in sides.items():
        weights = contrast_of(sample, name, high, low)
        found[name] = (
            compare(sample, name, weights, factor=name, sides=(str(high), str(low))),
            weights,
        )

    for first, second in combinations(sides, 2):
        weights = interaction_of(sample, sides[first], sides[second])
        if len(weights) >= _TWO**2:  # all four combinations were run
            name = f"{first}:{second}"
            between = f"{second} {sides[second][1]} and {sides[second][2]}"
            found[name] = (
                compare(sample, name, weights, factor=first, between=between),
                weights,
            )

    return found


def aliases_of(sample: Sample, effects: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return what a design cannot tell from each effect: nothing for a full factorial.

    Args:
        sample: The runs.
        effects: The effects, as `main_effects` names them.
    """
    two = {name: levels for name, levels in sample.factors().items() if len(levels) == _TWO}
    arms = range(len(sample.arms))
    if len(two) <= _TWO or len(sample.arms) >= _TWO ** len(two):
        return {}

    columns = {
        name: [1.0 if sample.level_of(at, name) == levels[1] else -1.0 for at in arms]
        for name, levels in two.items()
    }
    aliases = alias_structure(columns)["aliases"]
    return {effect: tuple(aliases[effect]) for effect in effects if aliases.get(effect)}


def factor_test(sample: Sample, factor: str) -> FactorTest | None:
    """Test whether any level of a factor differs; None where too few problems have all levels."""
    table = _complete(sample, factor)
    if table is None:
        return None

    levels, problems = table.shape
    error, df2 = _pooled_error(table)
    between = problems * float(((table.mean(axis=1) - table.mean()) ** 2).sum()) / (levels - 1)
    if error <= 0:
        return None

    return FactorTest(
        factor=factor,
        f=between / error,
        df1=levels - 1,
        df2=df2,
        p=f_tail(between / error, levels - 1, df2),
        n_problems=problems,
    )


def with_control(sample: Sample, factor: str, control: Any) -> dict[str, Dunnett]:
    """Compare every level of a factor with one: level -> comparison."""
    table = _complete(sample, factor)
    levels = sample.factors().get(factor, [])
    if table is None or len(levels) <= _TWO:  # one comparison needs no adjustment
        return {}

    error, df = _pooled_error(table)
    if error <= 0:
        return {}

    problems = table.shape[1]
    se, count = sqrt(2 * error / problems), len(levels) - 1
    critical = dunnett_critical(count, df)
    base = table[levels.index(control)]
    found = {}
    for at, level in enumerate(levels):
        if level != control:
            difference = float((table[at] - base).mean())
            found[str(level)] = Dunnett(
                difference=difference,
                t=difference / se,
                df=df,
                p=dunnett_p(difference / se, count, df),
                interval=Interval(low=difference - critical * se, high=difference + critical * se),
                critical=critical,
            )

    return found


def _complete(sample: Sample, factor: str) -> Floats | None:
    """Return the means of each level, shape (levels, problems), of problems that have all."""
    levels = sample.factors().get(factor)
    if not levels or sample.unit != "problem":
        return None

    rows = []
    for level in levels:
        arms = [at for at in range(len(sample.arms)) if sample.level_of(at, factor) == level]
        rows.append(np.mean([sample.means(at) for at in arms], axis=0))

    table = np.array(rows)
    table = table[:, ~np.isnan(table).any(axis=0)]
    return table if table.shape[1] > 1 else None


def _pooled_error(table: Floats) -> tuple[float, int]:
    """Return the mean square of what neither level nor problem explains, and its df."""
    levels, problems = table.shape
    rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    df = (levels - 1) * (problems - 1)
    return float((rest**2).sum()) / df, df

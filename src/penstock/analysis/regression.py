"""Regressions with problems as fixed effects, and errors that count a problem once.

Sources: K.-Y. Liang and S. L. Zeger, Biometrika 73 (1986), 13-22, for cluster-robust errors;
R. M. Bell and D. F. McCaffrey, Survey Methodology 28 (2002), 169-181, and J. E. Pustejovsky and
E. Tipton, Journal of Business & Economic Statistics 36 (2018), 672-683, for CR2 and its degrees of
freedom. No Python library has CR2, and the correction of those that have CR1 counts the problems'
dummies, which makes errors too wide by up to the square root of two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock._base.fact import Fact
from penstock.analysis.contrasts import Weights
from penstock.analysis.distributions import t_two_sided
from penstock.analysis.sample import Floats, Sample

__all__ = ["ClusteredError", "Regression", "regress"]

_SINGULAR = 1e-10
"""Eigenvalues below it are 0: a problem's residuals add up to nothing."""


class ClusteredError(Fact):
    """A standard error that counts each problem once.

    Args:
        se: The standard error.
        df: The degrees of freedom of its t.
        p: The p value, two-sided.
    """

    se: float
    df: float
    p: float


class Regression(Fact):
    """An effect from a linear regression with problems as fixed effects.

    Args:
        coefficient: The effect: a difference of means, other effects held fixed.
        n_problems: Problems with a scored run.
        cr1: The clustered error times ``G / (G - 1)``, with ``G - 1`` degrees of freedom.
        cr2: Bell and McCaffrey's, with Satterthwaite's degrees of freedom.
    """

    coefficient: float
    n_problems: int
    cr1: ClusteredError
    cr2: ClusteredError


def regress(sample: Sample, effects: dict[str, Weights]) -> dict[str, Regression]:
    """Regress the outcome on effects and problems.

    Args:
        sample: The scored runs.
        effects: The name of each effect -> arm -> its code; codes of -1/2 and 1/2 make the
            coefficient a difference of means.

    Returns:
        An entry for each effect; none where the effects cannot be told apart, or nothing varies.
    """
    groups = _centred(sample, list(effects.values()))
    if len(groups) <= 1:
        return {}

    crossed = sum(x.T @ x for x, _ in groups)
    residual_scale = float(sum((y**2).sum() for _, y in groups))
    if np.linalg.matrix_rank(crossed) < len(effects) or residual_scale <= 0:
        return {}

    bread = np.asarray(np.linalg.inv(crossed), dtype=np.float64)
    coefficients = bread @ sum(x.T @ y for x, y in groups)
    residuals = [y - x @ coefficients for x, y in groups]
    fitted = [(x, residual) for (x, _), residual in zip(groups, residuals, strict=True)]
    found = {}
    for at, name in enumerate(effects):
        found[name] = Regression(
            coefficient=float(coefficients[at]),
            n_problems=len(groups),
            cr1=_cr1(at, fitted, bread, float(coefficients[at])),
            cr2=_cr2(at, fitted, bread, float(coefficients[at])),
        )

    return found


def _centred(sample: Sample, effects: list[Weights]) -> list[tuple[Floats, Floats]]:
    """Return codes and values of each problem less their means, which takes the dummies' place."""
    groups = []
    for problem in range(len(sample.problems)):
        codes: list[list[float]] = []
        values: list[float] = []
        for arm in range(len(sample.arms)):
            cell = sample.cell(arm, problem)
            row = [effect.get(arm, 0.0) for effect in effects]
            if not any(arm in effect for effect in effects):
                continue

            codes += [row] * len(cell)
            values += cell.tolist()

        if values:
            x, y = np.array(codes), np.array(values)
            groups.append((x - x.mean(axis=0), y - y.mean()))

    return groups


def _cr1(at: int, fitted: list[tuple[Floats, Floats]], bread: Floats, coefficient: float) -> Any:
    scores = np.array([x.T @ residual for x, residual in fitted])
    variance = (bread @ (scores.T @ scores) @ bread)[at, at]
    count = len(fitted)
    return _error(coefficient, float(variance) * count / (count - 1), count - 1)


def _cr2(at: int, fitted: list[tuple[Floats, Floats]], bread: Floats, coefficient: float) -> Any:
    """Adjust the residuals of each problem for how much they were fitted to."""
    loads = []
    variance = 0.0
    for x, residual in fitted:
        rows = len(residual)
        kept = np.eye(rows) - 1 / rows - x @ bread @ x.T
        load = _inverse_root(kept) @ x @ bread[:, at]
        variance += float(load @ residual) ** 2
        loads.append(load)

    # Satterthwaite: the variance's own mean and variance where runs are independent and alike.
    projected = np.array([x.T @ load for (x, _), load in zip(fitted, loads, strict=True)])
    products = -projected @ bread @ projected.T
    for place, load in enumerate(loads):
        rows = len(load)
        products[place, place] += float(load @ load) - float(load.sum()) ** 2 / rows

    df = float(np.trace(products)) ** 2 / float((products**2).sum())
    return _error(coefficient, variance, df)


def _inverse_root(matrix: Floats) -> Floats:
    """Return the square root of a symmetric matrix's pseudo-inverse."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > _SINGULAR
    root: Floats = (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    return root


def _error(coefficient: float, variance: float, df: float) -> ClusteredError:
    se = float(np.sqrt(variance))
    p = t_two_sided(coefficient / se, df) if se > 0 else 1.0
    return ClusteredError(se=se, df=df, p=p)

"""Regressions with problems as fixed effects, and errors that count a problem once.

Sources: K.-Y. Liang and S. L. Zeger, Biometrika 73 (1986), 13-22, for cluster-robust errors;
R. M. Bell and D. F. McCaffrey, Survey Methodology 28 (2002), 169-181, and J. E. Pustejovsky and
E. Tipton, Journal of Business & Economic Statistics 36 (2018), 672-683, for CR2 and its degrees of
freedom. No Python library has CR2, and the correction of those that have CR1 counts the problems'
dummies, which makes errors too wide by up to the square root of two.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.contrasts import Weights
from penstock.analysis.covariates import NO_COLUMNS, Columns, independent
from penstock.analysis.distributions import t_two_sided
from penstock.analysis.estimates import Interval, interval_of
from penstock.analysis.sample import Floats, Sample

__all__ = ["ClusteredError", "CovariateEffect", "Regression", "regress"]

_SINGULAR = 1e-10
"""Eigenvalues below it are 0: a problem's residuals add up to nothing."""

_PERFECT = 1e-20
"""The share of the outcome's variance that rounding leaves where nothing else is left."""

_ROUNDING = 1e-12
"""What is left of a covariate that is the same in every run of a problem, less its mean."""


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


class CovariateEffect(Fact):
    """How the outcome goes with a covariate, conditions and problems held fixed.

    Args:
        coefficient: By how much the outcome is larger where the covariate is larger by 1.
        error: Its standard error and p value, by CR2.
    """

    coefficient: float
    error: ClusteredError


class Regression(Fact):
    """An effect from a linear regression with problems as fixed effects.

    Args:
        coefficient: The effect: a difference of means, other effects held fixed.
        n_problems: Problems with a scored run.
        n_runs: Scored runs, less those without a value of a covariate.
        cr1: The clustered error times ``G / (G - 1)``, with ``G - 1`` degrees of freedom.
        cr2: Bell and McCaffrey's, with Satterthwaite's degrees of freedom.
        interval: The 95 % interval of the second.
        covariates: What it is adjusted for -> its coefficient, with the second error.
    """

    coefficient: float
    n_problems: int
    n_runs: int
    cr1: ClusteredError
    cr2: ClusteredError
    interval: Interval
    covariates: dict[str, CovariateEffect] = EMPTY


def regress(
    sample: Sample, effects: dict[str, Weights], covariates: Columns = NO_COLUMNS
) -> dict[str, Regression]:
    """Regress the outcome on effects, covariates and problems.

    Args:
        sample: The scored runs.
        effects: The name of each effect -> arm -> its code; codes of -1/2 and 1/2 make the
            coefficient a difference of means.
        covariates: What it is adjusted for. Runs without a value of one are left out, and so is a
            covariate that effects and problems hold fixed already.

    Returns:
        An entry for each effect; none where the effects cannot be told apart, nothing varies, or
        nothing is left to estimate an error from.
    """
    groups = _centred(sample, list(effects.values()), covariates)
    fit = _least_squares(groups, len(effects)) if len(groups) > 1 else None
    if fit is None:
        return {}

    beside = {}
    for at, column in enumerate(fit.kept, start=len(effects)):
        scale = float(fit.scales[at])
        if (error := _cr2(at, fit)) is not None:
            own = error.model_copy(update={"se": error.se / scale})
            effect = CovariateEffect(coefficient=fit.coefficient(at) / scale, error=own)
            beside[covariates.names[column]] = effect

    found = {}
    for at, name in enumerate(effects):
        cr2 = _cr2(at, fit)
        if cr2 is not None:
            found[name] = Regression(
                coefficient=fit.coefficient(at),
                n_problems=len(groups),
                n_runs=sum(len(rest) for _, rest in fit.groups),
                cr1=_cr1(at, fit),
                cr2=cr2,
                interval=interval_of(fit.coefficient(at), cr2.se, cr2.df),
                covariates=beside,
            )

    return found


class _Fit(NamedTuple):
    """A regression that was fitted."""

    coefficients: Floats
    bread: Floats
    """The inverse of the columns' squares and products."""

    groups: list[tuple[Floats, Floats]]
    """The columns and residuals of each problem."""

    scales: Floats
    """What each column was divided by."""

    kept: list[int]
    """Which covariates are among the columns, after the effects."""

    def coefficient(self, at: int) -> float:
        """Return the coefficient of one column."""
        return float(self.coefficients[at])


def _least_squares(groups: list[tuple[Floats, Floats]], effects: int) -> _Fit | None:
    """Fit the columns of all problems; None where effects are alike or nothing is left over."""
    stacked = np.concatenate([x for x, _ in groups])
    codes, measured = stacked[:, :effects], stacked[:, effects:]
    squares = float(sum((y**2).sum() for _, y in groups))
    if np.linalg.matrix_rank(codes.T @ codes) < effects or squares <= 0:
        return None

    kept = independent(codes, measured)
    chosen = [*range(effects), *(effects + at for at in kept)]
    scales = np.sqrt((stacked[:, chosen] ** 2).mean(axis=0))
    scales[:effects] = 1.0  # theirs are alike, and what is fitted stays what it was
    scaled = [(x[:, chosen] / scales, y) for x, y in groups]
    bread = np.asarray(np.linalg.inv(sum(x.T @ x for x, _ in scaled)), dtype=np.float64)
    coefficients = bread @ sum(x.T @ y for x, y in scaled)
    fitted = [(x, y - x @ coefficients) for x, y in scaled]
    if sum(float((rest**2).sum()) for _, rest in fitted) <= _PERFECT * squares:
        return None

    return _Fit(coefficients, bread, fitted, scales, kept)


def _centred(
    sample: Sample, effects: list[Weights], covariates: Columns
) -> list[tuple[Floats, Floats]]:
    """Return codes and values of each problem less their means, which takes the dummies' place."""
    taking_part = [
        arm for arm in range(len(sample.arms)) if any(arm in effect for effect in effects)
    ]
    groups = []
    for problem in range(len(sample.problems)):
        rows, values = [], []
        for arm in taking_part:
            cell = sample.cell(arm, problem)
            row = [effect.get(arm, 0.0) for effect in effects]
            measured = covariates.cell(arm, problem, len(cell))
            rows.append(np.column_stack([np.tile(row, (len(cell), 1)), measured]))
            values.append(cell)

        x, y = np.concatenate(rows), np.concatenate(values)
        complete = ~np.isnan(x).any(axis=1)
        if complete.any():
            x, y = x[complete], y[complete]
            centred = x - x.mean(axis=0)
            beside = centred[:, len(effects) :]
            beside[np.abs(beside) <= _ROUNDING * np.abs(x[:, len(effects) :])] = 0.0
            groups.append((centred, y - y.mean()))

    return groups


def _cr1(at: int, fit: _Fit) -> ClusteredError:
    scores = np.array([x.T @ residual for x, residual in fit.groups])
    variance = (fit.bread @ (scores.T @ scores) @ fit.bread)[at, at]
    count = len(fit.groups)
    return _error(fit.coefficient(at), float(variance) * count / (count - 1), count - 1)


def _cr2(at: int, fit: _Fit) -> ClusteredError | None:
    """Adjust the residuals of each problem for how much they were fitted to.

    None where a single problem tells of the coefficient, or problems agree to the last digit: there
    is no error to estimate.
    """
    loads = []
    variance = 0.0
    for x, residual in fit.groups:
        rows = len(residual)
        kept = np.eye(rows) - 1 / rows - x @ fit.bread @ x.T
        load = _inverse_root(kept) @ x @ fit.bread[:, at]
        variance += float(load @ residual) ** 2
        loads.append(load)

    # Satterthwaite: the variance's own mean and variance where runs are independent and alike.
    projected = np.array([x.T @ load for (x, _), load in zip(fit.groups, loads, strict=True)])
    products = -projected @ fit.bread @ projected.T
    for place, load in enumerate(loads):
        rows = len(load)
        products[place, place] += float(load @ load) - float(load.sum()) ** 2 / rows

    trace, own = float(np.trace(products)), float(fit.bread[at, at])
    squares = sum(float((residual**2).sum()) for _, residual in fit.groups)
    if trace <= _SINGULAR * own or variance <= _PERFECT * own * squares:
        return None

    return _error(fit.coefficient(at), variance, trace**2 / float((products**2).sum()))


def _inverse_root(matrix: Floats) -> Floats:
    """Return the square root of a symmetric matrix's pseudo-inverse."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > _SINGULAR
    root: Floats = (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    return root


def _error(coefficient: float, variance: float, df: float) -> ClusteredError:
    se = float(np.sqrt(variance))
    return ClusteredError(se=se, df=df, p=t_two_sided(coefficient / se, df))

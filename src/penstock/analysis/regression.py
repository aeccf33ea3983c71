"""Regressions with problems as fixed effects, and errors that count a problem once.

Sources: K.-Y. Liang and S. L. Zeger, Biometrika 73 (1986), 13-22, for cluster-robust errors;
R. M. Bell and D. F. McCaffrey, Survey Methodology 28 (2002), 169-181, and J. E. Pustejovsky and
E. Tipton, Journal of Business & Economic Statistics 36 (2018), 672-683, for CR2 and its degrees of
freedom. No Python library has CR2, and the correction of those that have CR1 counts the problems'
dummies, which makes errors too wide by up to the square root of two.
"""

from __future__ import annotations

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
    if len(groups) <= 1:
        return {}

    stacked = np.concatenate([x for x, _ in groups])
    codes, measured = stacked[:, : len(effects)], stacked[:, len(effects) :]
    residual_scale = float(sum((y**2).sum() for _, y in groups))
    if np.linalg.matrix_rank(codes.T @ codes) < len(effects) or residual_scale <= 0:
        return {}

    kept = independent(codes, measured)
    chosen = [*range(len(effects)), *(len(effects) + at for at in kept)]
    scales = np.sqrt((stacked[:, chosen] ** 2).mean(axis=0))
    scales[: len(effects)] = 1.0  # theirs are alike, and what is fitted stays what it was
    scaled = [(x[:, chosen] / scales, y) for x, y in groups]
    bread = np.asarray(np.linalg.inv(sum(x.T @ x for x, _ in scaled)), dtype=np.float64)
    coefficients = bread @ sum(x.T @ y for x, y in scaled)
    fitted = [(x, y - x @ coefficients) for x, y in scaled]
    if sum(float((rest**2).sum()) for _, rest in fitted) <= _PERFECT * residual_scale:
        return {}

    beside = {
        covariates.names[at]: _covariate_effect(
            error, float(coefficients[place]), float(scales[place])
        )
        for place, at in enumerate(kept, start=len(effects))
        if (error := _cr2(place, fitted, bread, float(coefficients[place]))) is not None
    }
    found = {}
    for at, name in enumerate(effects):
        coefficient = float(coefficients[at])
        cr2 = _cr2(at, fitted, bread, coefficient)
        if cr2 is None:
            continue

        found[name] = Regression(
            coefficient=coefficient,
            n_problems=len(groups),
            n_runs=len(stacked),
            cr1=_cr1(at, fitted, bread, coefficient),
            cr2=cr2,
            interval=interval_of(coefficient, cr2.se, cr2.df),
            covariates=beside,
        )

    return found


def _covariate_effect(error: ClusteredError, coefficient: float, scale: float) -> CovariateEffect:
    own = error.model_copy(update={"se": error.se / scale})
    return CovariateEffect(coefficient=coefficient / scale, error=own)


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


def _cr1(
    at: int, fitted: list[tuple[Floats, Floats]], bread: Floats, coefficient: float
) -> ClusteredError:
    scores = np.array([x.T @ residual for x, residual in fitted])
    variance = (bread @ (scores.T @ scores) @ bread)[at, at]
    count = len(fitted)
    return _error(coefficient, float(variance) * count / (count - 1), count - 1)


def _cr2(
    at: int, fitted: list[tuple[Floats, Floats]], bread: Floats, coefficient: float
) -> ClusteredError | None:
    """Adjust the residuals of each problem for how much they were fitted to.

    None where a single problem tells of the coefficient, or problems agree to the last digit: there
    is no error to estimate.
    """
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

    trace, own = float(np.trace(products)), float(bread[at, at])
    squares = sum(float((residual**2).sum()) for _, residual in fitted)
    if trace <= _SINGULAR * own or variance <= _PERFECT * own * squares:
        return None

    return _error(coefficient, variance, trace**2 / float((products**2).sum()))


def _inverse_root(matrix: Floats) -> Floats:
    """Return the square root of a symmetric matrix's pseudo-inverse."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > _SINGULAR
    root: Floats = (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    return root


def _error(coefficient: float, variance: float, df: float) -> ClusteredError:
    se = float(np.sqrt(variance))
    return ClusteredError(se=se, df=df, p=t_two_sided(coefficient / se, df))

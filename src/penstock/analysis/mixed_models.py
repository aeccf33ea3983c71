"""Mixed models: effects where problems, and conditions within a problem, differ at random.

statsmodels fits such models too, but divides by variances that may be zero, as they are where
problems do not differ, and has no small-sample test. What is fitted here is smaller than what it
fits: each cell of a problem and an arm has one mean, so a study of any length is a table of cells.

Sources: N. M. Laird and J. H. Ware, Biometrics 38 (1982), 963-974; M. G. Kenward and J. H. Roger,
Biometrics 53 (1997), 983-997, for errors, degrees of freedom and p.
"""

from __future__ import annotations

from itertools import product
from math import log, pi, sqrt
from typing import NamedTuple

import numpy as np

from penstock._base.extras import load_extra
from penstock._base.fact import Fact
from penstock.analysis.contrasts import Weights
from penstock.analysis.covariates import NO_COLUMNS, Columns
from penstock.analysis.distributions import t_two_sided
from penstock.analysis.long_form import LongForm, long_form
from penstock.analysis.sample import Floats, Sample

__all__ = ["MixedModel", "fit_mixed_model"]

_STARTS = (0.05, 0.3, 1.0, 3.0)
"""Where the search begins at best, for the root of each variance as a share of replicates'."""

_NOTHING = 1e-12
"""A share of the outcome's variance that is rounding."""


class MixedModel(Fact):
    """An effect from a mixed model with a random intercept for each problem and each cell.

    ``random_effects: [problem_id]`` means ``(1|problem) + (1|problem:condition)``: with the first
    alone, replicates of a problem under a condition would count as independent.

    Args:
        coefficient: The effect.
        se: Its standard error, by generalised least squares at the estimated variances.
        adjusted_se: The same with Kenward and Roger's allowance for variances that are estimated.
        df: Degrees of freedom, by Kenward and Roger.
        p: The p value, two-sided, from the last two.
        log_likelihood: The restricted log-likelihood.
        problem: The variance between problems.
        problem_condition: That of a condition between problems; None where replicates do not tell
            it from the next, which holds both.
        replicate: That between replicates; None where replicates repeat each other.
        covariates: What it is adjusted for.
    """

    coefficient: float
    se: float
    adjusted_se: float
    df: float
    p: float
    log_likelihood: float
    problem: float
    problem_condition: float | None
    replicate: float | None
    covariates: tuple[str, ...] = ()


class _Cells(NamedTuple):
    """The cells of a study: a row for each problem, a column for each arm; 0 runs where empty.

    Random intercepts are the same for all runs of a cell, so runs tell only of the variance of
    replicates, and of covariates, how they differ within their cell.
    """

    means: Floats
    runs: Floats
    codes: Floats
    """The cells' means of the model's columns, shape (problems, arms, columns)."""

    crossed: Floats
    """Squares and products of the columns within cells, shape (columns, columns)."""

    products: Floats
    """Products of columns and values within cells, shape (columns,)."""

    squares: float
    """The sum of squares of values within cells."""

    @property
    def is_full(self) -> Floats:
        """Which cells have runs, as 0 and 1."""
        full: Floats = (self.runs > 0).astype(np.float64)
        return full

    def once(self) -> _Cells:
        """Return cells of one run each: runs that repeat each other tell nothing of replicates."""
        nothing = np.zeros_like(self.crossed)
        return self._replace(runs=self.is_full, crossed=nothing, products=nothing[0], squares=0.0)


class _Fit(NamedTuple):
    """A model at given variances of problems and cells, as shares of that of replicates."""

    deviance: float
    coefficients: Floats
    covariance: Floats
    replicate: float


def fit_mixed_model(
    sample: Sample, effects: dict[str, Weights], covariates: Columns = NO_COLUMNS
) -> dict[str, MixedModel]:
    """Fit a mixed model by restricted likelihood; none where nothing varies or it cannot be fitted.

    Args:
        sample: The scored runs.
        effects: The name of each effect -> arm -> its code.
        covariates: What it is adjusted for.
    """
    long = long_form(sample, effects, covariates)
    cells = _cells(long)
    if cells is None:
        return {}

    has_replicates = bool((cells.runs > 1).any())
    repeats = has_replicates and cells.squares <= _NOTHING * float((cells.means**2).sum())
    if repeats:
        cells = cells.once()

    tells_cells = has_replicates and not repeats
    if not tells_cells and _is_explained(cells):
        return {}

    shares = _most_likely(cells, tells_cells=tells_cells)
    fit = _fit(cells, *shares)
    if fit is None or fit.replicate <= 0:
        return {}

    problem, cell = (fit.replicate * share for share in shares)
    both = fit.replicate if repeats else None
    shared = {
        "log_likelihood": -fit.deviance / 2,
        "problem": problem,
        "problem_condition": cell if tells_cells else both,
        "replicate": None if repeats else fit.replicate,
    }
    found = {}
    small = _small_sample(cells, fit, (problem, cell), tells_cells=tells_cells)
    for at, name in enumerate(effects, start=1):
        coefficient, (adjusted_se, df) = float(fit.coefficients[at]), small[at]
        if df > 0:  # else too little is left to adjust its error with
            found[name] = MixedModel(
                coefficient=coefficient,
                se=sqrt(fit.covariance[at, at]),
                adjusted_se=adjusted_se,
                df=df,
                p=t_two_sided(coefficient / adjusted_se, df),
                covariates=long.covariates,
                **shared,
            )

    return found


def _cells(long: LongForm) -> _Cells | None:
    """Return the cells of runs; None where nothing varies or effects cannot be told apart."""
    if not long.varies or np.linalg.matrix_rank(long.codes) < long.codes.shape[1]:
        return None

    columns = long.codes.shape[1]
    problems, rows = np.unique(long.problems, return_inverse=True)
    arms, places = np.unique(long.arms, return_inverse=True)
    shape = len(problems), len(arms)
    runs, means, codes = np.zeros(shape), np.zeros(shape), np.zeros((*shape, columns))
    np.add.at(runs, (rows, places), 1)
    np.add.at(means, (rows, places), long.values)
    np.add.at(codes, (rows, places), long.codes)
    means /= np.maximum(runs, 1)
    codes /= np.maximum(runs, 1)[:, :, None]
    values, beside = long.values - means[rows, places], long.codes - codes[rows, places]
    return _Cells(means, runs, codes, beside.T @ beside, beside.T @ values, float(values @ values))


def _is_explained(cells: _Cells) -> bool:
    """Return whether problems and effects leave nothing of the cells' means to chance."""
    full = cells.is_full
    count = np.maximum(full.sum(axis=1, keepdims=True), 1)
    means = (cells.means - (cells.means * full).sum(axis=1, keepdims=True) / count)[full > 0]
    codes = cells.codes - (np.einsum("gi,gip->gp", full, cells.codes) / count)[:, None, :]
    rest = means - codes[full > 0] @ np.linalg.lstsq(codes[full > 0], means, rcond=None)[0]
    return float((rest**2).sum()) <= _NOTHING * float(((cells.means * full) ** 2).sum())


def _weights(cells: _Cells, problem: float, cell: float) -> Floats:
    """Return the inverse covariance of each problem's cell means, shape (problems, arms, arms)."""
    own = cells.is_full / (cell + 1 / np.maximum(cells.runs, 1))
    shrunk = problem / (1 + problem * own.sum(axis=1))
    weights: Floats = np.eye(own.shape[1]) * own[:, None, :]
    weights -= shrunk[:, None, None] * own[:, :, None] * own[:, None, :]
    return weights


def _fit(cells: _Cells, problem: float, cell: float) -> _Fit | None:
    """Return the best coefficients at given shares; None where they leave nothing unexplained."""
    weights = _weights(cells, problem, cell)
    weighted = np.einsum("gij,gjp->gip", weights, cells.codes)
    information = np.einsum("gip,giq->pq", cells.codes, weighted) + cells.crossed
    covariance = np.linalg.inv(information)
    score = np.einsum("gip,gi->p", weighted, cells.means) + cells.products
    coefficients = covariance @ score
    rest = cells.means - cells.codes @ coefficients
    squares = float(np.einsum("gi,gij,gj->", rest, weights, rest)) + cells.squares
    squares += float(coefficients @ (cells.crossed @ coefficients - 2 * cells.products))
    free = float(cells.runs.sum()) - cells.codes.shape[2]
    if free <= 0 or squares <= _NOTHING * float((cells.runs * cells.means**2).sum()):
        return None

    full = cells.is_full > 0
    own = cell + 1 / np.maximum(cells.runs, 1)
    spread = np.where(full, np.log(own) + np.log(np.maximum(cells.runs, 1)), 0.0).sum()
    spread += np.log1p(problem * np.where(full, 1 / own, 0.0).sum(axis=1)).sum()
    spread += np.linalg.slogdet(information)[1]
    replicate = squares / free
    deviance = float(spread) + free * (1 + log(2 * pi * replicate))
    return _Fit(deviance, coefficients, covariance * replicate, replicate)


def _most_likely(cells: _Cells, *, tells_cells: bool) -> tuple[float, float]:
    """Return the variances of problems and of cells, as shares of that of replicates."""
    optimize = load_extra("scipy.optimize", extra="analysis", what="a mixed model")

    def deviance(roots: Floats) -> float:
        fit = _fit(cells, roots[0] ** 2, roots[1] ** 2 if tells_cells else 0.0)
        return float("inf") if fit is None else fit.deviance

    best = min(product(_STARTS, _STARTS), key=lambda roots: deviance(np.array(roots)))
    for _ in range(2):  # a simplex that has collapsed too early is opened again
        best = optimize.minimize(
            deviance,
            best,
            method="Nelder-Mead",
            bounds=((0, None), (0, None)),
            options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 2000},
        ).x

    return float(best[0]) ** 2, float(best[1]) ** 2 if tells_cells else 0.0


def _small_sample(
    cells: _Cells, fit: _Fit, variances: tuple[float, float], *, tells_cells: bool
) -> list[tuple[float, float]]:
    """Return the adjusted error and the degrees of freedom of each coefficient.

    Both are 0 where too little is left to adjust it with: the adjusted variance is not above 0.

    The variances' own covariance comes from the expected information. For a single coefficient
    Kenward and Roger's test is a t test: its scale is 1, its degrees of freedom Satterthwaite's.
    """
    codes, full = cells.codes, cells.is_full
    _, arms, columns = codes.shape
    weights = _weights(cells, *(each / fit.replicate for each in variances)) / fit.replicate
    pair = full[:, :, None] * full[:, None, :]
    own = np.eye(arms) * full[:, None, :]
    parts = [pair, own, own / np.maximum(cells.runs, 1)[:, None, :]]
    if not tells_cells:
        del parts[1]

    turned = [weights @ part @ weights for part in parts]
    slopes = [-np.einsum("gip,gij,gjq->pq", codes, each, codes) for each in turned]
    slopes[-1] -= cells.crossed / fit.replicate**2  # of runs within their cells
    size = len(parts)
    information, curves = np.empty((size, size)), {}
    for i in range(size):
        for j in range(size):
            curve = np.einsum("gip,gij,gjq->pq", codes, turned[i] @ parts[j] @ weights, codes)
            if i == j == size - 1:
                curve += cells.crossed / fit.replicate**3

            curves[i, j] = curve
            information[i, j] = (
                np.einsum("gij,gji->", turned[i], parts[j])
                - 2 * np.trace(fit.covariance @ curve)
                + np.trace(fit.covariance @ slopes[i] @ fit.covariance @ slopes[j])
            ) / 2

    runs_within = float((np.maximum(cells.runs, 1) - 1).sum())
    information[-1, -1] += runs_within / (2 * fit.replicate**2)
    spread = np.linalg.pinv(information).astype(np.float64)
    bias = sum(
        spread[i, j] * (curves[i, j] - slopes[i] @ fit.covariance @ slopes[j])
        for i in range(size)
        for j in range(size)
    )
    adjusted = fit.covariance + 2 * fit.covariance @ bias @ fit.covariance
    return [_error(at, fit.covariance, adjusted, slopes, spread) for at in range(columns)]


def _error(
    at: int, covariance: Floats, adjusted: Floats, slopes: list[Floats], spread: Floats
) -> tuple[float, float]:
    gradient = np.array([-(covariance @ each @ covariance)[at, at] for each in slopes])
    uncertain, variance = float(gradient @ spread @ gradient), float(adjusted[at, at])
    if uncertain <= 0 or variance <= 0:
        return 0.0, 0.0

    return sqrt(variance), 2 * float(covariance[at, at]) ** 2 / uncertain

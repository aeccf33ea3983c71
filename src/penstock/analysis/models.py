"""Models that a plan may ask for beside the paired tests; statsmodels fits them.

Sources: N. M. Laird and J. H. Ware, Biometrics 38 (1982), 963-974, for mixed models;
K.-Y. Liang and S. L. Zeger, Biometrika 73 (1986), 13-22, for estimating equations.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from penstock._base.extras import load_extra
from penstock._base.fact import Fact
from penstock.analysis.contrasts import Weights
from penstock.analysis.covariates import NO_COLUMNS, Columns, independent
from penstock.analysis.distributions import normal_tail, t_two_sided
from penstock.analysis.sample import Floats, Sample

__all__ = ["EstimatingEquation", "MixedModel", "fit_estimating_equation", "fit_mixed_model"]


class MixedModel(Fact):
    """An effect from a mixed model with a random intercept for each problem and each cell.

    ``random_effects: [problem_id]`` means ``(1|problem) + (1|problem:condition)``: with the first
    alone, replicates of a problem under a condition would count as independent.

    Args:
        coefficient: The effect.
        se: Its standard error, by generalised least squares at the estimated variances.
        df: Degrees of freedom of the stratum that the effect is tested in.
        p: The p value, two-sided.
        log_likelihood: The restricted log-likelihood.
        problem: The variance between problems.
        problem_condition: That of a condition between problems.
        replicate: That between replicates.
        covariates: What it is adjusted for.
    """

    coefficient: float
    se: float
    df: float
    p: float
    log_likelihood: float
    problem: float
    problem_condition: float
    replicate: float
    covariates: tuple[str, ...] = ()


class EstimatingEquation(Fact):
    """An effect on the log-odds of an outcome of 0 and 1, problems exchangeable within.

    Args:
        coefficient: The logarithm of the odds ratio.
        se: Its robust standard error.
        p: The p value of Wald's test, two-sided.
        covariates: What it is adjusted for.
    """

    coefficient: float
    se: float
    p: float
    covariates: tuple[str, ...] = ()


class _Long(NamedTuple):
    """The scored runs of the arms that effects compare, a row each."""

    values: Floats
    codes: Floats
    """A constant, the code of each effect, then the covariates, centred and scaled."""

    problems: npt.NDArray[np.int_]
    arms: npt.NDArray[np.int_]
    covariates: tuple[str, ...]

    @property
    def varies(self) -> bool:
        """Whether there is anything to fit."""
        return len(np.unique(self.problems)) > 1 and float(self.values.std()) > 0


def _long(sample: Sample, effects: dict[str, Weights], covariates: Columns) -> _Long:
    taking_part = sorted({arm for effect in effects.values() for arm in effect})
    rows = [
        (float(value), [1.0, *(effect.get(arm, 0.0) for effect in effects.values())], problem, arm)
        for problem in range(len(sample.problems))
        for arm in taking_part
        for value in sample.cell(arm, problem)
    ]
    values, codes, problems, arms = map(
        np.array, zip(*rows, strict=True) if rows else ((), (), (), ())
    )
    measured = [
        covariates.cell(arm, problem, len(sample.cell(arm, problem)))
        for problem in range(len(sample.problems))
        for arm in taking_part
    ]
    if not covariates.names or not rows:
        return _Long(values, codes, problems, arms, ())

    beside = np.concatenate(measured)
    complete = ~np.isnan(beside).any(axis=1)
    beside = beside[complete] - beside[complete].mean(axis=0)
    kept = independent(codes[complete], beside)
    columns = beside[:, kept] / np.sqrt((beside[:, kept] ** 2).mean(axis=0))
    return _Long(
        values[complete],
        np.column_stack([codes[complete], columns]),
        problems[complete],
        arms[complete],
        tuple(covariates.names[at] for at in kept),
    )


def fit_mixed_model(
    sample: Sample, effects: dict[str, Weights], covariates: Columns = NO_COLUMNS
) -> dict[str, MixedModel]:
    """Fit a mixed model by restricted likelihood; none where nothing varies or it cannot be fitted.

    Args:
        sample: The scored runs.
        effects: The name of each effect -> arm -> its code.
        covariates: What it is adjusted for.
    """
    long = _long(sample, effects, covariates)
    if not long.varies:
        return {}

    mixed = load_extra(
        "statsmodels.regression.mixed_linear_model", extra="analysis", what="a mixed model"
    )
    known = np.unique(long.arms)
    cells = {
        problem: np.eye(len(known))[np.searchsorted(known, long.arms[long.problems == problem])]
        for problem in np.unique(long.problems)
    }
    names = [[f"arm {at}" for at in known]] * len(cells)
    structure = mixed.VCSpec(["cell"], [names], [list(cells.values())])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a variance at its bound is an answer, not a fault
        model = mixed.MixedLM(
            long.values,
            long.codes,
            groups=long.problems,
            exog_re=np.ones((len(long.values), 1)),
            exog_vc=structure,
        )
        fitted = _fitted(model)

    if fitted is None:
        return {}

    shared = {
        "log_likelihood": float(fitted.llf),
        "problem": float(fitted.cov_re[0, 0]),
        "problem_condition": float(fitted.vcomp[0]),
        "replicate": float(fitted.scale),
        "df": float((len(cells) - 1) * (len(known) - 1)),
    }
    named = {"covariates": long.covariates}
    coefficients, covariance = _generalised_least_squares(long, cells, shared)
    found = {}
    for at, name in enumerate(effects, start=1):
        coefficient, se = float(coefficients[at]), float(np.sqrt(covariance[at, at]))
        p = t_two_sided(coefficient / se, shared["df"])
        found[name] = MixedModel(coefficient=coefficient, se=se, p=p, **shared, **named)

    return found


def _fitted(model: Any) -> Any | None:
    """Fit a mixed model; None where neither way of fitting gets there.

    On its way a variance may become 0, of which one way cannot take the inverse and the other can.
    """
    ways = (
        {"method": "bfgs", "gtol": 1e-10},
        {"method": "powell", "xtol": 1e-12, "ftol": 1e-16},
    )
    fitted = None
    for way in ways:
        with suppress(np.linalg.LinAlgError):
            fitted = model.fit(reml=True, **way)

        if fitted is not None and fitted.converged:
            break

    return fitted


def _generalised_least_squares(
    long: _Long, cells: dict[Any, Floats], variances: dict[str, float]
) -> tuple[Floats, Floats]:
    """Return the coefficients and their covariance at the estimated variances.

    statsmodels' own errors come from the joint Hessian and differ where data are unbalanced.
    """
    information = np.zeros((long.codes.shape[1],) * 2)
    score = np.zeros(long.codes.shape[1])
    for problem, cell in cells.items():
        chosen = long.problems == problem
        covariance = (
            variances["replicate"] * np.eye(int(chosen.sum()))
            + variances["problem"]
            + variances["problem_condition"] * (cell @ cell.T)
        )
        weighted = np.linalg.solve(covariance, long.codes[chosen])
        information += long.codes[chosen].T @ weighted
        score += weighted.T @ long.values[chosen]

    inverse = np.asarray(np.linalg.inv(information), dtype=np.float64)
    return inverse @ score, inverse


def fit_estimating_equation(
    sample: Sample, effects: dict[str, Weights], covariates: Columns = NO_COLUMNS
) -> dict[str, EstimatingEquation]:
    """Fit a logistic estimating equation; none where the outcome does not vary in it.

    Args:
        sample: The scored runs; outcomes are 0 and 1.
        effects: The name of each effect -> arm -> its code.
        covariates: What it is adjusted for.
    """
    long = _long(sample, effects, covariates)
    shares = {float(long.values[long.arms == arm].mean()) for arm in np.unique(long.arms)}
    if not long.varies or shares & {0.0, 1.0}:
        return {}  # an odds ratio of nothing, or of everything, is infinite

    api = load_extra("statsmodels.api", extra="analysis", what="an estimating equation")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = api.GEE(
            long.values,
            long.codes,
            groups=long.problems,
            family=api.families.Binomial(),
            cov_struct=api.cov_struct.Exchangeable(),
        )
        fitted = model.fit(maxiter=200, ctol=1e-12)
        coefficients, errors = np.asarray(fitted.params), np.asarray(fitted.bse)

    if not np.isfinite(errors).all() or not errors.all():
        return {}  # too few problems, or such as repeat each other: there is no error to estimate

    return {
        name: EstimatingEquation(
            coefficient=float(coefficients[at]),
            se=float(errors[at]),
            p=2 * normal_tail(abs(float(coefficients[at] / errors[at]))),
            covariates=long.covariates,
        )
        for at, name in enumerate(effects, start=1)
    }

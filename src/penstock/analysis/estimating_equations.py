"""Estimating equations: effects on the log-odds of an outcome of 0 and 1; statsmodels fits them.

Source: K.-Y. Liang and S. L. Zeger, Biometrika 73 (1986), 13-22.
"""

from __future__ import annotations

import warnings

import numpy as np

from penstock._base.extras import load_extra
from penstock._base.fact import Fact
from penstock.analysis.contrasts import Weights
from penstock.analysis.covariates import NO_COLUMNS, Columns
from penstock.analysis.distributions import normal_tail
from penstock.analysis.long_form import long_form
from penstock.analysis.sample import Sample

__all__ = ["EstimatingEquation", "fit_estimating_equation"]


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


def fit_estimating_equation(
    sample: Sample, effects: dict[str, Weights], covariates: Columns = NO_COLUMNS
) -> dict[str, EstimatingEquation]:
    """Fit a logistic estimating equation; none where the outcome does not vary in it.

    Args:
        sample: The scored runs; outcomes are 0 and 1.
        effects: The name of each effect -> arm -> its code.
        covariates: What it is adjusted for.
    """
    long = long_form(sample, effects, covariates)
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

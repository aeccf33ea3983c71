from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from penstock.analysis.drift import drift_of
from penstock.analysis.sample import Sample
from tests.analysis.samples import sample_of


def drifting(slope: float, *, replicates: int = 4) -> Sample:
    """Six problems under two conditions whose values rise by so much from run to run."""
    rng = np.random.default_rng(2)
    found = sample_of(
        {tone: [[float(at)] * replicates for at in range(6)] for tone in ("plain", "polite")}
    )
    order = rng.permutation(len(found.runs))
    noise = rng.normal(scale=0.1, size=len(found.runs))
    runs = [
        run._replace(
            started_order=int(order[at]), value=run.value + slope * order[at] + float(noise[at])
        )
        for at, run in enumerate(found.runs)
    ]
    return Sample(found.arms, found.problems, runs)


def test_a_drift_is_the_slope_of_a_regression_with_a_constant_for_each_cell() -> None:
    sample = drifting(0.01)
    cells = sorted({(run.arm, run.problem) for run in sample.runs})
    rows: list[list[Any]] = [
        [run.started_order, *((run.arm, run.problem) == cell for cell in cells)]
        for run in sample.runs
    ]
    fitted = OLS([run.value for run in sample.runs], np.array(rows, dtype=float)).fit()

    (found,) = drift_of(sample, "score")

    assert (found.agent, found.n_runs) == ("all", 48)
    assert found.change == pytest.approx(47 * fitted.params[0])
    assert found.p == pytest.approx(fitted.pvalues[0])
    assert found.interval.low == pytest.approx(47 * fitted.conf_int()[0][0])


def test_hard_problems_that_were_run_late_are_no_drift() -> None:
    (found,) = drift_of(drifting(0.0), "score")

    assert found.p > 0.05


def test_one_replicate_does_not_tell() -> None:
    assert [*drift_of(drifting(0.01, replicates=1), "score")] == []

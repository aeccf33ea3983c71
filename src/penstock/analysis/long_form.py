"""The long form of a sample: a row for each scored run, which models are fitted to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from penstock.analysis.contrasts import Weights
from penstock.analysis.covariates import Columns, independent
from penstock.analysis.sample import Floats, Sample

__all__ = ["LongForm", "long_form"]


class LongForm(NamedTuple):
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


def long_form(sample: Sample, effects: dict[str, Weights], covariates: Columns) -> LongForm:
    """Return the scored runs that effects compare, without those that lack a covariate.

    Args:
        sample: The scored runs.
        effects: The name of each effect -> arm -> its code.
        covariates: What is adjusted for; left out where effects say the same already.
    """
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
        return LongForm(values, codes, problems, arms, ())

    beside = np.concatenate(measured)
    complete = ~np.isnan(beside).any(axis=1)
    beside = beside[complete] - beside[complete].mean(axis=0)
    kept = independent(codes[complete], beside)
    columns = beside[:, kept] / np.sqrt((beside[:, kept] ** 2).mean(axis=0))
    return LongForm(
        values[complete],
        np.column_stack([codes[complete], columns]),
        problems[complete],
        arms[complete],
        tuple(covariates.names[at] for at in kept),
    )

"""Covariates: what an analysis plan adjusts for, beside what was varied.

They enter the models as the plan declares them: numbers as they are, texts as one column for each
text but the first. What is the same in every run of a problem is taken up by the problems' own
constants in a regression, so it changes nothing there; mixed models and estimating equations have
no such constants, and it enters those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from penstock._base.fact import EMPTY, Fact
from penstock.analysis.sample import Floats, Run, Sample

__all__ = [
    "NO_COLUMNS",
    "Columns",
    "Covariate",
    "columns_of",
    "covariate_values",
    "covariates_of",
    "independent",
]

_MOST_TEXTS = 20
"""A covariate of more texts would take a column for each."""

_SINGULAR = 1e-9
"""A column of unit length that others leave less than this of says nothing new."""


class Covariate(Fact):
    """What a covariate is, and what became of it.

    Args:
        name: As the analysis plan names it.
        source: Where its values stand: ``varied`` (a factor or block), ``problem``, or ``run``.
        columns: What it is in the models: itself, or ``name=text`` for each text but the first.
        n_missing: Scored runs without a value; the models leave them out.
        note: What a reader has to know of it; empty where nothing.
    """

    name: str
    source: str
    columns: tuple[str, ...] = ()
    n_missing: int = 0
    note: str = ""


class Columns(NamedTuple):
    """The covariates of the scored runs, as columns of numbers."""

    names: tuple[str, ...]
    cells: Mapping[tuple[int, int], Floats]
    """Arm and problem -> a row for each scored run, in the order of `Sample.cell`."""

    def cell(self, arm: int, problem: int, count: int) -> Floats:
        """Return the rows of one problem in one arm, shape (count, columns)."""
        return self.cells[arm, problem] if self.names else np.empty((count, 0))


NO_COLUMNS = Columns((), {})


def covariate_values(
    names: Iterable[str],
    run: Mapping[str, Any],
    assigned: Mapping[str, Any],
    problem: Mapping[str, Any],
) -> Iterator[tuple[str, tuple[str, Any]]]:
    """Yield each covariate with where its value stands and the value, for one run.

    Args:
        names: The covariates, as an analysis plan names them.
        run: What the run recorded: its columns, metrics and scores.
        assigned: The factors and blocks of its condition.
        problem: The problem, as the study declares it.
    """
    for name in names:
        if name in assigned:
            yield name, ("varied", assigned[name])
        elif (found := _of_problem(name, problem)) is not None:
            yield name, ("problem", found)
        else:
            yield name, ("run", run.get(name))


def _of_problem(name: str, problem: Mapping[str, Any]) -> Any:
    """Return ``family``, or a field of the payload or the metadata, also by ``payload.field``."""
    payload, metadata = problem.get("payload", EMPTY), problem.get("metadata", EMPTY)
    first, _, rest = name.partition(".")
    places: list[tuple[Mapping[str, Any], str]] = [(payload, name), (metadata, name)]
    if first in ("payload", "metadata") and rest:
        places.append((problem.get(first, EMPTY), rest))
    elif name in ("family", "problem_family"):
        places.append((problem, "family"))

    return next((where[key] for where, key in places if where.get(key) is not None), None)


def covariates_of(sample: Sample) -> tuple[Covariate, ...]:
    """Return what the covariates of a sample are."""
    return tuple(_described(name, sample) for name in sample.covariates)


def columns_of(sample: Sample) -> Columns:
    """Return the covariates of a sample as columns of numbers: what is missing is not a number."""
    described = [each for each in covariates_of(sample) if each.columns]
    if not described:
        return NO_COLUMNS

    return Columns(
        tuple(column for each in described for column in each.columns),
        {
            (arm, problem): np.array(
                [
                    [number for each in described for number in _numbers(run, each)]
                    for run in sample.scored(arm, problem)
                ]
            ).reshape(-1, sum(len(each.columns) for each in described))
            for arm in range(len(sample.arms))
            for problem in range(len(sample.problems))
        },
    )


def independent(settled: Floats, candidates: Floats) -> list[int]:
    """Return which candidate columns say something that the columns before them do not.

    Args:
        settled: Columns that stand in the model already, shape (rows, columns).
        candidates: Those that may be added, shape (rows, columns).
    """
    basis = list(np.linalg.qr(settled)[0].T) if settled.shape[1] else []
    kept = []
    for at, column in enumerate(candidates.T):
        length = float(np.linalg.norm(column))
        rest = column / length if length > 0 else column
        for each in (*basis, *basis):  # twice, or rounding leaves some of it
            rest = rest - each * (each @ rest)

        left = float(np.linalg.norm(rest))
        if left > _SINGULAR:
            basis.append(rest / left)
            kept.append(at)

    return kept


def _described(name: str, sample: Sample) -> Covariate:
    scored = [run for run in sample.runs if isinstance(run.value, (int, float))]
    pairs = [run.covariates[name] for run in scored]
    source = pairs[0][0] if pairs else "run"
    if source == "varied" and name in sample.factors():
        columns_note = "it is varied itself: what compares its own levels is not adjusted for it"
    else:
        columns_note = _note(source)

    values = [value for _, value in pairs if _is_usable(source, value)]
    missing = len(scored) - len(values)
    if not values:
        return Covariate(name=name, source=source, note="no run has a value of it")

    texts = list(dict.fromkeys(str(each) for each in values))
    if all(_is_number(source, each) for each in values):
        columns: Sequence[str] = [name] if len(texts) > 1 else []
    elif len(texts) > _MOST_TEXTS:
        note = f"it has {len(texts):,} texts; a covariate is a number, or one of {_MOST_TEXTS}"
        return Covariate(name=name, source=source, n_missing=missing, note=note)
    else:
        columns = [f"{name}={text}" for text in texts[1:]]

    return Covariate(
        name=name,
        source=source,
        columns=tuple(columns),
        n_missing=missing,
        note=columns_note if columns else "it is the same in every run",
    )


def _note(source: str) -> str:
    if source == "problem":
        return "the same in every run of a problem, so that the pairing by problem holds it fixed"

    if source == "run":
        return "measured in the run itself, so it may carry part of what a condition does"

    return ""


def _is_usable(source: str, value: Any) -> bool:
    if isinstance(value, str):
        return source != "problem" or bool(value.strip())  # an empty cell of a table says nothing

    return isinstance(value, (bool, int)) or (isinstance(value, float) and bool(np.isfinite(value)))


def _is_number(source: str, value: Any) -> bool:
    """Return whether a value is a number, or is written as one in a field of a problem.

    In a table such as CSV every field is a text.
    """
    if not isinstance(value, str):
        return True

    try:
        return source == "problem" and bool(np.isfinite(float(value)))
    except ValueError:
        return False


def _numbers(run: Run, covariate: Covariate) -> Iterator[float]:
    source, value = run.covariates[covariate.name]
    for column in covariate.columns:
        if not _is_usable(source, value):
            yield float("nan")
        elif column == covariate.name:
            yield float(value)
        else:
            yield float(column == f"{covariate.name}={value}")

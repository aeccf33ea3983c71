"""Factorial designs: every combination of the factors' levels, in one order or another.

Source: R. A. Fisher, The Design of Experiments (1935); centre points and replicates as in
D. C. Montgomery, Design and Analysis of Experiments, 8th ed. (2012), chapter 6.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

from penstock.designs.design import WITH_CENTER, Design, finish, refuse_too_many
from penstock.study.conditions import DesignRow
from penstock.study.model import Study
from penstock.study.policies import DesignSpec

__all__ = [
    "CONSTRAINED_FACTORIAL",
    "FULL_FACTORIAL",
    "RANDOMIZED_BLOCK",
    "REPEATED_MEASURES",
    "full_factorial_rows",
    "repeated_measures_rows",
]


def full_factorial_rows(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    """Combine all levels, the last factor fastest."""
    refuse_too_many(spec, math.prod(len(factor.values()) for factor in study.factors))
    names = [factor.name for factor in study.factors]
    for values in itertools.product(*(factor.values() for factor in study.factors)):
        yield DesignRow(dict(zip(names, values, strict=True)))


FULL_FACTORIAL = Design(kind="full_factorial", rows=full_factorial_rows, honours=WITH_CENTER)

CONSTRAINED_FACTORIAL = replace(FULL_FACTORIAL, kind="constrained_factorial")

RANDOMIZED_BLOCK = replace(FULL_FACTORIAL, kind="randomized_block", implies={"randomize": True})
"""With ``block_randomization_key`` the levels of that block or factor stay together, each with its
own permutation; without it there is one permutation of the whole list."""


def repeated_measures_rows(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    """Combine all levels in one counterbalanced order, the same for every subject.

    The order is in the metadata, as ``within_subject_order``, so it is put in order here.
    """
    ordered = spec.model_copy(update={"counterbalance": True})
    rows = finish(study, ordered, FULL_FACTORIAL, full_factorial_rows(study, ordered))
    for index, row in enumerate(rows):
        metadata = {"within_subject_order": index, "design_kind": str(spec.kind)}
        yield row._replace(metadata=metadata)


REPEATED_MEASURES = Design(
    kind="repeated_measures",
    rows=repeated_measures_rows,
    options={"subject_factor": str},
    honours=WITH_CENTER,
    own=WITH_CENTER,
)
"""Without a subject factor; with one it is `williams.SUBJECTS`."""

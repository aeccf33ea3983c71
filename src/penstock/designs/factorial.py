"""Factorial designs: every combination of the factors' levels, in one order or another.

Source: R. A. Fisher, The Design of Experiments (1935); centre points and replicates as in
D. C. Montgomery, Design and Analysis of Experiments, 8th ed. (2012), chapter 6.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from penstock.designs.design_rows import (
    block_combinations,
    center_point,
    counterbalanced,
    shuffled_for,
)
from penstock.designs.williams import williams_rows
from penstock.study.conditions import DesignRow
from penstock.study.model import Study
from penstock.study.policies import DesignSpec

__all__ = ["full_factorial_rows", "randomized_block_rows", "repeated_measures_rows"]


def full_factorial_rows(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    """Combine all levels, the last factor fastest, and cross them with the blocks.

    ``replicates`` repeats each combination; ``center_points`` adds the centre of the numeric
    factors so often, in every block; ``counterbalance`` and then ``randomize`` order the list.
    """
    rows = list(_crossed(study, spec))
    if spec.counterbalance:
        rows = counterbalanced(rows)

    yield from shuffled_for(study, spec, rows) if spec.randomize else rows


def randomized_block_rows(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    """Combine all levels in random order.

    With ``block_randomization_key`` the levels of that block or factor stay together, each with
    its own permutation; without it, one permutation of the whole list.
    """
    return full_factorial_rows(study, spec.model_copy(update={"randomize": True}))


def repeated_measures_rows(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    """Combine all levels and number them: ``within_subject_order`` in the metadata.

    With ``options.subject_factor`` each subject gets all treatments in an order of its own, a row
    of a Williams square; without it there is one counterbalanced order for all.
    """
    if "subject_factor" in spec.options:
        yield from williams_rows(study, spec)
        return

    ordered = full_factorial_rows(study, spec.model_copy(update={"counterbalance": True}))
    for index, row in enumerate(ordered):
        metadata = {"within_subject_order": index, "design_kind": spec.kind.value}
        yield row._replace(metadata=metadata)


def _crossed(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    names = [factor.name for factor in study.factors]
    blocks = block_combinations(study)
    for values in itertools.product(*(factor.values() for factor in study.factors)):
        factors = dict(zip(names, values, strict=True))
        for block in blocks:
            yield DesignRow(factors, block, replicates=spec.replicates)

    if spec.center_points:
        # A factor's centre is the centre of its levels, however often each is combined.
        center = {
            factor.name: center_point([{factor.name: value} for value in factor.values()])[
                factor.name
            ]
            for factor in study.factors
        }
        for block in blocks:
            yield DesignRow(center, block, replicates=spec.center_points)

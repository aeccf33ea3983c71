"""Covering arrays: every pair of levels together at least once, in few rows.

Source: D. M. Cohen, S. R. Dalal, M. L. Fredman and G. C. Patton, IEEE Transactions on Software
Engineering 23 (1997), 437-444; the rows are allpairspy's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from penstock._base.extras import load_extra
from penstock.designs.design import Design
from penstock.designs.design_rows import admissible, block_combinations
from penstock.errors import ValidationError
from penstock.study.conditions import DesignRow
from penstock.study.model import Study
from penstock.study.policies import DesignSpec

__all__ = ["PAIRWISE", "pairwise_rows"]

_MOST_CANDIDATES = 50_000
_Cover = list[tuple[int, ...]]


def pairwise_rows(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    """Cover every pair of levels of two factors; under constraints, every pair that can occur.

    Rows that break a constraint are replaced, so that no pair is lost with them. Blocks are
    crossed with the rows; where a constraint names a block, each block has a cover of its own.

    Raises:
        ValidationError: there are constraints, and more than 50,000 combinations to hold them
            against.
    """
    levels = [factor.values() for factor in study.factors]
    if not levels:
        raise ValidationError(["A pairwise design needs at least one factor."])

    cover = _all_pairs([len(each) for each in levels])
    names = [factor.name for factor in study.factors]
    for block in block_combinations(study):
        for row in _admissible_cover(study, block, cover) if study.constraints else cover:
            values = [each[i] for each, i in zip(levels, row, strict=True)]
            factors = dict(zip(names, values, strict=True))
            metadata = {"design_kind": str(spec.kind)}
            yield DesignRow(factors, block, metadata)


PAIRWISE = Design(kind="pairwise", rows=pairwise_rows, needs="penstock[designs]")


def _all_pairs(sizes: Sequence[int]) -> _Cover:
    if len(sizes) == 1:
        return [(level,) for level in range(sizes[0])]

    pairs = load_extra("allpairspy", extra="designs", what="a pairwise design")
    return [tuple(row) for row in pairs.AllPairs([list(range(size)) for size in sizes])]


def _admissible_cover(study: Study, block: dict[str, Any], cover: _Cover) -> _Cover:
    """Keep the rows that may run and add the fewest that cover what the others covered."""
    sizes = [len(factor.values()) for factor in study.factors]
    if math.prod(sizes) > _MOST_CANDIDATES:
        count = f"{math.prod(sizes):,} combinations, more than {_MOST_CANDIDATES:,}"
        raise ValidationError(
            [f"A pairwise design under constraints tries every combination; there are {count}."]
        )

    names = [factor.name for factor in study.factors]
    places = list(itertools.product(*map(range, sizes)))
    combinations = itertools.product(*(factor.values() for factor in study.factors))
    rows = [DesignRow(dict(zip(names, each, strict=True)), block) for each in combinations]
    able = [place for place, may in zip(places, admissible(study, rows), strict=True) if may]
    may_run = set(able)
    kept = [row for row in cover if row in may_run]
    return kept + _greedy(able, kept, sizes)


def _greedy(able: _Cover, kept: _Cover, sizes: Sequence[int]) -> _Cover:
    """Add, as long as a pair is missing, the row that brings the most missing pairs."""
    offsets = np.cumsum([0, *sizes])[:-1]
    total = int(sum(sizes))
    columns = list(itertools.combinations(range(len(sizes)), 2)) or [(0, 0)]

    def pairs(rows: _Cover) -> Any:
        items = np.array(rows, dtype=np.int64).reshape(-1, len(sizes)) + offsets
        return np.stack([items[:, i] * total + items[:, j] for i, j in columns], axis=1)

    offered = pairs(able)
    missing = np.zeros(total * total, dtype=bool)
    missing[offered] = True
    missing[pairs(kept)] = False
    added = []
    while missing.any():
        best = int(missing[offered].sum(axis=1).argmax())
        missing[offered[best]] = False
        added.append(able[best])

    return added

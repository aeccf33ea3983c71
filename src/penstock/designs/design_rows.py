"""What is done with the rows of a design: their centre, their order, which of them may run."""

from __future__ import annotations

import itertools
import random
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from penstock.study.conditions import DesignRow, make_conditions
from penstock.study.identity import assignment_fingerprint, stable_json_dumps
from penstock.study.model import Study
from penstock.study.policies import DesignSpec

__all__ = [
    "Assignments",
    "admissible",
    "block_combinations",
    "center_point",
    "counterbalanced",
    "is_number",
    "numpy_generator",
    "shuffled",
    "shuffled_for",
]

Assignments = Mapping[str, Any]
_Row = TypeVar("_Row")


def is_number(value: Any) -> bool:
    """Return whether a level can be averaged: a number that is not a flag, nor too large."""
    is_numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_numeric and not (isinstance(value, int) and abs(value) > sys.float_info.max)


def admissible(study: Study, rows: Sequence[DesignRow]) -> list[bool]:
    """Return for each row whether the study's constraints let it run.

    Raises:
        ValidationError: constraints that cannot be evaluated.
    """
    made = {each.fingerprint: each.admissible for each in make_conditions(study, rows)}
    return [made[assignment_fingerprint(row.factors, row.blocks or {})] for row in rows]


def block_combinations(study: Study) -> list[dict[str, Any]]:
    """List every combination of the blocks' levels, the last block fastest."""
    names = [block.name for block in study.blocks]
    levels = itertools.product(*(block.levels for block in study.blocks))
    return [dict(zip(names, values, strict=True)) for values in levels]


def center_point(rows: Sequence[Assignments]) -> dict[str, Any]:
    """Return the centre of a design: numbers at mid-range, the rest at their commonest level.

    Of levels that are equally common, the one that is seen first.
    """
    return {name: _center([row[name] for row in rows]) for name in rows[0]}


def _center(column: Sequence[Any]) -> Any:
    if all(is_number(value) for value in column):
        return (min(column) + max(column)) / 2

    by_text = {stable_json_dumps(value): value for value in reversed(column)}
    return by_text[Counter(map(stable_json_dumps, column)).most_common(1)[0][0]]


def counterbalanced(rows: Sequence[_Row]) -> list[_Row]:
    """Interleave a list with its reverse: the even places forwards, then the odd ones back."""
    if len(rows) < 3:  # noqa: PLR2004 - two rows have no middle to interleave
        return list(rows)

    return [*rows[::2], *rows[1::2][::-1]]


def shuffled(
    rows: Iterable[_Row],
    seed: int,
    key: Callable[[_Row], Hashable] | None = None,
    *,
    independent: bool = True,
) -> list[_Row]:
    """Permute a list; with a key, equal keys stay together, groups as first seen.

    Each group has a permutation of its own, unless ``independent`` is false: then groups of one
    size share one, as older tools have it.
    """
    groups: dict[Hashable, list[_Row]] = {}
    for row in rows:
        groups.setdefault(key(row) if key else None, []).append(row)

    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    for group in groups.values():
        if not independent:
            rng.seed(seed)

        rng.shuffle(group)

    return [row for group in groups.values() for row in group]


def shuffled_for(
    study: Study, spec: DesignSpec, rows: Iterable[DesignRow], *, independent: bool = True
) -> list[DesignRow]:
    """Permute design rows by the study's seed, within `block_randomization_key` where given."""
    name = spec.block_randomization_key
    if name is None:
        return shuffled(rows, study.seed_policy.base_seed)

    def level(row: DesignRow) -> str:
        # A name that is neither is an error that `spec_errors` lists beside all others.
        return stable_json_dumps((row.blocks or {}).get(name, row.factors.get(name)))

    return shuffled(rows, study.seed_policy.base_seed, level, independent=independent)


def numpy_generator(seed: int) -> np.random.Generator:
    """Make numpy's generator from a study's seed, which may be negative."""
    return np.random.default_rng(seed % 2**64)

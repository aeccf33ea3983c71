"""What a kind of design is, and what is done with its rows once they are made.

A kind is a function from a study and its `DesignSpec` to rows, in a `Design` that says what it can
be told. `finish` does the rest, the same way for every kind: it repeats rows, adds centre points,
crosses rows with blocks, and puts them in order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock._base.fact import nothing
from penstock._base.frozen import frozen_json
from penstock.designs.design_rows import (
    block_combinations,
    center_point,
    counterbalanced,
    shuffled_for,
)
from penstock.errors import UnstableValueError, ValidationError
from penstock.study.conditions import DesignRow, row_errors
from penstock.study.model import Study
from penstock.study.policies import DesignSpec

__all__ = [
    "ANY",
    "MOST_ROWS",
    "ORDERED",
    "WITH_CENTER",
    "Design",
    "RowsFunction",
    "finish",
    "refuse_too_many",
]

MOST_ROWS = 1_000_000
"""A larger design would fill the memory before anything could be said of it."""

RowsFunction = Callable[[Study, DesignSpec], Iterable[DesignRow | Mapping[str, Any]]]
"""Makes the rows of a design: mappings from factor to value, or `DesignRow` with more than that."""

ANY = object
"""The type of an option that the rows function checks itself."""

ORDERED = frozenset({"replicates", "randomize", "counterbalance"})
"""What `finish` can do with any rows."""

WITH_CENTER = ORDERED | {"center_points"}
"""The same, for designs whose centre is a point that a study may run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """A kind of design: how its rows are made, and what it can be told.

    Args:
        kind: What a study calls it, in ``design_spec.kind``.
        rows: Makes the rows, in the order that the design gives them. A mapping names every factor.
        options: Name in `DesignSpec.options` -> its type: bool, int, str, Mapping, or object for
            any. ``n_samples`` and ``matrix_path`` may stand beside the options too.
        honours: Which of ``replicates``, ``randomize``, ``counterbalance`` and ``center_points`` a
            study may ask for; to ask for another is an error.
        own: Those of them that ``rows`` sees to, so that `finish` leaves them alone.
        implies: Fields of the `DesignSpec` that the kind itself decides.
        is_sample: Whether rows are points of the factors' space: they are repeated and shuffled
            as points, their centre is that of the points, and blocks come last. Otherwise a row is
            crossed with blocks, and its replicates are counted.
        needs: What installs the packages that ``rows`` imports, such as ``penstock[designs]``.
    """

    kind: str
    rows: RowsFunction
    options: Mapping[str, Any] = field(default_factory=nothing)
    honours: frozenset[str] = ORDERED
    own: frozenset[str] = frozenset()
    implies: Mapping[str, Any] = field(default_factory=nothing)
    is_sample: bool = False
    needs: str = ""

    def sees_to(self, spec: DesignSpec, name: str) -> bool:
        """Return whether `finish` has to do what a study asks for under a name."""
        return name in self.honours - self.own and bool(getattr(spec, name))


def finish(
    study: Study,
    spec: DesignSpec,
    design: Design,
    rows: Iterable[DesignRow | Mapping[str, Any]],
) -> list[DesignRow]:
    """Apply to a design's rows what the study asks for and the kind honours.

    Args:
        study: Whose blocks and seed they are.
        spec: What is asked for.
        design: The kind.
        rows: What its function made.

    Raises:
        ValidationError: rows that do not name the study's factors, or an empty sample.
    """
    finished = _finished_points if design.is_sample else _finished_rows
    return finished(study, spec, design, _checked(study, spec, rows))


def refuse_too_many(spec: DesignSpec, rows: int) -> None:
    """Refuse a design before it fills the memory.

    Raises:
        ValidationError: it has more than a million rows.
    """
    if rows > MOST_ROWS:
        what = f"A design of kind {spec.kind} would have {rows:,} rows or more"
        advice = "choose a fraction or a sample, or fewer levels, samples or replicates."
        raise ValidationError([f"{what}, and may have {MOST_ROWS:,}; {advice}"])


def _checked(
    study: Study, spec: DesignSpec, rows: Iterable[DesignRow | Mapping[str, Any]]
) -> list[DesignRow]:
    """Check rows against the study's factors, and freeze their values."""
    names = dict.fromkeys(factor.name for factor in study.factors)
    blocks = dict.fromkeys(block.name for block in study.blocks)
    made: list[DesignRow] = []
    errors: list[str] = []
    for number, given in enumerate(rows, start=1):
        refuse_too_many(spec, number)
        place = f"Design {spec.kind}: row {number}"
        row = _as_row(given, spec)
        if row is None:
            errors.append(f"{place}: must be a mapping or a DesignRow (got {given!r:.80})")
            continue

        if row.factors.keys() != names.keys():
            errors += row_errors(place, row.factors, names)

        if row.blocks is not None and row.blocks.keys() != blocks.keys():
            errors += row_errors(f"{place}, its blocks", row.blocks, blocks)

        try:
            made.append(row._replace(factors=frozen_json(row.factors, place)))
        except UnstableValueError as error:
            errors.append(str(error))

    if errors:
        raise ValidationError(errors)

    return made


def _as_row(given: Any, spec: DesignSpec) -> DesignRow | None:
    if isinstance(given, Mapping):
        return DesignRow(given, metadata={"design_kind": str(spec.kind)})

    return given if isinstance(given, DesignRow) else None


def _finished_rows(
    study: Study, spec: DesignSpec, design: Design, rows: Sequence[DesignRow]
) -> list[DesignRow]:
    """Cross rows with blocks, count replicates, add centres, counterbalance, shuffle."""
    refuse_too_many(spec, len(rows) * math.prod(len(block.levels) for block in study.blocks))
    blocks = block_combinations(study)
    count = spec.replicates if design.sees_to(spec, "replicates") else 1
    made = [
        DesignRow(row.factors, block, row.metadata, row.replicates * count)
        for row in rows
        for block in (blocks if row.blocks is None else (row.blocks,))
    ]
    if design.sees_to(spec, "center_points"):
        center = center_point([row.factors for row in rows])
        made += [DesignRow(center, block, replicates=spec.center_points) for block in blocks]

    if design.sees_to(spec, "counterbalance"):
        made = counterbalanced(made)

    return shuffled_for(study, spec, made) if design.sees_to(spec, "randomize") else made


def _finished_points(
    study: Study, spec: DesignSpec, design: Design, points: Sequence[DesignRow]
) -> list[DesignRow]:
    """Repeat points, add centres, shuffle, cross with blocks, counterbalance.

    This order is a contract; so is that the groups of a factor named by `block_randomization_key`
    share a permutation. Those of a block do not.
    """
    if not points:
        raise ValidationError([f"A design of kind {spec.kind} needs at least one factor."])

    blocks = math.prod(len(block.levels) for block in study.blocks)
    refuse_too_many(spec, (len(points) * spec.replicates + spec.center_points) * blocks)
    drawn = [*points] * (spec.replicates if design.sees_to(spec, "replicates") else 1)
    if design.sees_to(spec, "center_points"):
        center = DesignRow(center_point([row.factors for row in drawn]))
        drawn += [center] * spec.center_points

    shuffles = design.sees_to(spec, "randomize")
    by_block = spec.block_randomization_key in {block.name for block in study.blocks}
    if shuffles and not by_block:
        drawn = shuffled_for(study, spec, drawn, independent=False)

    crossed = [
        DesignRow(row.factors, block, {"design_kind": str(spec.kind), "row_index": index})
        for index, row in enumerate(drawn)
        for block in block_combinations(study)
    ]
    if shuffles and by_block:
        crossed = shuffled_for(study, spec, crossed)

    return counterbalanced(crossed) if design.sees_to(spec, "counterbalance") else crossed

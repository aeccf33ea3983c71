"""Designs without a study: rows of factors, how balanced they are, and schedules of runs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from penstock.designs.describe import design_balance_report
from penstock.designs.design_rows import center_point, is_number, shuffled
from penstock.designs.fractions import fractional_factorial_2level
from penstock.designs.space import latin_hypercube
from penstock.errors import ValidationError
from penstock.study.identity import stable_json_dumps

__all__ = [
    "ScheduledRun",
    "append_center_points",
    "balanced_randomization_schedule",
    "full_factorial",
    "generate_doe",
    "randomize_runs",
]

_KINDS = {
    "full": "full_factorial",
    "lhs": "latin_hypercube",
    "frac2": "fractional_factorial_2level",
}
_IMBALANCED = 2
_BOUNDS = 2


class ScheduledRun(NamedTuple):
    """One place of a schedule: what runs, in which replicate (from 1), at which place (from 0)."""

    item: str
    replicate: int
    position: int


def generate_doe(
    *,
    kind: str,
    factors: Mapping[str, Any],
    n_samples: int | None = None,
    seed: int = 0,
    center_points: int = 0,
    replicates: int = 1,
    block_randomization_key: str | None = None,
    backend: str = "stdlib",
    resolution: str | int = "III",
    randomize: bool = True,
) -> dict[str, Any]:
    """Make the rows of a design, with a summary of its ranges and balance.

    Args:
        kind: ``full``, ``lhs`` or ``frac2``, or the long name of one of them.
        factors: Name -> levels (``full``), (low, high) (``lhs``), or anything (``frac2``, whose
            rows are coded -1 and +1).
        n_samples: Points of a Latin hypercube.
        seed: Of the points and of the order.
        center_points: Rows at the centre, appended after replication.
        replicates: How often the whole design is repeated.
        block_randomization_key: The column within whose values rows are shuffled, each group in
            an order of its own.
        backend: As in `latin_hypercube` and `fractional_factorial_2level`.
        resolution: As in `fractional_factorial_2level`.
        randomize: Whether rows are shuffled.

    Returns:
        ``design`` (rows), ``summary`` (n_runs, factors, ranges, design_kind, backend, balance),
        ``interpretation`` (a sentence) and ``warnings`` (factors whose commonest level is more
        than twice as common as the rarest).

    Raises:
        ValidationError: everything that is wrong with the arguments.
    """
    name = _KINDS.get(kind, kind)
    errors = list(_argument_errors(name, n_samples, center_points, replicates))
    if errors:
        raise ValidationError(errors)

    if name == "full_factorial":
        rows: Sequence[Mapping[str, Any]] = full_factorial(factors)
    elif name == "latin_hypercube":
        rows = latin_hypercube(n_samples or 0, _ranges(factors), seed=seed, backend=backend)
    else:
        rows = fractional_factorial_2level(list(factors), resolution=resolution, backend=backend)

    design = append_center_points([*rows] * replicates, center_points=center_points)
    if randomize:
        design = randomize_runs(design, seed, block=block_randomization_key, independent=True)

    return _reported(design, list(factors), name, backend)


def full_factorial(factors: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Combine all levels of all factors, the last factor fastest; of no factors, no rows."""
    errors = []
    for name, levels in factors.items():
        if isinstance(levels, (str, bytes)) or not isinstance(levels, Sequence):
            text = "Full-factorial factor definitions must be lists of levels"
            errors.append(f"{text}; '{name}' is {levels!r}.")
        elif not levels:
            errors.append(f"Factor '{name}' must have at least one level.")

    if errors:
        raise ValidationError(errors)

    if not factors:
        return []

    return [
        dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())
    ]


def append_center_points(
    rows: Sequence[Mapping[str, Any]], *, center_points: int
) -> list[dict[str, Any]]:
    """Add rows at the centre: numbers at mid-range, other columns at their commonest level."""
    if center_points and not rows:
        raise ValidationError(["Cannot append center points to an empty design."])

    centers = [center_point(rows) for _ in range(center_points)]
    return [*(dict(row) for row in rows), *centers]


def randomize_runs(
    rows: Sequence[Mapping[str, Any]],
    seed: int = 0,
    *,
    block: str | None = None,
    independent: bool = False,
) -> list[dict[str, Any]]:
    """Shuffle rows, within the values of a column where one is given, groups as first seen.

    Args:
        rows: The rows of a design.
        seed: Of the order.
        block: The column whose equal values stay together.
        independent: Whether each group has a permutation of its own; otherwise groups of equal
            size have the same one, which confounds place with treatment.
    """
    if block is None:
        return [dict(row) for row in shuffled(rows, seed)]

    if not all(block in row for row in rows):
        raise ValidationError([f"Block column '{block}' not present in all design rows."])

    ordered = shuffled(
        rows, seed, lambda row: stable_json_dumps(row[block]), independent=independent
    )
    return [dict(row) for row in ordered]


def balanced_randomization_schedule(
    items: Sequence[str], replicates: int, *, seed: int = 0
) -> list[ScheduledRun]:
    """Order items in every replicate such that each takes each place about equally often.

    One shuffled order, turned by one place from replicate to replicate: over as many replicates
    as there are items, every item has every place once.
    """
    if replicates < 1:
        raise ValidationError(["replicates must be positive."])

    order = shuffled(items, seed)
    return [
        ScheduledRun(order[(place + turn) % len(order)], turn + 1, place)
        for turn in range(replicates)
        for place in range(len(order))
    ]


def _argument_errors(
    name: str, n_samples: int | None, center_points: int, replicates: int
) -> list[str]:
    wrong = {
        "replicates must be positive.": replicates < 1,
        "center_points must be non-negative.": center_points < 0,
        "n_samples is required for latin-hypercube DOE generation.": (
            name == "latin_hypercube" and n_samples is None
        ),
        f"kind must be one of: {', '.join(_KINDS)}": name not in _KINDS.values(),
    }
    return [message for message, is_wrong in wrong.items() if is_wrong]


def _ranges(factors: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    errors, ranges = [], {}
    for name, given in factors.items():
        if isinstance(given, (list, tuple)) and len(given) > 1 and all(map(is_number, given)):
            # Two numbers are bounds, to be refused where they are reversed; more are levels.
            low, high = given if len(given) == _BOUNDS else (min(given), max(given))
            ranges[name] = (float(low), float(high))
        else:
            errors.append(
                f"Latin-hypercube factor definitions must be [low, high]; '{name}' is {given!r}."
            )

    if errors:
        raise ValidationError(errors)

    return ranges


def _reported(
    design: list[dict[str, Any]], names: list[str], kind: str, backend: str
) -> dict[str, Any]:
    columns = {name: [row[name] for row in design] for name in names if design}
    balance = design_balance_report(design)
    return {
        "design": design,
        "summary": {
            "n_runs": len(design),
            "factors": names,
            "ranges": {
                name: [float(min(column)), float(max(column))]
                for name, column in columns.items()
                if all(map(is_number, column))
            },
            "design_kind": kind,
            "backend": backend,
            "balance": balance,
        },
        "interpretation": (
            f"Generated a {kind} DOE with {len(design)} runs across {len(names)} factors. "
            "The summary includes numeric ranges and balance diagnostics for quick quality checks."
        ),
        "warnings": [
            f"Factor '{name}' appears imbalanced (max/min ratio > {_IMBALANCED})."
            for name, each in balance.items()
            if each["max_to_min_ratio"] > _IMBALANCED
        ],
    }

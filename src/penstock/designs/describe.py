"""Describe a design: its size, its balance, and what it confounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.designs.aliases import alias_structure
from penstock.designs.registry import build_design
from penstock.study.conditions import Condition
from penstock.study.identity import stable_json_dumps
from penstock.study.model import Study

__all__ = ["describe_design", "design_balance_report"]

_TWO = 2
_MOST_FACTORS = 40


def describe_design(study: Study, conditions: Sequence[Condition] | None = None) -> dict[str, Any]:
    """Describe a design to a reader of the results, as plain values.

    Args:
        study: The declared study.
        conditions: Conditions that are used in place of those the study's design makes.

    Returns:
        ``kind``, ``seed`` and ``design_spec``; ``conditions``, ``admissible`` and ``rows`` (the
        admissible ones, each as often as it is replicated); ``balance``, factor or block -> the
        number of its levels and how much commoner the commonest is than the rarest; and
        ``alias_structure`` of the factors that take exactly two levels, as `alias_structure`
        gives it: of the rows that may run, so holes that constraints leave are in it.

    Raises:
        ValidationError: the design cannot be built.
    """
    made = build_design(study) if conditions is None else conditions
    admissible = [condition for condition in made if condition.admissible]
    rows = [
        {**condition.block_assignments, **condition.factor_assignments}
        for condition in admissible
        for _ in range(condition.replicates)
    ]
    columns = _two_level_columns(study, rows)
    spec = study.design_spec
    return {
        "kind": str(spec.kind),
        "seed": study.seed_policy.base_seed,
        "design_spec": spec.model_dump(mode="json"),
        "conditions": len(made),
        "admissible": len(admissible),
        "rows": len(rows),
        "balance": design_balance_report(rows),
        "alias_structure": alias_structure(columns) if columns else None,
    }


def _two_level_columns(
    study: Study, rows: Sequence[Mapping[str, Any]]
) -> dict[str, list[float]] | None:
    """Code the factors of two levels; rows at a centre are left out, they are of neither."""
    signs = {
        factor.name: dict(zip(map(stable_json_dumps, factor.values()), (-1.0, 1.0), strict=True))
        for factor in study.factors
        if len(factor.values()) == _TWO
    }
    columns: dict[str, list[float]] = {name: [] for name in signs}
    for row in rows:
        coded = {
            name: levels.get(stable_json_dumps(row.get(name))) for name, levels in signs.items()
        }
        if None not in coded.values():
            for name, sign in coded.items():
                columns[name].append(float(sign or 0))

    varied = {name: column for name, column in columns.items() if len(set(column)) == _TWO}
    return varied if _TWO <= len(varied) <= _MOST_FACTORS else None


def design_balance_report(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Count the levels of each column, and how much commoner the commonest is than the rarest."""
    report = {}
    for name in rows[0] if rows else ():
        counts = Counter(stable_json_dumps(row[name]) for row in rows).values()
        report[name] = {
            "n_levels": float(len(counts)),
            "max_to_min_ratio": max(counts) / min(counts),
        }

    return report

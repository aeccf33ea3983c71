"""Designs: how the levels of factors are combined into conditions.

A design is a function from a study to rows. Every kind honours ``randomize`` and
``counterbalance``, which order the *list* of conditions; the order in which runs are *started* is
the study's ``run_order``.
"""

from __future__ import annotations

import csv
import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from penstock.errors import ValidationError
from penstock.study.conditions import Condition, DesignRow, make_conditions
from penstock.study.identity import stable_json_dumps
from penstock.study.model import Study
from penstock.study.policies import DesignKind, DesignSpec

__all__ = ["build_design"]


def build_design(study: Study, design_spec: DesignSpec | None = None) -> list[Condition]:
    """List the conditions of a study, inadmissible ones included.

    Args:
        study: The declared study.
        design_spec: A design to use in place of the study's own.

    Raises:
        ValidationError: the design cannot be built from these factors and options.
    """
    spec = design_spec or study.design_spec
    conditions = make_conditions(study, _DESIGNS[spec.kind](study, spec))
    if spec.counterbalance:
        conditions = _counterbalanced(conditions)

    if spec.randomize:
        random.Random(study.seed_policy.base_seed).shuffle(conditions)  # noqa: S311

    return conditions


def _full_factorial(study: Study, _spec: DesignSpec) -> Iterator[DesignRow]:
    factor_names = [factor.name for factor in study.factors]
    block_names = [block.name for block in study.blocks]
    blocks = [
        dict(zip(block_names, levels, strict=True))
        for levels in itertools.product(*(block.levels for block in study.blocks))
    ]
    for values in itertools.product(*(factor.values() for factor in study.factors)):
        for block in blocks:
            yield DesignRow(dict(zip(factor_names, values, strict=True)), block)


def _counterbalanced(conditions: list[Condition]) -> list[Condition]:
    if len(conditions) < 3:  # noqa: PLR2004 - two conditions have no middle to interleave
        return conditions

    return conditions[::2] + conditions[1::2][::-1]


def _custom_matrix(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    path = _matrix_path(study, spec)
    columns = {factor.name: _Levels(factor.values()) for factor in study.factors}
    columns |= {block.name: _Levels(block.levels) for block in study.blocks}
    errors: list[str] = []
    rows: list[dict[str, Any]] = []
    for number, raw in enumerate(_read_matrix(path), start=1):
        unknown = [name for name in raw if name not in columns]
        missing = [name for name in columns if name not in raw]
        errors += [f"{path}: row {number}: no factor or block is named {n!r}" for n in unknown]
        errors += [f"{path}: row {number}: no value for {name!r}" for name in missing]
        row = {}
        for name in columns.keys() & raw.keys():
            try:
                row[name] = columns[name].level(raw[name], typed=path.suffix == ".json")
            except ValueError as error:
                errors.append(f"{path}: row {number}: {name}: {error}")

        rows.append(row)

    if errors:
        raise ValidationError(errors)

    for index, row in enumerate(rows):
        yield DesignRow(
            {factor.name: row[factor.name] for factor in study.factors},
            {block.name: row[block.name] for block in study.blocks},
            {"design_kind": spec.kind.value, "matrix_row": index},
        )


def _matrix_path(study: Study, spec: DesignSpec) -> Path:
    named = spec.matrix_path or spec.options.get("matrix_path")
    if not named:
        raise ValidationError(["Custom design matrix requires `matrix_path`."])

    path = study.resolve(named)
    if not path.is_file():
        raise ValidationError([f"Custom design matrix file not found: {path}"])

    if path.suffix not in {".json", ".csv"}:
        raise ValidationError(["Custom matrix format must be .json or .csv."])

    return path


def _read_matrix(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file)) if path.suffix == ".csv" else json.load(file)
    except (csv.Error, ValueError) as error:
        raise ValidationError([f"{path} cannot be read: {error}"]) from error

    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValidationError(["Custom matrix JSON must contain a list of row objects."])

    return rows


class _Levels:
    """The declared levels of one column; a cell of text is taken for the level it spells."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._exact = {stable_json_dumps(value): value for value in values}
        self._spelt = {
            value if isinstance(value, str) else stable_json_dumps(value): value
            for value in reversed(values)
        }
        self._spelt |= {str(value): value for value in values if isinstance(value, bool)}

    def level(self, cell: Any, *, typed: bool) -> Any:
        known = self._exact if typed else self._spelt
        key = stable_json_dumps(cell) if typed else cell
        if key in known:
            return known[key]

        raise ValueError(f"{cell!r} is not a declared level; levels: {', '.join(self._exact)}")


_DESIGNS: dict[DesignKind, Callable[[Study, DesignSpec], Iterator[DesignRow]]] = {
    DesignKind.FULL_FACTORIAL: _full_factorial,
    DesignKind.CONSTRAINED_FACTORIAL: _full_factorial,
    DesignKind.CUSTOM_MATRIX: _custom_matrix,
}

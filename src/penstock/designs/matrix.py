"""Custom matrices: the rows of a design as somebody else has made them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from penstock.designs.design_rows import counterbalanced, shuffled_for
from penstock.errors import ValidationError
from penstock.study.conditions import DesignRow
from penstock.study.identity import stable_json_dumps
from penstock.study.model import Study
from penstock.study.policies import DesignSpec

__all__ = ["custom_matrix_rows"]


def custom_matrix_rows(study: Study, spec: DesignSpec) -> Iterator[DesignRow]:
    """Read the rows of a design from a ``.json`` or ``.csv`` file beside the study file.

    Each row names every factor and every block; a cell of a CSV file takes the type of the
    declared level that it spells. ``replicates`` repeats the rows; ``counterbalance`` and then
    ``randomize`` order them.

    Raises:
        ValidationError: every cell that is no declared level, and every name that is missing or
            not declared, each with its row.
    """
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

    made = [
        DesignRow(
            {factor.name: row[factor.name] for factor in study.factors},
            {block.name: row[block.name] for block in study.blocks},
            {"design_kind": spec.kind.value, "matrix_row": index},
            spec.replicates,
        )
        for index, row in enumerate(rows)
    ]
    if spec.counterbalance:
        made = counterbalanced(made)

    yield from shuffled_for(study, spec, made) if spec.randomize else made


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

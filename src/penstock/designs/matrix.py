"""Custom matrices: the rows of a design as somebody else has made them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penstock._base.parsing import RowError, csv_rows, read_json
from penstock.designs.design import Design
from penstock.errors import ValidationError
from penstock.study.conditions import DesignRow, row_errors
from penstock.study.identity import stable_json_dumps
from penstock.study.model import Study
from penstock.study.policies import DesignSpec

__all__ = ["CUSTOM_MATRIX", "custom_matrix_rows"]


def custom_matrix_rows(study: Study, spec: DesignSpec) -> list[DesignRow]:
    """Read the rows of a design from a ``.json`` or ``.csv`` file beside the study file.

    Each row names every factor and every block; a cell of a CSV file takes the type of the
    declared level that it spells.

    Raises:
        ValidationError: every cell that is not a declared level, and every name that is missing or
            not declared, each with its row.
    """
    path = _matrix_path(study, spec)
    columns = {factor.name: _Levels(factor.values()) for factor in study.factors}
    columns |= {block.name: _Levels(block.levels) for block in study.blocks}
    errors: list[str] = []
    rows: list[dict[str, Any]] = []
    for number, raw in enumerate(_read_matrix(path), start=1):
        errors += row_errors(f"{path}: row {number}", raw, columns)
        row = {}
        for name in columns.keys() & raw.keys():
            try:
                row[name] = columns[name].level(raw[name], typed=path.suffix == ".json")
            except ValueError as error:
                errors.append(f"{path}: row {number}: {name}: {error}")

        rows.append(row)

    if errors:
        raise ValidationError(errors)

    return [
        DesignRow(
            {factor.name: row[factor.name] for factor in study.factors},
            {block.name: row[block.name] for block in study.blocks},
            {"design_kind": str(spec.kind), "matrix_row": index},
        )
        for index, row in enumerate(rows)
    ]


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
            if path.suffix == ".csv":
                return [cells for _, cells in csv_rows(file)]

            rows = read_json(file.read())
    except RowError as error:
        raise ValidationError([f"{path}, line {error.line}: {error}"]) from error
    except (ValueError, RecursionError) as error:
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


CUSTOM_MATRIX = Design(kind="custom_matrix", rows=custom_matrix_rows, options={"matrix_path": str})

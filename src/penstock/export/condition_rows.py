"""``conditions.csv``: of a study that was run, from its store, or of one that was only planned."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock._base.json import decode
from penstock.errors import ForeignDirectoryError
from penstock.export.tables import plain_cell, write_csv
from penstock.store import STORE_FILE
from penstock.store.continuing.declaration_rows import condition_row
from penstock.store.files.ownership import refuse_foreign
from penstock.store.reader import StoreReader
from penstock.study.conditions import Condition
from penstock.study.model import Study

__all__ = ["CONDITION_COLUMNS", "condition_table", "materialize_design", "write_conditions"]

CONDITION_COLUMNS = (
    "study_id",
    "condition_id",
    "admissible",
    "constraint_messages",
    "assignment_meta_json",
)
"""The columns of ``conditions.csv`` before those of factors and blocks."""


def write_conditions(
    path: Path, store: StoreReader, cell: Callable[[Any], Any] = plain_cell
) -> None:
    """Write the conditions of a store in design order, one column for each factor and block.

    Args:
        path: The file.
        store: Where the conditions are.
        cell: Writes the level that a condition assigns; a factor it does not assign is empty.
    """
    write_csv(path, *condition_table(store, cell))


def condition_table(
    store: StoreReader, cell: Callable[[Any], Any] | None = None, unassigned: Any = ""
) -> tuple[list[str], Iterator[list[Any]]]:
    """Return the header and the rows of the conditions of a store, in design order.

    Args:
        store: Where the conditions are.
        cell: Makes the cell of a level; without it a level is its own cell.
        unassigned: The cell of a factor that a condition does not assign.
    """
    rows = map(dict, store.rows("SELECT * FROM conditions"))
    return _table(store.definition(), rows, cell or _as_it_is, unassigned)


def materialize_design(study: Study, conditions: Sequence[Condition], path: Path) -> None:
    """Write the conditions of a study that need not have run, as its export would write them.

    Args:
        study: The study.
        conditions: Its conditions, in design order.
        path: The file.

    Raises:
        ForeignDirectoryError: the file is another study's, or belongs to results of this one that
            were made with other conditions; or its folder is the output directory and holds
            what is not the study's.
    """
    header, rows = _table(study.to_dict(problems=False), _rows(study, conditions), plain_cell)
    table = [[*row] for row in rows]
    _refuse_others(path, study, {str(row[1]) for row in table})
    if path.parent == study.resolve(study.output_dir or "."):
        refuse_foreign(path.parent, study.study_id)  # a run would be refused there too

    path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(path, header, table)


def _rows(study: Study, conditions: Iterable[Condition]) -> Iterator[Mapping[str, Any]]:
    names = ("condition_id", "admissible", "constraint_messages", "factors", "blocks")
    for condition in conditions:
        _, *cells = condition_row(0, condition)
        yield {
            "study_id": study.study_id,
            **dict(zip((*names, "assignment_meta_json"), cells, strict=True)),
        }


def _table(
    definition: Mapping[str, Any],
    rows: Iterable[Mapping[str, Any]],
    cell: Callable[[Any], Any],
    unassigned: Any = "",
) -> tuple[list[str], Iterator[list[Any]]]:
    factors = [factor["name"] for factor in definition["factors"]]
    blocks = [block["name"] for block in definition["blocks"]]

    def lines() -> Iterator[list[Any]]:
        for row in rows:
            assigned, blocked = decode(row["factors"]), decode(row["blocks"])
            yield [
                row["study_id"],
                row["condition_id"],
                bool(row["admissible"]),
                row["constraint_messages"],
                row["assignment_meta_json"],
                *(cell(assigned[name]) if name in assigned else unassigned for name in factors),
                *(cell(blocked[name]) if name in blocked else unassigned for name in blocks),
            ]

    return [*CONDITION_COLUMNS, *factors, *(f"block_{name}" for name in blocks)], lines()


def _as_it_is(level: Any) -> Any:
    return level


def _refuse_others(path: Path, study: Study, condition_ids: set[str]) -> None:
    advice = "write elsewhere (--output), or move it away"
    if not path.exists():
        return

    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        known = list(csv.DictReader(file))

    owners = {row.get("study_id") for row in known}
    if owners != {study.study_id}:
        owner = ", ".join(sorted(map(repr, owners))) or "nobody that it names"
        raise ForeignDirectoryError(
            f"{path} belongs to {owner}, not to {study.study_id!r}; {advice}"
        )

    if _has_results(path.parent) and {row.get("condition_id") for row in known} != condition_ids:
        raise ForeignDirectoryError(
            f"{path} holds the conditions that the results beside it were made with, which are "
            f"not those of the study as it is now; {advice}"
        )


def _has_results(directory: Path) -> bool:
    return any((directory / name).exists() for name in (STORE_FILE, "runs.csv"))

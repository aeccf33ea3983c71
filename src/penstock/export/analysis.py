"""The part of a study that statistics can be done on: the folder ``analysis`` beside the tables.

It has the layout of the study's directory, so that what reads the one reads the other, and holds
the runs that succeeded; where the study's primary outcome is a number in any of them, those in
which it is one. ``excluded.csv`` lists every other run and why it is missing: whether it may be
left out is for the analyst to say. Nothing else differs but how some values are written, for
readers that stop at what they cannot read:

- true and false as 1 and 0, where a number is expected;
- a level that is null or empty text as ``null`` or ``""``, since an empty cell means no level;
- a metric of several evaluators as ``evaluator.metric``;
- an event whose timestamp is no ISO 8601 has that of its run's start;
- text that is longer than readers of CSV allow is cut, and says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.export.analysable import Analysable, cut
from penstock.export.condition_tables import write_conditions
from penstock.export.tables import plain_cell, write_csv, write_json, write_twins
from penstock.store.reader import StoreReader
from penstock.store.schema import EVALUATION_COLUMNS, EVENT_COLUMNS, RUN_COLUMNS

__all__ = ["write_analysis", "write_tables"]

_EXCLUDED_COLUMNS = (
    "run_id",
    "condition_id",
    "problem_id",
    "agent_id",
    "replicate",
    "status",
    "reason",
)


def write_tables(to: Path, analysable: Analysable) -> None:
    """Write the tables of all runs, and with them those of the runs that can be analysed.

    Args:
        to: The folder; the others go into the folder ``analysis`` in it.
        analysable: Where the rows are.

    Raises:
        OSError: a file cannot be written.
    """
    (to / "analysis").mkdir(exist_ok=True)
    for name, columns, pairs in (
        ("runs.csv", RUN_COLUMNS, analysable.run_pairs),
        ("events.csv", EVENT_COLUMNS, analysable.event_pairs),
        ("evaluations.csv", EVALUATION_COLUMNS, analysable.evaluation_pairs),
    ):
        analysed, is_large = to / "analysis" / name, name == "events.csv"
        write_twins(to / name, analysed, columns, pairs(), is_linked=is_large)


def write_analysis(
    to: Path, store: StoreReader, analysable: Analysable, manifest: Mapping[str, Any]
) -> None:
    """Write what the analysable part of a study has beside its tables.

    Args:
        to: The folder.
        store: Where the study is.
        analysable: What of it can be analysed; its tables are written.
        manifest: The manifest of the whole study.

    Raises:
        OSError: a file cannot be written.
    """
    kept, excluded = analysable.runs, manifest["run_count"] - analysable.runs
    write_conditions(to / "conditions.csv", store, _level_cell)
    columns = ", ".join((*_EXCLUDED_COLUMNS[:-1], "error_info"))
    others = f"SELECT {columns} FROM runs WHERE NOT ({analysable.condition})"  # noqa: S608
    rows = store.table(others) if excluded else iter(())
    write_csv(
        to / "excluded.csv",
        _EXCLUDED_COLUMNS,
        ((*row, cut(reason or _NO_NUMBER)) for *row, reason in rows),
    )
    counted = {
        "run_count": kept,
        "status_counts": {"success": kept} if kept else {},
        "excluded_count": excluded,
    }
    write_json(to / "manifest.json", {**manifest, **counted})


_NO_NUMBER = "its primary outcome is not a finite number"


def _level_cell(value: Any) -> Any:
    is_blank = value is None or (isinstance(value, str) and not value.strip())
    return json.dumps(value) if is_blank else plain_cell(value)

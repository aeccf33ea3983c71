"""The part of a study that statistics can be done on: the folder ``analysis`` beside the tables.

It has the layout of the study's directory, so that what reads the one reads the other, and holds
the runs that succeeded; where the study's primary outcome is a number in any of them, those in
which it is one. ``excluded.csv`` lists every other run and why it is missing: whether it may be
left out is for the analyst to say. Nothing else differs but how some values are written, for
readers that stop at what they cannot read:

- true and false as 1 and 0, where a number is expected;
- a level that is null or empty text as ``null`` or ``""``, since an empty cell means no level;
- a metric of several evaluators as ``evaluator.metric``;
- an event whose timestamp is not ISO 8601 has that of its run's start;
- text that is longer than readers of CSV allow is cut, and says so.

One pass over the store writes the tables of all runs and these: each row stands beside what the
folder has in its place. That is the row itself, most often; the row with some cells written
otherwise; or None, where the run cannot be analysed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

from penstock.export.condition_rows import write_conditions
from penstock.export.tables import plain_cell, write_csv, write_json
from penstock.store.reader import StoreReader
from penstock.store.schema import EVALUATION_COLUMNS, EVENT_COLUMNS, RUN_COLUMNS

__all__ = ["Analysable", "Pair", "Row", "write_analysis"]

Row = Sequence[Any]
Pair = tuple[Row, Row | None]

# Text is greater than any number to SQLite, null is neither, and infinity is beyond.
_IS_NUMBER = (
    "coalesce(primary_outcome BETWEEN -1.79e308 AND 1.79e308"
    " OR primary_outcome IN ('True', 'False'), 0)"
)
_SUCCEEDED = "status = 'success'"
_TRUTHS = {"True": 1, "False": 0}
_LONGEST = 131_072
"""What Python's reader of CSV takes for a cell, if nobody told it to take more."""


class Analysable:
    """Reads the tables of a study, and says what of them can be analysed.

    Args:
        store: Where the study is.
    """

    def __init__(self, store: StoreReader) -> None:
        self.runs = 0
        """How many runs can be analysed, of those whose `run_pair` was made."""

        self._store = store
        measured = f"{_SUCCEEDED} AND {_IS_NUMBER}"
        any_measured = f"SELECT 1 FROM attempt WHERE {_FINAL} AND {measured} LIMIT 1"  # noqa: S608
        self.condition = measured if any(store.table(any_measured)) else _SUCCEEDED
        """Says in SQL which rows of ``runs``, and of ``attempt``, can be analysed."""

    def run_pair(self, row: Row, *, is_kept: bool) -> Pair:
        """Pair a row of ``runs.csv``.

        Args:
            row: The row.
            is_kept: Whether the run can be analysed.
        """
        self.runs += is_kept
        return row, _with_number(row, _OUTCOME) if is_kept else None

    def event_pair(self, row: Row, started_at: str, *, is_kept: bool) -> Pair:
        """Pair a row of ``events.csv``.

        Args:
            row: The row.
            started_at: When its run started.
            is_kept: Whether that can be analysed.
        """
        if not is_kept:
            return row, None

        said_at, text, meta = _event_cells(row)
        is_moment = _is_moment(said_at)
        if is_moment and not (_is_long(text) or _is_long(meta)):
            return row, row

        changed = (said_at if is_moment else started_at, _cut(text), _cut_json(meta))
        return row, _changed(row, dict(zip(_EVENT_PLACES, changed, strict=True)))

    def evaluation_pairs(self) -> Iterator[Pair]:
        """Yield the rows of ``evaluations.csv``, after those of the runs."""
        evaluator, metric, value, notes = map(
            EVALUATION_COLUMNS.index,
            ("evaluator_id", "metric_name", "metric_value", "notes_json"),
        )
        shared = self._shared_metrics()
        kept = "SELECT run_id FROM attempt NOT INDEXED WHERE "
        kept = f"run_id IN ({kept} {_FINAL} AND {self.condition})"
        is_kept = "1" if self.runs == self._store.count() else kept
        columns = f"{', '.join(EVALUATION_COLUMNS)}, {is_kept}"
        for found in self._store.table(f"SELECT {columns} FROM evaluations"):  # noqa: S608
            row = found[:-1]
            if not found[-1]:
                yield row, None
                continue

            other = _with_number(row, value)
            if row[metric] in shared:
                other = _changed(other, {metric: f"{row[evaluator]}.{row[metric]}"})

            if _is_long(row[notes]):
                other = _changed(other, {notes: _cut_json(row[notes])})

            yield row, other

    def _shared_metrics(self) -> set[str]:
        """Return the metrics of several evaluators: of all scores, then of those that count."""
        several = (
            "SELECT metric_name FROM {} GROUP BY metric_name "
            "HAVING min(evaluator_id) <> max(evaluator_id)"
        )
        if not any(self._store.table(several.format("evaluation"))):
            return set()

        return {name for (name,) in self._store.table(several.format("evaluations"))}


_FINAL = "final AND position IS NOT NULL"
_OUTCOME = RUN_COLUMNS.index("primary_outcome")
_EVENT_PLACES = [EVENT_COLUMNS.index(name) for name in ("timestamp", "text", "meta_json")]
_event_cells = itemgetter(*_EVENT_PLACES)


def _cut(text: Any) -> Any:
    """Cut a text that is longer than readers of CSV allow, and say so in it."""
    if not _is_long(text):
        return text

    told = f"... (cut: {len(text)} characters, in full in the table of all runs)"
    return text[: _LONGEST - 100] + told


def _cut_json(text: Any) -> Any:
    return f'{{"cut":true,"characters":{len(text)}}}' if _is_long(text) else text


def _is_long(cell: Any) -> bool:
    return isinstance(cell, str) and len(cell) > _LONGEST


def _with_number(row: Row, place: int) -> Row:
    return _changed(row, {place: _TRUTHS[row[place]]}) if row[place] in _TRUTHS else row


def _changed(row: Row, cells: dict[int, Any]) -> Row:
    return tuple(cells.get(place, cell) for place, cell in enumerate(row))


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False

    return True


_EXCLUDED_COLUMNS = (
    "run_id",
    "condition_id",
    "problem_id",
    "agent_id",
    "replicate",
    "status",
    "reason",
)


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
        ((*row, _cut(reason or _NO_NUMBER)) for *row, reason in rows),
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

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
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from penstock.artifacts.conditions import write_conditions
from penstock.artifacts.tables import (
    link_file,
    plain_cell,
    write_csv,
    write_json,
)
from penstock.store.reader import StoreReader
from penstock.store.schema import EVALUATION_COLUMNS, EVENT_COLUMNS, RUN_COLUMNS

__all__ = ["write_analysis"]

_NUMBER_CELL = "CASE {0} WHEN 'True' THEN 1 WHEN 'False' THEN 0 ELSE {0} END AS {0}"
_METRIC_NAME = """
CASE WHEN metric_name IN (
    SELECT metric_name FROM evaluations GROUP BY metric_name HAVING min(evaluator_id) <>
    max(evaluator_id)
) THEN evaluator_id || '.' || metric_name ELSE metric_name END AS metric_name
"""
_FINAL = "final AND position IS NOT NULL"
# Text is greater than any number to SQLite, null is neither, and infinity is beyond.
_IS_NUMBER = (
    "coalesce(primary_outcome BETWEEN -1.79e308 AND 1.79e308"
    " OR primary_outcome IN ('True', 'False'), 0)"
)
_LONGEST = 131_072
"""What Python's reader of CSV takes for a cell, if nobody told it to take more."""

_TEXT_CELL = f"""
CASE WHEN length({{0}}) <= {_LONGEST} THEN {{0}} ELSE substr({{0}}, 1, {_LONGEST - 100})
|| '... (cut: ' || length({{0}}) || ' characters, in full in the table of all runs)' END AS {{1}}
"""
_JSON_CELL = f"""
CASE WHEN length({{0}}) <= {_LONGEST} THEN {{0}}
ELSE json_object('cut', json('true'), 'characters', length({{0}})) END AS {{0}}
"""
_WRITTEN_AS = {
    "primary_outcome": _NUMBER_CELL.format("primary_outcome"),
    "metric_value": _NUMBER_CELL.format("metric_value"),
    "metric_name": _METRIC_NAME,
    "text": _TEXT_CELL.format("text", "text"),
    "meta_json": _JSON_CELL.format("meta_json"),
    "notes_json": _JSON_CELL.format("notes_json"),
    "reason": _TEXT_CELL.format(
        "coalesce(error_info, 'its primary outcome is not a finite number')", "reason"
    ),
}
_EXCLUDED_COLUMNS = (
    "run_id",
    "condition_id",
    "problem_id",
    "agent_id",
    "replicate",
    "status",
    "reason",
)


def write_analysis(to: Path, store: StoreReader, manifest: Mapping[str, Any]) -> None:
    """Write the analysable part of a study.

    Args:
        to: The folder, beside the tables of all runs.
        store: Where the study is.
        manifest: The manifest of the whole study.

    Raises:
        OSError: a file cannot be written.
    """
    to.mkdir(exist_ok=True)
    analysable = _analysable(store)
    write_conditions(to / "conditions.csv", store, _level_cell)
    runs = f"SELECT {_selected(RUN_COLUMNS)} FROM runs WHERE {analysable}"  # noqa: S608
    write_csv(to / "runs.csv", RUN_COLUMNS, store.table(runs))
    if _differs(store, analysable):
        write_csv(to / "events.csv", EVENT_COLUMNS, _events(store, analysable))
    else:
        link_file(to / "events.csv", to.parent / "events.csv")

    scores = _of_runs(store, "evaluations", EVALUATION_COLUMNS, analysable)
    write_csv(to / "evaluations.csv", EVALUATION_COLUMNS, scores)
    others = f"SELECT {_selected(_EXCLUDED_COLUMNS)} FROM runs WHERE NOT ({analysable})"  # noqa: S608
    write_csv(to / "excluded.csv", _EXCLUDED_COLUMNS, store.table(others))
    write_json(to / "manifest.json", _manifest(store, manifest, analysable))


def _analysable(store: StoreReader) -> str:
    """Say in SQL which rows of ``runs``, and of ``attempt``, can be analysed."""
    succeeded = "status = 'success'"
    measured = f"SELECT 1 FROM runs WHERE {succeeded} AND {_IS_NUMBER} LIMIT 1"  # noqa: S608
    return f"{succeeded} AND {_IS_NUMBER}" if any(store.rows(measured)) else succeeded


def _manifest(store: StoreReader, manifest: Mapping[str, Any], analysable: str) -> dict[str, Any]:
    count = f"SELECT count(*) AS n FROM attempt WHERE {_FINAL} AND {analysable}"  # noqa: S608
    (kept,) = (row["n"] for row in store.rows(count))
    return {
        **manifest,
        "run_count": kept,
        "status_counts": {"success": kept} if kept else {},
        "excluded_count": manifest["run_count"] - kept,
    }


def _selected(columns: Iterable[str]) -> str:
    return ", ".join(_WRITTEN_AS.get(name, name) for name in columns)


def _of_runs(
    store: StoreReader, table: str, columns: Iterable[str], analysable: str
) -> Iterator[Iterable[Any]]:
    return store.table(
        f"SELECT {_selected(columns)} FROM {table} "  # noqa: S608 - our own names
        f"WHERE run_id IN (SELECT run_id FROM attempt WHERE {_FINAL} AND {analysable})"
    )


def _differs(store: StoreReader, analysable: str) -> bool:
    """Tell whether the events of analysable runs differ from all events: most often they do not."""
    left_out = f"SELECT 1 FROM attempt WHERE {_FINAL} AND NOT ({analysable}) LIMIT 1"  # noqa: S608
    rewritten = (
        "SELECT 1 FROM events WHERE datetime(timestamp) IS NULL "  # noqa: S608
        f"OR length(text) > {_LONGEST} OR length(meta_json) > {_LONGEST} LIMIT 1"
    )
    return any(store.table(left_out)) or any(store.table(rewritten))


def _events(store: StoreReader, analysable: str) -> Iterator[list[Any]]:
    for row in _of_runs(store, "events", ("run_start_time", *EVENT_COLUMNS), analysable):
        started_at, said_at, *others = row
        yield [said_at if _is_moment(said_at) else started_at, *others]


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False

    return True


def _level_cell(value: Any) -> Any:
    is_blank = value is None or (isinstance(value, str) and not value.strip())
    return json.dumps(value) if is_blank else plain_cell(value)

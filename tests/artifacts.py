"""Comparing what studies wrote, apart from what differs in every session: times."""

from __future__ import annotations

import csv
from pathlib import Path

TIMES = {"start_time", "end_time", "latency_s", "timestamp"}
SAME_BYTES = ("conditions.csv", "evaluations.csv", "study.yaml", "problems.jsonl")
SAME_ROWS = ("runs.csv", "events.csv")


def assert_same_artifacts(one: Path, other: Path) -> None:
    """Hold two output directories against each other: equal but for times."""
    for name in SAME_BYTES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name

    for name in SAME_ROWS:
        assert rows_without_times(one / name) == rows_without_times(other / name), name


def rows_without_times(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {key: cell for key, cell in row.items() if key not in TIMES}
            for row in csv.DictReader(file)
        ]

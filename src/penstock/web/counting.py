"""Counts of a study's runs, kept up to date by reading what was added to its store.

A store is read once, in pieces, so that no read transaction is long; after that a look costs what
was added since the one before, however many runs there are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from penstock.results import RunStatus
from penstock.store.reader import StoreReader
from penstock.web.plan_matrix import PlanMatrix

__all__ = ["FAILED", "SKIPPED", "SUCCEEDED", "Counts"]

SUCCEEDED, FAILED, SKIPPED = 1, 2, 3
"""How a run ended, in `Counts.statuses`."""

_CODES = {RunStatus.SUCCESS: SUCCEEDED, RunStatus.FAILED: FAILED, RunStatus.SKIPPED: SKIPPED}
_PIECE = 20_000
"""So many attempts are read at once; it takes some tens of milliseconds."""

_COLUMNS = (
    "id, position, final, status, ended_at, latency_s, cost_usd, error_kind, error_http_status"
)
_ADDED = f"SELECT {_COLUMNS} FROM attempt WHERE id > ? ORDER BY id LIMIT {_PIECE}"  # noqa: S608
_AGAIN = f"SELECT {_COLUMNS} FROM attempt WHERE id IN ({{}}) ORDER BY id"  # noqa: S608
_AT_ONCE = 500
_TOO_MANY_REQUESTS = 429
_RATIO = 1.05
"""Between the bounds of a bin of latencies: quantiles are right to 2.5 %."""

_QUANTILES = {"median": 0.5, "90 %": 0.9, "99 %": 0.99}


class Counts:
    """What has become of the runs of a plan.

    Args:
        planned: Runs in the plan.
        matrix: Which cells they belong to; None where nobody knows.
        since: When the last session began, in UTC as ISO 8601.

    Attributes:
        statuses: For each position of the plan how its run ended; 0 where it has not.
        ended: For each cell of the matrix, runs that have ended.
        failed: For each cell, those of them that failed.
        failures: Class of error -> attempts that ended in it.
        refused: Attempts that a provider refused as too many (429).
        per_second: Second, in UTC as ISO 8601 -> runs that ended in it, in the last session.
        costs: How many results say what they cost, the sum of it, and the sum of its squares.
        last_id: The attempt that was read last.
        is_behind: Whether there is more to read.
    """

    def __init__(self, planned: int, matrix: PlanMatrix | None, *, since: str = "") -> None:
        self.matrix = matrix
        self.statuses = np.zeros(planned, dtype=np.uint8)
        cells = 0 if matrix is None else len(matrix.planned)
        self.ended, self.failed = [0] * cells, [0] * cells
        self.failures: Counter[str] = Counter()
        self.refused = 0
        self.per_second: Counter[str] = Counter()
        self.costs = (0, 0.0, 0.0)
        self.last_id = 0
        self.is_behind = True
        self._since = since[:19]
        self._latencies: Counter[int] = Counter()
        self._scoring: set[int] = set()

    @property
    def done(self) -> int:
        """Runs that have ended."""
        return int(np.count_nonzero(self.statuses))

    @property
    def latencies_s(self) -> Mapping[str, float]:
        """Quantile -> seconds that an attempt took."""
        total = sum(self._latencies.values())
        found, passed, left = {}, 0, dict(_QUANTILES)
        for bin_, count in sorted(self._latencies.items()):
            passed += count
            for name in [name for name, share in left.items() if passed >= share * total]:
                found[name] = _RATIO ** (bin_ + 0.5)
                del left[name]

        return found

    def read(self, store: StoreReader) -> None:
        """Read what was added since the last time, or a piece of it."""
        ids = tuple(sorted(self._scoring)[:_AT_ONCE])
        self._scoring.difference_update(ids)
        if ids:
            self._take(store.rows(_AGAIN.format(", ".join("?" * len(ids))), ids))

        added = self._take(store.rows(_ADDED, (self.last_id,)))
        self.is_behind = added == _PIECE

    def _take(self, rows: Iterable[Sequence[Any]]) -> int:
        taken = 0
        for attempt_id, position, final, status, ended_at, latency_s, cost_usd, kind, http in rows:
            taken += 1
            self.last_id = max(self.last_id, attempt_id)
            if status == RunStatus.SCORING:
                self._scoring.add(attempt_id)
                continue

            if latency_s > 0:
                self._latencies[math.floor(math.log(latency_s, _RATIO))] += 1

            if status == RunStatus.FAILED:
                self.failures[kind or "unknown"] += 1
                self.refused += http == _TOO_MANY_REQUESTS

            if final and position is not None and position < len(self.statuses):
                self._end(position, _CODES.get(status, 0))
                if ended_at[:19] >= self._since:
                    self.per_second[ended_at[:19]] += 1

                if cost_usd is not None:
                    count, total, squares = self.costs
                    self.costs = (count + 1, total + cost_usd, squares + cost_usd * cost_usd)

        return taken

    def _end(self, position: int, code: int) -> None:
        before = self.statuses[position]
        self.statuses[position] = code
        if self.matrix is not None and before != code:
            cell = self.matrix.cell(position)
            self.ended[cell] += (code != 0) - int(before != 0)
            self.failed[cell] += (code == FAILED) - int(before == FAILED)

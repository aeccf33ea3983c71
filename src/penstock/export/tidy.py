"""``results.csv``: a row per run with what a person wants first, for statistics as they come.

Factors and blocks have columns of their own, and so has each score; names are those of
`penstock.store.wide_rows`, and mean one thing each. What is not known is empty, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from penstock._base.json import decode
from penstock.export.tables import plain_cell
from penstock.results import text_of
from penstock.store.reader import StoreReader
from penstock.store.wide_rows import WIDE_COLUMNS, Names, scores_in_order

__all__ = ["TidyTable"]

_BEFORE = ("run_id", "condition_id")
_WHOSE = ("agent_id", "problem_id", "replicate", "status")
_AFTER = (
    "primary_outcome",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "latency_s",
    "model_name",
    "finish_reason",
    "seed",
    "error_info",
    "worker",
)
_before, _whose, _after = (
    itemgetter(*map(WIDE_COLUMNS.index, names)) for names in (_BEFORE, _WHOSE, _AFTER)
)


class TidyTable:
    """Makes the rows of the tidy table, in plan order.

    Args:
        store: Where the study is.
        names: What columns are called.
        cell: Makes the cell of a level.

    Attributes:
        header: The names of the columns.
    """

    def __init__(
        self, store: StoreReader, names: Names, cell: Callable[[Any], Any] = plain_cell
    ) -> None:
        factors = (*names.factors, *names.blocks)
        self.header = [
            *(names.columns[name] for name in _BEFORE),
            *factors,
            *(names.columns[name] for name in _WHOSE),
            names.answer,
            *names.scores.values(),
            *(names.columns[name] for name in _AFTER),
        ]
        self._levels = {
            row["condition_id"]: _cells(row["factors"], row["blocks"], factors, cell)
            for row in store.rows("SELECT condition_id, factors, blocks FROM conditions")
        }
        self._scored = list(names.scores)
        self._scores = scores_in_order(store) if self._scored else None

    def row(self, position: int, known: Sequence[Any], text: str) -> list[Any]:
        """Make the row of a run.

        Args:
            position: The run's place in the plan, after that of the run before.
            known: Its `WIDE_COLUMNS`.
            text: Its answer.
        """
        before, whose, after = _before(known), _whose(known), _after(known)
        given = self._scores(position) if self._scores is not None else {}
        scores = [given.get(each) for each in self._scored]
        return [*before, *self._levels[before[1]], *whose, text, *scores, *after]

    def rows(self, store: StoreReader) -> Iterator[list[Any]]:
        """Yield the rows of every run of a store."""
        columns = ", ".join(("position", "outputs", *WIDE_COLUMNS))
        for position, outputs, *known in store.table(f"SELECT {columns} FROM runs"):  # noqa: S608
            yield self.row(position, known, text_of(decode(outputs)))


def _cells(
    levels: str, blocks: str, factors: Sequence[str], cell: Callable[[Any], Any]
) -> Sequence[Any]:
    assigned = {**decode(blocks), **decode(levels)}
    return [cell(assigned[name]) if name in assigned else None for name in factors]

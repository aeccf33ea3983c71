"""``results.csv``: a row per run with what a person wants first, for statistics as they come.

Factors and blocks have columns of their own, and so has each score; names are those of
`penstock.store.wide_rows`, and mean one thing each. What is not known is empty, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from penstock._base.json import decode
from penstock.export.tables import plain_cell
from penstock.results import text_of
from penstock.store.reader import StoreReader
from penstock.store.wide_rows import Names, scores_in_order

__all__ = ["tidy_table"]

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


def tidy_table(
    store: StoreReader, names: Names, cell: Callable[[Any], Any] = plain_cell
) -> tuple[list[str], Iterator[list[Any]]]:
    """Return the header and the rows of the tidy table, in plan order.

    Args:
        store: Where the study is.
        names: What columns are called.
        cell: Makes the cell of a level.
    """
    header = [
        *(names.columns[name] for name in _BEFORE),
        *names.factors,
        *names.blocks,
        *(names.columns[name] for name in _WHOSE),
        names.answer,
        *names.scores.values(),
        *(names.columns[name] for name in _AFTER),
    ]
    return header, _rows(store, (*names.factors, *names.blocks), list(names.scores), cell)


def _rows(
    store: StoreReader,
    factors: Sequence[str],
    scored: Sequence[tuple[str, str]],
    cell: Callable[[Any], Any],
) -> Iterator[list[Any]]:
    levels = {
        row["condition_id"]: _cells(row["factors"], row["blocks"], factors, cell)
        for row in store.rows("SELECT condition_id, factors, blocks FROM conditions")
    }
    scores = scores_in_order(store)
    columns = ", ".join(("position", "outputs", *_BEFORE, *_WHOSE, *_AFTER))
    first = len(_BEFORE) + len(_WHOSE)
    for position, outputs, *known in store.table(f"SELECT {columns} FROM runs"):  # noqa: S608
        given = scores(position)
        yield [
            *known[: len(_BEFORE)],
            *levels[known[1]],
            *known[len(_BEFORE) : first],
            text_of(decode(outputs)),
            *(given.get(each) for each in scored),
            *known[first:],
        ]


def _cells(
    levels: str, blocks: str, factors: Sequence[str], cell: Callable[[Any], Any]
) -> Sequence[Any]:
    assigned = {**decode(blocks), **decode(levels)}
    return [cell(assigned[name]) if name in assigned else None for name in factors]

"""Statements of a transaction: rows that say less than others are the same rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from penstock.store.transaction import Inserts, Row, transact

COLUMNS = ("id", "said", "kind", "message")
LEAST = 2

cells = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
ends = st.just(()) | st.tuples(cells, cells)


@given(st.lists(st.tuples(cells, ends), max_size=9))
def test_a_row_that_ends_early_has_nothing_in_the_columns_that_it_leaves_out(
    said: list[tuple[str | None, tuple[str | None, ...]]],
) -> None:
    rows: list[Row] = [(number, text, *end) for number, (text, end) in enumerate(said)]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as store:
        store.execute(f"CREATE TABLE attempt ({', '.join(COLUMNS)})")
        transact(store, Inserts("attempt", COLUMNS, LEAST)(rows))
        kept = store.execute("SELECT * FROM attempt ORDER BY id").fetchall()

    nothing = (None,) * len(COLUMNS)
    assert kept == [(*row, *nothing)[: len(COLUMNS)] for row in rows]

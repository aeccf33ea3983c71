"""One transaction, in one call of the thread that a connection belongs to."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

from penstock.store.surrogates import without_surrogates

__all__ = ["Statement", "transact"]

Statement = tuple[str, Sequence[Sequence[Any]]]
"""A query and the rows to run it with."""

_AT_ONCE = 64


def transact(connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    """Do all of it in one transaction, or none.

    Args:
        connection: A connection that begins no transactions by itself.
        statements: What to do; text that is not Unicode is written so that it is.
    """
    try:
        _transact_as_it_is(connection, statements)
    except UnicodeEncodeError:  # half a surrogate pair: SQLite keeps UTF-8 only
        clean = [(query, [*without_surrogates(values)]) for query, values in statements]
        _transact_as_it_is(connection, clean)


def _transact_as_it_is(connection: sqlite3.Connection, statements: Sequence[Statement]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for query, values in statements:
            _execute(connection, query, values)

        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")

        raise


def _execute(connection: sqlite3.Connection, query: str, values: Sequence[Sequence[Any]]) -> None:
    """Run a query with every row; rows that are inserted go in many at a time.

    `executemany` begins anew for each row, and gives up the interpreter to the event loop each
    time: inserting 64 rows in one statement takes two thirds of the time.
    """
    whole = len(values) // _AT_ONCE * _AT_ONCE if query.startswith("INSERT") else 0
    for start in range(0, whole, _AT_ONCE):
        rows = values[start : start + _AT_ONCE]
        connection.execute(_of_many_rows(query), [*chain.from_iterable(rows)])

    if whole < len(values):
        connection.executemany(query, values[whole:])


@cache
def _of_many_rows(query: str) -> str:
    insert, row = query.split(" VALUES ")
    return f"{insert} VALUES {', '.join([row] * _AT_ONCE)}"

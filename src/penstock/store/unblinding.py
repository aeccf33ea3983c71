"""Blinding: what a study's conditions came to is withheld while runs of it are left.

Looking at a pilot and going on rejects more true null hypotheses than the 5 % that are meant (8.7 %
after one look, 13.3 % after four). So what sums up a study that declares hypotheses shows nothing
by condition until every planned run has ended. There may be a reason to look earlier; it is kept,
and stands in the report. Rows and SQL stay open.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from penstock.errors import PenstockError, StoreError
from penstock.results import timestamp
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION
from penstock.store.transaction import store_failure
from penstock.study.model import Study

__all__ = ["Unblinding", "is_blind", "unblind", "unblindings"]

_BUSY_TIMEOUT_S = 30.0
_ANSWERED = """
SELECT 1 FROM attempt WHERE final AND position IS NOT NULL AND status = 'success' LIMIT 1
"""


class Unblinding(NamedTuple):
    """A look at what conditions came to, while runs were left."""

    at: str
    """When, in UTC as ISO 8601."""

    reason: str
    ended: int
    """How many runs of the plan had a result then."""

    planned: int

    def __str__(self) -> str:
        return (
            f"Unblinded {self.at[:10]} with {self.ended:,} of {self.planned:,} runs ended: "
            f"{self.reason}"
        )


def is_blind(store: StoreReader, study: Study) -> bool:
    """Return whether what conditions came to is withheld.

    It is while runs of a study with declared hypotheses are left, unless the study says
    ``blind: false`` or somebody has looked already. Where no run has succeeded there is nothing
    that could be withheld.

    Args:
        store: The study's store.
        study: The study as it is declared.
    """
    return (
        study.blind
        and bool(study.hypotheses)
        and store.count() < store.planned()
        and not unblindings(store)
        and any(True for _ in store.table(_ANSWERED))
    )


def unblindings(store: StoreReader) -> list[Unblinding]:
    """Return who looked while runs were left, the first one first."""
    query = "SELECT at, reason, ended, planned FROM unblinding ORDER BY rowid"
    return [Unblinding(*row) for row in store.table(query)]


def unblind(directory: Path, reason: str) -> bool:
    """Show what a study's conditions came to, although runs are left; the reason is kept.

    Args:
        directory: The study's output directory; the study may be running.
        reason: Why, in the words of who looks.

    Returns:
        Whether there was anything to unblind.

    Raises:
        PenstockError: no reason is given.
        StoreError: the store cannot be written, or an older version of penstock wrote it.
    """
    if not reason.strip():
        raise PenstockError("say why the study is unblinded; the reason stands in its report")

    with StoreReader(directory) as store:
        if not is_blind(store, store.study()):
            return False

        ((layout,),) = store.table("PRAGMA user_version")
        row = (timestamp(), reason.strip(), store.count(), store.planned())

    path = directory / "study.sqlite"
    if layout != SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by an older version of penstock: go on with the study first "
            "(penstock run), which brings it up to date"
        )

    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)) as connection, connection:
            connection.execute("INSERT INTO unblinding VALUES (?, ?, ?, ?)", row)
    except sqlite3.Error as error:
        raise store_failure(path, error) from error

    return True

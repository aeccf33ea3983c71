"""Blinding: what a study's conditions came to is withheld while runs of it are left.

Looking at a pilot and going on rejects more true null hypotheses than the 5 % that are meant (8.7 %
after one look, 13.3 % after four). So what sums up a study that declares hypotheses shows nothing
by condition until every planned run has ended. There may be a reason to look earlier; it is kept,
and stands in the report. Rows and SQL stay open.
"""

from __future__ import annotations

from pathlib import Path

from penstock.errors import PenstockError
from penstock.store.actions import UNBLIND, Action, actions, keep_action, this_user
from penstock.store.reader import StoreReader
from penstock.study.model import Study

__all__ = ["is_blind", "unblind", "unblindings"]

_ANSWERED = """
SELECT 1 FROM attempt WHERE final AND position IS NOT NULL AND status = 'success' LIMIT 1
"""


def is_blind(store: StoreReader, study: Study, *, ended: int | None = None) -> bool:
    """Return whether what conditions came to is withheld.

    It is while runs of a study with declared hypotheses are left, unless the study says
    ``blind: false`` or somebody has looked already or
    has ended the study for good. Where no run has succeeded there is nothing
    that could be withheld.

    Args:
        store: The study's store.
        study: The study as it is declared.
        ended: How many runs of the plan have a result; counted, where not given.
    """
    return (
        study.blind
        and bool(study.hypotheses)
        and (store.count() if ended is None else ended) < store.planned()
        and not unblindings(store)
        and any(True for _ in store.table(_ANSWERED))
    )


def unblindings(store: StoreReader) -> list[Action]:
    """Return who looked, or ended the study for good, while runs were left, the first one first."""
    return [each for each in actions(store) if each.shows_outcomes]


def unblind(directory: Path, reason: str, *, who: str | None = None) -> Action | None:
    """Show what a study's conditions came to, although runs are left; the reason is kept.

    Args:
        directory: The study's output directory; the study may be running.
        reason: Why, in the words of who looks.
        who: Who looks; the user of this process, where not given.

    Returns:
        What was kept; None where there was nothing to unblind.

    Raises:
        PenstockError: no reason is given.
        StoreError: the store cannot be written, or an older version of penstock wrote it.
    """
    if not reason.strip():
        raise PenstockError("say why the study is unblinded; the reason stands in its report")

    with StoreReader(directory) as store:
        if not is_blind(store, store.study()):
            return None

    who = this_user() if who is None else who
    return keep_action(directory, who=who, what=UNBLIND, reason=reason)

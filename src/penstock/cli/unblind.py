"""``penstock unblind``: what conditions came to is shown although runs are left."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.arguments import JsonOption, TargetArgument
from penstock.cli.output import errors_told, say

__all__ = ["unblind"]


@errors_told()
def unblind(
    study: TargetArgument = None,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept, and reported.")],
    json: JsonOption = False,
) -> None:
    """Show what conditions came to although runs are left; the study may run, or not."""
    from penstock.cli import steered
    from penstock.cli.target import find_directory
    from penstock.control.connection import NothingRunsError, UnreachableStudyError
    from penstock.store.actions import this_person
    from penstock.store.reader import StoreReader
    from penstock.store.unblinding import is_blind
    from penstock.store.unblinding import unblind as unblind_store

    directory = find_directory(study)
    with StoreReader(directory) as store:
        study_id, is_withheld = store.study_id, is_blind(store, store.study())

    try:
        steered.act(directory, "unblind", reason=reason, json=json)
    except (NothingRunsError, UnreachableStudyError):  # the reason is kept all the same
        unblind_store(directory, reason, who=this_person())

    shown = "shown from now on" if is_withheld else "not withheld"
    say(f"{study_id}: what conditions came to is {shown}")

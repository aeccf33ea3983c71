"""``penstock stop``: the session of a study that runs ends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.arguments import JsonOption, ReasonOption, TargetArgument
from penstock.cli.output import errors_told, say

__all__ = ["stop"]


@errors_told()
def stop(
    study: TargetArgument = None,
    *,
    now: Annotated[
        bool,
        typer.Option(
            "--now", help="Cancel the runs in flight too; they are made again by the next run."
        ),
    ] = False,
    for_good: Annotated[
        bool,
        typer.Option(
            "--for-good",
            help="Nobody means to make the runs that are left: the study counts as ended, and "
            "what conditions came to is shown.",
        ),
    ] = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """End the session of a study that runs, as Ctrl-C does: runs in flight end, all is saved."""
    from penstock.cli.steered import act, leave_alone
    from penstock.cli.target import find_directory
    from penstock.control.connection import NothingRunsError

    directory = find_directory(study)
    try:
        done = act(directory, "stop", reason=reason, json=json, now=now, for_good=for_good)
    except NothingRunsError as error:
        if not for_good:
            leave_alone(directory, error)

        _end_for_good(directory, reason)
        return

    left = done.summary.remaining
    say(f"{done.study_id} is stopped; {left:,} of {done.summary.planned:,} runs are left")
    if for_good:
        say("it counts as ended: what conditions came to is shown (penstock report)")
    elif left:
        say(f"to go on: penstock run {directory}")


def _end_for_good(directory: Path, reason: str) -> None:
    """End a study that no process runs, so that what conditions came to is shown."""
    from penstock.store.actions import STOP_FOR_GOOD, keep_action, this_person
    from penstock.store.reader import StoreReader

    with StoreReader(directory) as store:
        study_id, left = store.study_id, store.planned() - store.count()

    if left:
        keep_action(directory, who=this_person(), what=STOP_FOR_GOOD, reason=reason)

    said = f"; {left:,} runs are left" if left else ", as all its runs have"
    say(f"no process runs {study_id}; it counts as ended{said}")

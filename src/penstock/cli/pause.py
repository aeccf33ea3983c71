"""``penstock pause``: a study that runs starts no more runs until it is told to."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.arguments import JsonOption, ReasonOption, TargetArgument
from penstock.cli.output import errors_told, say

__all__ = ["pause"]


@errors_told()
def pause(
    study: TargetArgument = None,
    *,
    now: Annotated[
        bool,
        typer.Option(
            "--now", help="Cancel the runs in flight too; they are made again after the pause."
        ),
    ] = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Pause a running study: no run is started; returns when nothing is in flight any more."""
    from penstock.cli.steered import act, leave_alone
    from penstock.cli.target import find_directory
    from penstock.control.connection import NothingRunsError

    directory = find_directory(study)
    try:
        done = act(directory, "pause", reason=reason, json=json, now=now)
    except NothingRunsError as error:
        leave_alone(directory, error)

    if done.is_paused and not done.summary.in_flight:
        say(f"{done.study_id} is paused; to go on: penstock resume {directory}")
    else:
        say(f"{done.study_id} ended meanwhile")

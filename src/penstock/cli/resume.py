"""``penstock resume``: a study that is paused goes on."""

from __future__ import annotations

from penstock.cli.arguments import JsonOption, ReasonOption, TargetArgument
from penstock.cli.output import errors_told, say

__all__ = ["resume"]


@errors_told()
def resume(
    study: TargetArgument = None, *, reason: ReasonOption = "", json: JsonOption = False
) -> None:
    """End the pause of a study that runs. One that no process runs goes on with `penstock run`."""
    from penstock.cli.steered import act, leave_alone
    from penstock.cli.target import find_directory
    from penstock.control.connection import NothingRunsError

    directory = find_directory(study)
    try:
        done = act(directory, "resume", reason=reason, json=json)
    except NothingRunsError as error:
        leave_alone(directory, error)

    say(f"{done.study_id} goes on")

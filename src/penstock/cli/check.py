"""``penstock check``: everything that is wrong with a study."""

from __future__ import annotations

from penstock.cli.arguments import StudyArgument
from penstock.cli.output import errors_told, say

__all__ = ["check"]


@errors_told()
def check(study: StudyArgument) -> None:
    """Say everything that is wrong with a study; nothing is run or written."""
    from penstock.cli.target import find_study
    from penstock.runner import StudyRunner

    runner = StudyRunner(find_study(study))
    say(f"{runner.study.study_id}: valid; its agents, problems and evaluators load")

"""What is said before the runs of a study are made: what is doubtful, and what was rounded up."""

from __future__ import annotations

from penstock.cli.output import in_one_line, say
from penstock.planning.selection import Selection, choose
from penstock.runner import StudyRunner
from penstock.running.checking import doubts_of

__all__ = ["tell_doubts", "tell_rounding"]


def tell_doubts(runner: StudyRunner, *, kept: int) -> None:
    """Print what `check` warns about, where runs are left to be made.

    Args:
        runner: The study's runner.
        kept: How many runs have results from before.
    """
    if kept < len(runner.plan):
        doubts = doubts_of(runner.study, runner.plan, runner.bindings)
        say(*(f"warning: {in_one_line(doubt)}" for doubt in doubts))


def tell_rounding(runner: StudyRunner, only: Selection) -> None:
    """Print where a limit was rounded up, and why."""
    limit, chosen = only.limit, choose(runner.plan, only).count(1) if only.limit else 0
    if limit is not None and chosen > limit:
        say(
            f"--limit {limit:,} takes {chosen:,} runs, so that the last block is whole: one "
            "problem and replicate under every condition"
        )

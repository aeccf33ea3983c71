"""Exit codes: what came of a command, for scripts."""

from __future__ import annotations

from enum import IntEnum
from typing import Self

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """What came of a command; each code's docstring says what it means."""

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make a code whose meaning the help, the documentation and its readers share."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.__doc__ = meaning
        return member

    COMPLETE = 0, "done"
    INTERNAL_ERROR = 1, "internal error"
    USAGE = 2, "the command line is wrong"
    REFUSED = 3, "refused: the study is invalid, or its directory cannot be used"
    NOTHING_RUNS = 4, "no process runs the study"
    FAILED_RUNS = 10, "more runs failed than `--max-failures` (0 if not given), or some remain"
    OUT_OF_BUDGET = 11, "the study's budget is spent; with a larger one, run it again to go on"
    CANNOT_GO_ON = (
        12,
        "cannot go on: a wrong key, no credit, or runs that all fail alike; mend it, run it again",
    )
    FINDING_DOES_NOT_HOLD = (
        13,
        "a demanded finding does not hold: a hypothesis of `--require`, or `--fail-on worse`",
    )
    INTERRUPTED = 130, "interrupted, or stopped by `penstock stop`; run it again to go on"

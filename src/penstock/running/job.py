"""A run in the hands of a session, from its first attempt to its last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from penstock.results import RunResult, RunStatus
from penstock.running.attempt import Attempt

__all__ = ["Job"]


def _note_nothing(_: int) -> None: ...


@dataclass(slots=True)
class Job:
    """A run in hand.

    Args:
        position: Where the run stands in the plan.
        planned_order: Where it stands in the order of execution.
        earlier_attempts: How often earlier sessions have tried it.
        recall: Reads the answer that an earlier session kept and that only needs scoring, by its
            position; None where the agent is to be called.
        replaces: How its result of an earlier session ended, where it has one.
        note_call: Called with 1 before an attempt calls its agent, and with -1 when the attempt
            has ended before its agent called a model.
        tries: How often this session has tried it.
        lost: How many of these tries were lost with the worker that made them.
        answered: The try whose worker was lost while its answer was scored.
        attempt: The attempt under way.
    """

    position: int
    planned_order: int
    earlier_attempts: int = 0
    recall: Callable[[int], Awaitable[RunResult]] | None = None
    replaces: RunStatus | None = None
    note_call: Callable[[int], None] = _note_nothing
    tries: int = 0
    lost: int = 0
    answered: RunResult | None = None
    attempt: Attempt | None = None

    @property
    def is_answered(self) -> bool:
        """Whether only its evaluators are to be called."""
        return self.recall is not None or self.answered is not None

"""The time that a session may take, which may be set while it runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic
from typing import Self

from penstock._base.loop import calling_later
from penstock.study.settings import Settings

__all__ = ["Deadline"]


class Deadline:
    """Ends a session inside ``with`` when it has taken as long as its budget allows.

    Args:
        out_of_budget: Called with the reason.
    """

    def __init__(self, out_of_budget: Callable[[str], None]) -> None:
        self._out_of_budget = out_of_budget
        self._began_at = monotonic()
        self._alarm = ExitStack()
        self._most_s: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._alarm.close()

    def follow(self, settings: Settings) -> None:
        """Go by ``budget.max_duration_s`` as it is set now; it counts from the beginning."""
        most_s = settings.budget.max_duration_s
        if most_s == self._most_s:
            return

        self._most_s = most_s
        self._alarm.close()
        if most_s is not None:
            said = f"budget.max_duration_s is exhausted: the session has taken {most_s:g} seconds"
            left_s = max(0.0, self._began_at + most_s - monotonic())
            self._alarm.enter_context(calling_later(left_s, self._out_of_budget, said))

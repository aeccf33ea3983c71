"""Says on the bus when the event loop stood still, and in which run or subscriber."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from penstock.events.subscribing import Subscribers
from penstock.events.tree import LoopStalled
from penstock.planning.plan import Plan
from penstock.running.lifecycle import Job
from penstock.running.scheduler import Scheduler
from penstock.running.watchdog.watching import Sight, Watchdog

__all__ = ["Stalls"]


class Stalls:
    """The stalls of one study's event loop.

    Args:
        threshold_s: How long a stall is told, in seconds; None for no watch.
        plan: The study's runs.
        scheduler: Does them.
        subscribers: Those of the study.
        announce: Says events.

    Raises:
        ValidationError: the threshold is not a length of time.
    """

    def __init__(
        self,
        threshold_s: float | None,
        plan: Plan,
        scheduler: Scheduler[Job],
        subscribers: Subscribers,
        announce: Callable[..., None],
    ) -> None:
        self._watchdog = None if threshold_s is None else Watchdog(threshold_s)
        self._plan = plan
        self._scheduler = scheduler
        self._subscribers = subscribers
        self._announce = announce

    @contextmanager
    def told(self) -> Iterator[None]:
        """Watch the event loop inside the block, and say `LoopStalled`."""
        if self._watchdog is None:
            yield
            return

        with self._watchdog.watching(self._who, self._say):
            yield

    def _who(self, task: Any) -> tuple[Job | None, str | None]:
        return self._scheduler.job_of(task), self._subscribers.name_of(task)

    def _say(self, duration_s: float, sight: Sight) -> None:
        job, subscriber = sight.who
        self._announce(
            LoopStalled,
            duration_s=duration_s,
            culprit=sight.culprit,
            stack=sight.stack,
            run_id=None if job is None else self._plan.at(job.position).run_id,
            subscriber=subscriber,
        )

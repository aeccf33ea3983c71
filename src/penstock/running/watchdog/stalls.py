"""Says when the event loop stood still, and in which run or subscriber.

Once it goes on that is said on the bus. While it does not, nobody could hear it there: the
watchdog's thread writes it to the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from penstock._base.logger import logger
from penstock.events.subscribing import Subscribers
from penstock.events.tree import LoopStalled
from penstock.planning.plan import Plan
from penstock.running.job import Job
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
        """Watch the event loop inside the block; say `LoopStalled`, and ``loop.blocked``."""
        if self._watchdog is None:
            yield
            return

        with self._watchdog.watching(self._who, self._say, self._log):
            yield

    def _who(self, task: Any) -> tuple[Job | None, str | None]:
        return self._scheduler.job_of(task), self._subscribers.name_of(task)

    def _say(self, duration_s: float, sight: Sight) -> None:
        self._announce(
            LoopStalled,
            duration_s=duration_s,
            culprit=sight.culprit,
            stack=sight.stack,
            **self._whose(sight),
        )

    def _whose(self, sight: Sight) -> dict[str, str | None]:
        job, subscriber = sight.who
        run_id = None if job is None else self._plan.at(job.position).run_id
        return {"run_id": run_id, "subscriber": subscriber}

    def _log(self, duration_s: float, sight: Sight) -> None:
        whose = {name: value for name, value in self._whose(sight).items() if value is not None}
        logger().warning(
            "loop.blocked",
            study_id=self._plan.study.study_id,
            lasts_s=round(duration_s, 1),
            culprit=sight.culprit,
            **whose,
            effect="nothing else goes on meanwhile, and no time limit ends it",
        )

"""Says on the bus when the event loop stood still, and in which run or listener."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from penstock.events import LoopStalled
from penstock.lifecycle import Job
from penstock.listening import Listeners
from penstock.scheduler import Scheduler
from penstock.study.plan import Plan
from penstock.watchdog import Sight, Watchdog

__all__ = ["saying_stalls"]


@contextmanager
def saying_stalls(
    watchdog: Watchdog | None,
    plan: Plan,
    scheduler: Scheduler[Job],
    listeners: Listeners,
    announce: Callable[..., None],
) -> Iterator[None]:
    """Watch the event loop inside the block, and say `LoopStalled`.

    Args:
        watchdog: Watches; None for no watch.
        plan: The study's runs.
        scheduler: Does them.
        listeners: Those who listen to the study.
        announce: Says events.
    """
    if watchdog is None:
        yield
        return

    def who(task: Any) -> tuple[Job | None, str | None]:
        return scheduler.job_of(task), listeners.name_of(task)

    def say(duration_s: float, sight: Sight) -> None:
        job, subscriber = sight.who
        announce(
            LoopStalled,
            duration_s=duration_s,
            culprit=sight.culprit,
            stack=sight.stack,
            run_id=None if job is None else plan.at(job.position).run_id,
            subscriber=subscriber,
        )

    with watchdog.watching(who, say):
        yield

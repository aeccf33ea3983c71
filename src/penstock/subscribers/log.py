"""Log: what matters of a study as structured log events; the host configures where they go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from penstock._base.logger import find_logger
from penstock.events.bus import EventStream
from penstock.events.tree import (
    ActionTaken,
    Event,
    LimitChanged,
    LoopStalled,
    RunAbandoned,
    RunEvent,
    RunFailed,
    RunRetried,
    RunsLeft,
    RunSucceeded,
    StudyFinished,
    StudyStarted,
    StudyStopping,
    StudyWaiting,
    SubscriberFailed,
)

__all__ = ["EVENTS", "log"]

EVENTS = (
    StudyStarted,
    ActionTaken,
    StudyStopping,
    StudyWaiting,
    StudyFinished,
    RunsLeft,
    RunRetried,
    RunFailed,
    RunSucceeded,
    RunAbandoned,
    LimitChanged,
    LoopStalled,
    SubscriberFailed,
)

_NAMES = {RunFailed: "run.failed", RunRetried: "run.retried", RunSucceeded: "run.part_not_stored"}
_TOLD = (
    "planned",
    "succeeded",
    "failed",
    "skipped",
    "remaining",
    "attempts",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "uncounted_cost_usd",
    "lost_calls",
    "stopped_because",
    "session",
)
"""What the log says of a study at its end."""

_SAY_AGAIN_AFTER = timedelta(minutes=1)
"""An agent that blocks the event loop does so in each run; it is named once in a while."""


async def log(stream: EventStream) -> None:
    """Write a study's start, end, failures and retries to the ``penstock`` logger.

    Where the host has configured structlog, it gets each of them. Where not, failures that are
    alike are written once, and at the end how many there were.
    """
    logger, is_host_s = find_logger()
    repeats = _Repeats(keeps_failures=is_host_s)
    while events := await stream.batch():
        for event in events:
            if repeats.leaves_out(event):
                continue

            if isinstance(event, StudyFinished):
                for name, error, count in repeats.failures():
                    logger.warning(name, study_id=event.study_id, times=count, error=error)

            _write(logger.bind(study_id=event.study_id), event)


class _Repeats:
    """Which events say what was said before.

    Args:
        keeps_failures: Whether failures are told each time all the same.
    """

    def __init__(self, *, keeps_failures: bool) -> None:
        self._keeps_failures = keeps_failures
        self._alike: Counter[tuple[str, str]] = Counter()
        self._stalled: dict[str, datetime] = {}

    def leaves_out(self, event: Event) -> bool:
        """Return whether an event need not be written, and count it."""
        if isinstance(event, RunSucceeded) and event.result.error is None:
            return True

        if isinstance(event, LoopStalled):
            last = self._stalled.get(event.culprit)
            if last is not None and event.at - last < _SAY_AGAIN_AFTER:
                return True

            self._stalled[event.culprit] = event.at
            return False

        if self._keeps_failures or not isinstance(event, (RunFailed, RunRetried, RunSucceeded)):
            return False

        same = (_NAMES[type(event)], str(event.result.error))
        self._alike[same] += 1
        return self._alike[same] > 1

    def failures(self) -> Iterator[tuple[str, str, int]]:
        """Yield what failed more than once: the event's name, the error, how often."""
        yield from ((*same, count) for same, count in self._alike.items() if count > 1)


def _write(logger: Any, event: Event) -> None:
    match event:
        case StudyStarted():
            logger.info("study.started", planned=event.planned, restored=event.restored)
            if event.lost_calls:
                logger.warning("calls.lost", calls=event.lost_calls, reason="killed or cancelled")
        case ActionTaken():
            values = {"old": event.old, "new": event.new}
            said = {name: value for name, value in values.items() if value is not None}
            logger.warning(
                "study.action", what=event.what, who=event.who, reason=event.reason, **said
            )
        case StudyStopping():
            logger.warning("study.stopping", reason=event.reason)
        case RunsLeft():
            logger.warning("runs.left", agent_id=event.agent_id, reason=event.reason)
        case StudyWaiting():
            logger.warning("study.waiting", subscriber=event.subscriber, behind=event.behind)
        case StudyFinished():
            numbers = event.summary.to_dict()
            logger.info("study.finished", **{name: numbers[name] for name in _TOLD})
        case RunEvent():
            _write_run(logger, event)
        case LimitChanged():
            where = {} if event.endpoint is None else {"endpoint": event.endpoint}
            logger.info("limit.changed", limit=event.limit, reason=event.reason, **where)
        case LoopStalled():
            whose = {name: getattr(event, name) for name in ("run_id", "subscriber", "worker")}
            logger.warning(
                "loop.stalled",
                duration_s=round(event.duration_s, 3),
                culprit=event.culprit,
                **{name: value for name, value in whose.items() if value is not None},
            )
        case SubscriberFailed():
            logger.error(
                "subscriber.failed",
                subscriber=event.subscriber,
                error=event.error,
                # The failure of a critical one is raised, with its traceback.
                traceback="" if event.critical else event.traceback,
            )


def _write_run(logger: Any, event: RunEvent) -> None:
    match event:
        case RunRetried():
            logger.warning(
                "run.retried",
                run_id=event.run_id,
                attempt=event.result.attempt,
                error=str(event.result.error),
                wait_s=round(event.wait_s, 3),
            )
        case RunFailed():
            logger.error(
                "run.failed",
                run_id=event.run_id,
                agent_id=event.result.spec.agent_id,
                problem_id=event.result.spec.problem_id,
                error=str(event.result.error),
            )
        case RunSucceeded():
            logger.warning(_NAMES[RunSucceeded], run_id=event.run_id, error=str(event.result.error))
        case RunAbandoned():
            logger.error("run.abandoned", run_id=event.run_id)

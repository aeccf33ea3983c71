"""What happens in a study, as frozen facts in the past tense.

    Event(seq, at, study_id)
    ├─ StudyEvent
    │   ├─ StudyStarted(planned, restored, lost_calls, summary)
    │   ├─ ActionTaken(who, what, old, new, reason)  somebody paused, slowed or unblinded it
    │   ├─ StudyStopping(reason)          nothing new is started from here on
    │   ├─ RunsLeft(agent_id, model, reason)  the other runs of an agent are left to a later session
    │   ├─ StudyWaiting(subscriber, behind)  a lossless subscriber is too far behind
    │   └─ StudyFinished(summary)         every result is durable; exports begin
    ├─ RunEvent(run_id)
    │   ├─ RunStarted(spec, attempt)
    │   ├─ RunObserved(observation)
    │   ├─ RunAnswered(result)            its answer is there; it takes long to score it
    │   ├─ RunRetried(result, wait_s)     this attempt failed; another follows after wait_s
    │   ├─ RunCancelled(result)           this attempt was given up; the run is made again
    │   │   └─ RunAbandoned               it ignored its cancellation and was left behind
    │   └─ RunFinished(result)            a result exists
    │       ├─ RunSucceeded
    │       ├─ RunFailed
    │       └─ RunSkipped
    ├─ RunsSaved(run_ids, summary)        the results survive a crash: committed and synced
    ├─ LimitChanged(limit, reason, endpoint)
    ├─ WorkersChanged(workers)            one came or was lost, or what they do has changed
    ├─ LoopStalled(duration_s, culprit, stack, run_id, subscriber, worker)
    └─ SubscriberFailed(subscriber, error, critical, traceback)

Subscribing to a class means subscribing to its subclasses too. ``penstock.events.to_json`` writes
any event as JSON, and ``from_json`` reads it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from penstock._base.fact import Fact
from penstock.planning.plan import RunSpec
from penstock.results import Observation, RunResult
from penstock.summary import StudySummary, WorkerNow

__all__ = [
    "ActionTaken",
    "Event",
    "LimitChanged",
    "LoopStalled",
    "RunAbandoned",
    "RunAnswered",
    "RunCancelled",
    "RunEvent",
    "RunFailed",
    "RunFinished",
    "RunObserved",
    "RunRetried",
    "RunSkipped",
    "RunStarted",
    "RunSucceeded",
    "RunsLeft",
    "RunsSaved",
    "StudyEvent",
    "StudyFinished",
    "StudyStarted",
    "StudyStopping",
    "StudyWaiting",
    "SubscriberFailed",
    "WorkersChanged",
]


class Event(Fact):
    """Something that happened.

    Args:
        seq: Its number in this session, from 1; events that nobody subscribed to have one too.
        at: When, in UTC.
        study_id: In which study.
    """

    seq: int
    at: datetime
    study_id: str


class StudyEvent(Event):
    """Something that happened to the study as a whole."""


class StudyStarted(StudyEvent):
    """The plan is made, earlier results are restored, and runs begin.

    Args:
        planned: Runs in the plan.
        restored: Those of them whose results are kept.
        lost_calls: Calls that may have been paid for and have no result, for what made them was
            killed or cancelled; they are made again.
        left_out: Runs without a result that are left to a later session.
        notes: What the session does with kept answers: which are scored again, and by what.
        warnings: What a person should know of them: which are not scored and what that would
            cost, which were made by other code than that of now.
        summary: Where the study stands.
    """

    planned: int
    restored: int
    lost_calls: int = 0
    left_out: int = 0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    summary: StudySummary | None = None


class ActionTaken(StudyEvent):
    """A person or a program acted on the study while it runs; the store keeps it.

    Args:
        who: Who did.
        what: ``pause``, ``pause now``, ``resume``, ``stop``, ``stop now``, ``stop for good``,
            ``unblind``, or ``set`` and what was set, as in ``set execution.concurrency``.
        old: What was set was this before.
        new: It is this from now on.
        reason: Why, in their words; empty where they did not say.
    """

    who: str
    what: str
    old: Any = None
    new: Any = None
    reason: str = ""


class StudyStopping(StudyEvent):
    """Nothing new is started from here on; what is in flight ends."""

    reason: str


class RunsLeft(StudyEvent):
    """The runs of an agent that have not begun are left to a later session; others go on.

    Args:
        agent_id: The agent.
        model: The model that it asks in these runs, where the agent tells.
        reason: Why.
    """

    agent_id: str
    model: str | None
    reason: str


class StudyWaiting(StudyEvent):
    """No run is started until a lossless subscriber has caught up."""

    subscriber: str
    behind: int


class StudyFinished(StudyEvent):
    """Every result is durable. The study may have ended early: see `StudySummary.remaining`."""

    summary: StudySummary


class RunEvent(Event):
    """Something that happened to one run."""

    run_id: str


class RunStarted(RunEvent):
    """An attempt at a run began."""

    spec: RunSpec
    attempt: int


class RunObserved(RunEvent):
    """An agent reported something from inside a run."""

    observation: Observation


class RunAnswered(RunEvent):
    """A run's answer is there, and evaluators are at work that take long to score it.

    Where they are over within some 20 ms, as those that are built in are, there is no such event.

    Args:
        result: The attempt as it is saved meanwhile, with the status ``scoring``.
    """

    result: RunResult


class RunRetried(RunEvent):
    """An attempt failed and another follows after ``wait_s`` seconds, unless the study stops."""

    result: RunResult
    wait_s: float


class RunCancelled(RunEvent):
    """An attempt was given up, for the study was cancelled or its agent raised `StopStudy`.

    Its run has no result, and is made in the next session; at once, where it was given up because
    the worker that made it is gone (`WorkerLostError`), and after the pause that has cancelled it.

    Args:
        result: What it had recorded and cost until then, which is kept; None where it had only
            waited for its turn.
    """

    result: RunResult | None = None


class RunAbandoned(RunCancelled):
    """An attempt ignored its cancellation, and the study has ended without it.

    Whatever it still does is neither kept nor counted.
    """


class RunFinished(RunEvent):
    """A run is over and its result exists, though not yet durably (see `RunsSaved`)."""

    result: RunResult


class RunSucceeded(RunFinished):
    """A run's answer is there."""


class RunFailed(RunFinished):
    """A run's last attempt failed."""


class RunSkipped(RunFinished):
    """A run's agent said that it does not apply."""


class RunsSaved(Event):
    """Results survive a crash of the process and of the machine.

    Args:
        run_ids: Whose results.
        summary: Where the study stands with them.
    """

    run_ids: tuple[str, ...]
    summary: StudySummary | None = None


class LimitChanged(Event):
    """The number of runs, or of calls to one endpoint, that may be in flight changed.

    Args:
        limit: How many may be from now on.
        reason: Why.
        endpoint: Where the calls go; None where it is the number of runs.
    """

    limit: int
    reason: str
    endpoint: str | None = None


class WorkersChanged(Event):
    """A worker came or was lost, or what workers do has changed: once in a second at most.

    Args:
        workers: All that are there, and those that were lost last.
    """

    workers: tuple[WorkerNow, ...]


class LoopStalled(Event):
    """The event loop stood still, and every run and subscriber with it; it goes on again.

    Args:
        duration_s: How long what was due had to wait, in seconds.
        culprit: The function that it stood still in, as ``module:function (file:line)``.
        stack: How it came there, as a traceback shows it.
        run_id: The run whose step it was, if it was one's.
        subscriber: The subscriber whose step it was, if it was one's.
        worker: The worker whose event loop it was; None where it was this process's.
    """

    duration_s: float
    culprit: str
    stack: str
    run_id: str | None = None
    subscriber: str | None = None
    worker: str | None = None


class SubscriberFailed(Event):
    """A subscriber raised; it hears nothing more, and the study goes on unless it is critical."""

    subscriber: str
    error: str
    critical: bool
    traceback: str

"""What can be said about how a study is run, written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from penstock.agents.condition_runner import ConditionRunner
from penstock.events.bus import Subscriber
from penstock.running.retry import Retry
from penstock.study.conditions import Condition

__all__ = ["RunnerOptions"]


class RunnerOptions(TypedDict, total=False):
    """What can be said about how a study is run, written once; all of it is optional.

    Attributes:
        agent_bindings: Agents by name, beside those the study declares.
        problem_registry: Problems by id, beside those the study declares.
        conditions: Conditions to use in place of those the study's design makes.
        parallelism: Runs in flight at once, or ``"auto"``: as many as the agents keep up with. The
            run budget's where not given.
        checkpoint: Sync results to the disk as they come. Without it a crash of the machine (not
            one of the process) can lose the last runs.
        show_progress: Whether progress is shown on stderr; where a terminal is, if not given.
        output_dir: Where results go, in place of the study's own ``output_dir``.
        subscribers: Coroutine functions over a stream of events; each hears all events.
        timeout_s: How long an agent may take in one attempt, in seconds.
        retry: Which failures are worth another attempt.
        max_failures: Stop the study when more runs than this have failed.
        fail_fast: Stop the study at the first failed run; the run budget's where not given.
        limits: Name -> how many runs may hold that limit at once (`RunContext.limiter`).
        fresh: Move an earlier output directory aside and start from nothing.
        rescore: Score the answers of earlier sessions again, without calling their agents.
        grace_s: How long runs in flight may go on after a cancellation, in seconds.
        stall_threshold_s: How long the event loop may stand still before the study says so
            (`LoopStalled`), in seconds; None to keep no watch.
        isolate_random: Whether each run of an async agent has a global ``random`` and
            ``numpy.random`` of its own. Without it runs are some 10 µs cheaper, and what an agent
            draws from these depends on what else runs.
        condition_runner: A plain or async function that takes a `RunSpec` and a `Condition`, by
            position, and returns a `RunOutput`. It does each run in place of the study's agents,
            problems and evaluators; a plain one runs in a worker thread.
    """

    agent_bindings: Mapping[str, Any] | None
    problem_registry: Mapping[str, Any] | None
    conditions: Sequence[Condition] | None
    parallelism: int | Literal["auto"] | None
    checkpoint: bool
    show_progress: bool | None
    output_dir: Path | str | None
    subscribers: Sequence[Subscriber]
    timeout_s: float | None
    retry: Retry | None
    max_failures: int | None
    fail_fast: bool | None
    limits: Mapping[str, int] | None
    fresh: bool
    rescore: bool
    grace_s: float
    stall_threshold_s: float | None
    isolate_random: bool
    condition_runner: ConditionRunner | None

"""What an attempt keeps of whatever was raised in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite
from typing import Any

from penstock._base.memory import is_exhausted, out_of_memory
from penstock._base.secrets import redacted
from penstock._base.tracebacks import traceback_of
from penstock.agents.call_counts import CallCounts
from penstock.errors import (
    SkipRun,
    StopStudy,
    StudyCancelled,
    WorkerLostError,
    message_of,
)
from penstock.results import RunError, RunStage, RunStatus

__all__ = ["NOT_SCORED", "cancelled_by", "error_of", "error_of_parts", "status_of", "stop_in"]

NOT_SCORED = RunError(
    kind="NotScored",
    message="the answer is kept; its evaluators had not ended, and score it in the next session",
    stage=RunStage.EVALUATOR,
)
"""What an attempt that is killed while its answer is scored has ended with."""


_redacted_traceback = lru_cache(maxsize=128)(redacted)
"""Many runs fail alike."""


def error_of(error: BaseException, stage: RunStage, calls: CallCounts | None = None) -> RunError:
    """Make the typed failure of an exception, with what its class says of itself.

    Args:
        error: What was raised; it may be of any class, and broken itself.
        stage: In which part of the run.
        calls: What was asked of models meanwhile; a client may have raised an error of its own.
    """
    worth_another = stage is RunStage.AGENT and isinstance(error, Exception)
    has_ended = isinstance(error, MemoryError) and is_exhausted()
    return RunError(
        kind=type(error).__name__,
        message=out_of_memory() if has_ended else redacted(message_of(error)),
        stage=stage,
        retryable=worth_another and _said(error, "retryable", bool) is not False,
        retry_after_s=_seconds(_said(error, "retry_after_s", (int, float))),
        http_status=_http_status(error),
        stops_study=has_ended
        or isinstance(error, StopStudy)
        or _said(error, "stops_study", bool) is True,
        is_passing=worth_another and calls is not None and calls.has_failed_in_passing,
        is_known=calls is not None and calls.refused_before > 0,
        traceback=_redacted_traceback(traceback_of(error)),
    )


def status_of(error: BaseException, stage: RunStage) -> RunStatus:
    """Return how an attempt ends in which an error was raised, where the study goes on."""
    if _leaves_run(error, stage):
        return RunStatus.CANCELLED

    return RunStatus.SKIPPED if isinstance(error, SkipRun) else RunStatus.FAILED


def _leaves_run(error: BaseException, stage: RunStage) -> bool:
    """Return whether an error says that its run is left: to another session, or worker."""
    if isinstance(error, WorkerLostError):
        return not error.is_culprit

    return isinstance(error, StopStudy) and stage is RunStage.AGENT


def stop_in(error: BaseException) -> BaseException:
    """Return the order to stop that a client made an error of its own from; else the error."""
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None or isinstance(cause, StopStudy):
            return cause or error

        cause = getattr(cause, "__cause__", None)

    return error


_MOST_CAUSES = 10


def error_of_parts(errors: Sequence[BaseException], failure: RunError | None) -> RunError:
    """Return what beside an answer could not be stored; it fails nothing, for the answer is kept.

    Args:
        errors: Why not, one for each part.
        failure: What the attempt failed of, where it did.
    """
    first = error_of(errors[0], RunStage.OUTPUT) if failure is None else failure
    told = [message_of(error) for error in errors]
    if failure is not None:
        told = [failure.message, *told]

    return first.model_copy(update={"message": redacted("; ".join(dict.fromkeys(told)))})


def _said(error: Any, name: str, kind: type | tuple[type, ...]) -> Any:
    """Read what an error says of itself, if it does; anyone's error may mean something else."""
    try:
        said = getattr(error, name, None)
    except Exception:  # noqa: BLE001 - an agent's error may be broken itself
        return None

    return said if isinstance(said, kind) else None


def _seconds(said: float | None) -> float | None:
    """Read how long to wait; what is not a finite time is nothing to wait for."""
    try:
        seconds = None if said is None else float(said)
    except OverflowError:
        return None

    return seconds if seconds is not None and isfinite(seconds) and seconds >= 0 else None


def _http_status(error: BaseException) -> int | None:
    """Find the status where the errors of common HTTP clients and SDKs have it."""
    for name in ("http_status", "status_code", "status"):
        if (status := _said(error, name, int)) in _HTTP_STATUSES:
            return int(status)

    status = _said(_said(error, "response", object), "status_code", int)
    return int(status) if status in _HTTP_STATUSES else None


_HTTP_STATUSES = range(100, 600)


def cancelled_by(error: BaseException) -> StudyCancelled:
    """Return what says that a study was cancelled, and what an agent or a client made of it."""
    cancelled = StudyCancelled()
    cancelled.__cause__ = None if isinstance(error, StudyCancelled) else error
    return cancelled

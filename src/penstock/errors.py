"""What can go wrong, as one tree. Every error writes its own sentence: what, where, what to do.

PenstockError
├─ ValidationError (ValueError)        a study that cannot run as declared: all of it at once
│   └─ StudyFileError                  a study file: each line names its path in the file
├─ UnstableValueError (ValueError)     a value that has no stable JSON form
├─ ExpressionError (ValueError)        a constraint that cannot be evaluated
├─ BindingError (TypeError)            an agent, problem or evaluator that cannot be bound
├─ StoreError (OSError)                the study's directory or its study.sqlite
│   ├─ DirectoryInUseError             another process or runner holds it
│   ├─ ForeignDirectoryError           it holds another study, or something else
│   └─ SchemaError                     written by a version of penstock we cannot read
├─ SubscriberError (RuntimeError)      a critical subscriber failed
├─ RunningLoopError (RuntimeError)     a blocking call where an event loop already runs
├─ EngineError (RuntimeError)          workers cannot be started, or reached, or run this study
└─ RunFault                            why one attempt at a run failed (kept, never raised out)
    ├─ AttemptTimeoutError (TimeoutError)
    ├─ EvaluatorTimeoutError (TimeoutError)
    ├─ OutputError (TypeError)         what the agent returned cannot be stored
    ├─ AgentReportedFailure            the agent's own result says that it failed
    ├─ StudyCancelled                  the study was cancelled before the attempt had ended
    ├─ WorkerLostError (RuntimeError)  the worker that made the attempt is gone
    ├─ StopStudy                       raised by an agent: the study is to stop before this run
    └─ SkipRun                         raised by an agent: this run does not apply
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = [
    "AgentReportedFailure",
    "AttemptTimeoutError",
    "BindingError",
    "DirectoryInUseError",
    "EngineError",
    "EvaluatorTimeoutError",
    "ExpressionError",
    "ForeignDirectoryError",
    "OutputError",
    "PenstockError",
    "RunFault",
    "RunningLoopError",
    "SchemaError",
    "SkipRun",
    "StopStudy",
    "StoreError",
    "StudyCancelled",
    "StudyFileError",
    "SubscriberError",
    "UnstableValueError",
    "ValidationError",
    "WorkerLostError",
    "message_of",
]


class PenstockError(Exception):
    """The root of every error that penstock raises."""


class ValidationError(PenstockError, ValueError):
    """A study that cannot run as declared; ``errors`` lists everything that is wrong."""

    def __init__(self, errors: str | Sequence[str]) -> None:
        given = [errors] if isinstance(errors, str) else errors
        self.errors = tuple(dict.fromkeys(given))  # two steps may find the same
        super().__init__("\n".join(self.errors))


class StudyFileError(ValidationError):
    """A study file that cannot be read; each error names its place in the file."""

    def __init__(self, path: Path, errors: Sequence[str]) -> None:
        super().__init__(errors)
        self.path = path

    def __str__(self) -> str:
        if len(self.errors) == 1:
            return f"{self.path}: {self.errors[0]}"

        listed = "\n".join(f"  {error}" for error in self.errors)
        return f"{self.path}: {len(self.errors)} errors\n{listed}"


class UnstableValueError(PenstockError, ValueError):
    """A value that has no stable JSON form, so no id could be made from it twice alike."""

    def __init__(self, path: str, value: object, reason: str) -> None:
        self.path, self.reason = path, f"{reason} ({type(value).__name__})"
        kind = type(value).__name__
        super().__init__(
            f"the value at {path} ({kind}) cannot be part of a study: {reason}; "
            "use text, numbers, true or false, null, lists or mappings"
        )


class ExpressionError(PenstockError, ValueError):
    """A constraint that cannot be evaluated for a condition."""


class BindingError(PenstockError, TypeError):
    """An agent, problem or evaluator that cannot be bound to what it names."""


class StoreError(PenstockError, OSError):
    """A study's directory or its store cannot be used."""


class DirectoryInUseError(StoreError):
    """Another process, or another runner of this one, holds the study's directory."""


class ForeignDirectoryError(StoreError):
    """The directory holds another study, or a file that is not a store of ours."""


class SchemaError(StoreError):
    """The store was written in a layout that this version cannot read."""

    def __init__(self, path: Path, layout: int, known: int) -> None:
        super().__init__(
            f"{path} has layout {layout}, and this version of penstock reads up to {known}; "
            "upgrade penstock"
        )


class SubscriberError(PenstockError, RuntimeError):
    """A critical subscriber failed; what was saved before is safe."""


class RunningLoopError(PenstockError, RuntimeError):
    """A blocking call was made where an event loop is already running."""


class EngineError(PenstockError, RuntimeError):
    """Workers cannot be started or reached, or none of them can run the study."""


class RunFault(PenstockError):  # noqa: N818 - a family of reasons, never raised itself
    """Why one attempt at a run failed, where the reason is ours and not the agent's."""


class AttemptTimeoutError(RunFault, TimeoutError):
    """An attempt took longer than ``timeout_s``."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the agent did not answer within timeout_s={timeout_s:g} seconds")


class EvaluatorTimeoutError(RunFault, TimeoutError):
    """An evaluator took longer than ``evaluator_timeout_s`` with one answer, which is kept."""

    def __init__(self, evaluator: str, timeout_s: float) -> None:
        super().__init__(
            f"the evaluator {evaluator!r} did not score the answer within evaluator_timeout_s="
            f"{timeout_s:g} seconds; the answer is kept, and the next session scores it again"
        )


class OutputError(RunFault, TypeError):
    """What an agent returned or recorded cannot be stored."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(f"the value at {path} cannot be stored: {reason}")


class AgentReportedFailure(RunFault):
    """An agent returned a result that says it failed; what the result carries is kept."""

    def __init__(self, error: str | None) -> None:
        super().__init__(error or "the agent's result says success=False and not why")


class StudyCancelled(RunFault):
    """The study was cancelled before an attempt had ended; the next session makes up for it."""

    retryable = False

    def __init__(self) -> None:
        super().__init__("the study was cancelled before the attempt had ended")


class WorkerLostError(RunFault, RuntimeError):
    """The worker that made an attempt is gone; what the attempt did by itself may have been paid.

    Args:
        worker: Which worker.
        why: How it was lost.
        is_culprit: Whether the run is taken for what ended it; else another worker makes it again.
    """

    retryable = False

    def __init__(self, worker: str, why: str, *, is_culprit: bool = False) -> None:
        self.is_culprit = is_culprit
        if is_culprit:
            what = (
                "the run was alone there, and at the end of another worker too: it seems to be why"
            )
        else:
            what = "another worker makes the run again; what it did may have been paid for"

        super().__init__(f"worker {worker} is lost ({why}); {what}")


class StopStudy(RunFault):
    """Raise it in an agent to stop the study; its run is left undone, for the next session."""


class SkipRun(RunFault):
    """Raise it in an agent to say that this run does not apply; it is kept as skipped."""


def message_of(error: BaseException) -> str:
    """Read an error's message, also where its class writes none without failing."""
    try:
        return str(error)
    except BaseException as unreadable:  # noqa: BLE001 - anyone's code
        return f"(its message cannot be read: {type(unreadable).__name__})"

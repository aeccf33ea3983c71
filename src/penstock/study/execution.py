"""How a study is carried out: how much at once, how long to wait, when to try again or give up.

Nothing here changes what is run or what its ids and seeds are, so a study may go on under another
execution. What Python or the command line says comes before what is declared here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from penstock._base.fact import (
    EMPTY,
    Declaration,
    Flag,
    Name,
    NotNegative,
    Positive,
    PositiveWhole,
    Text,
    Whole,
)
from penstock._base.frozen import FrozenDict

__all__ = ["Concurrency", "Execution", "KeepCalls", "Retry"]

_ATTEMPTS_AT_WHAT_PASSES = 4
_MOST_DOUBLINGS = 1000
"""2.0 ** 1024 is too large for a float."""


def _number_or_auto(value: Any) -> Any:
    if value != "auto" and type(value) is not int:  # said here, or it is said for each type
        raise ValueError(f"must be a whole number, or 'auto' (got {value!r})")

    return value


Concurrency = Annotated[Whole | Literal["auto"], BeforeValidator(_number_or_auto)]
"""How many at once: a whole number, or ``auto``."""

KeepCalls = Literal["full", "usage", "none"]
"""How much of the calls of chat models is kept."""


class Retry(Declaration):
    """Try a failed run again, waiting longer each time.

    The wait before attempt ``n + 1`` is drawn evenly from 0 to ``wait_s * 2**(n - 1)`` ("full
    jitter": Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015), at most
    ``max_wait_s``. It is drawn from the run's seed, so it is the same each time.

    Args:
        attempts: How often a run is tried at most; 1 means never again. Where not said, 4 times
            if a declared model has failed in passing (a 5xx but 503 and 529, a connection that
            broke, an endpoint that did not answer in time), else once.
        wait_s: The scale of the first wait, in seconds.
        max_wait_s: The longest wait, in seconds; a provider may ask for a longer one.
        on: Names of error classes worth another attempt; without any, every failure of an agent
            is. A class is named as in ``error_info``, before the colon.
    """

    attempts: PositiveWhole | None = None
    wait_s: NotNegative = 1.0
    max_wait_s: NotNegative = 60.0
    on: tuple[Text, ...] = ()

    def most_attempts(self, *, is_passing: bool) -> int:
        """Return how often a run is tried at most.

        Args:
            is_passing: Whether it failed because a declared model did, in a way that passes.
        """
        return self.attempts or (_ATTEMPTS_AT_WHAT_PASSES if is_passing else 1)

    def backoff_s(self, tries: int, draw: float, asked_s: float | None = None) -> float:
        """Return the seconds to wait before another attempt.

        Args:
            tries: How many attempts were made, from 1.
            draw: Where in its range the wait is, from 0 to 1.
            asked_s: The wait that a provider asks for, in seconds; the least there is.
        """
        longest_s = min(self.max_wait_s, self.wait_s * 2.0 ** min(tries - 1, _MOST_DOUBLINGS))
        return max(longest_s * draw, asked_s or 0.0)


class Execution(Declaration):
    """How a study is carried out; it may differ from session to session.

    Args:
        concurrency: Runs in flight at once, or ``auto``: as many as the agents keep up with.
        timeout_s: How long an agent may take in one attempt, in seconds; null for any time.
        evaluator_timeout_s: How long an evaluator (a function or a judge) may take with one answer,
            in seconds; 0 or null for any time. The answer is kept. Waiting at a gate, for a budget
            or for a thread does not count.
        retry: Which failures are worth another attempt, and when.
        refused_for_s: How long a call of a chat model that is refused (429, 503, 529) is waited
            for before its attempt fails, in seconds; such a wait is not an attempt.
        max_failures: Stop the study when more runs than this have failed; null for never.
        stop_alike: Where so many runs of an agent and model, the first of the session, have all
            failed with one class of error, over at least three problems (or all there are), its
            other runs are left to a later session; 0 for never.
        fail_fast: Stop the study at the first failed run: the same as ``max_failures: 0``.
        limiters: Name -> how many runs may hold that limit at once (`RunContext.limiter`).
        grace_s: How long runs in flight may go on after a cancellation, in seconds.
        stall_threshold_s: How long the event loop may stand still before the study says so
            (`LoopStalled`), in seconds; null to keep no watch.
        keep_calls: What is kept of each call of a chat model: ``full`` with what was asked and
            answered, so that an attempt which is cut off goes on where it was, ``usage`` without
            the texts, or ``none``.
        report: Whether ``report.html`` is written at the end. Where not said, `penstock run` and
            `run_study` write it, and `arun_study` and `StudyRunner` do not; these make it in a
            process of its own.
        control: Whether other processes of the same user may look at the study while it runs, and
            act on it (`penstock watch`, `pause`, `set`). Where not said, `penstock run` and
            `run_study` let them, and `arun_study` and `StudyRunner` do not.
        workers: How many worker processes on this machine make the runs (the extra ``dask``); null
            to make them in the process of the study. ``concurrency`` is over all of them, and each
            has a run at least.
    """

    concurrency: Concurrency = 1
    timeout_s: Positive | None = None
    evaluator_timeout_s: NotNegative | None = 600.0
    retry: Retry = Retry()
    refused_for_s: NotNegative = 600.0
    max_failures: Annotated[Whole, Field(ge=0)] | None = None
    stop_alike: Annotated[Whole, Field(ge=0)] = 20
    fail_fast: Flag = False
    limiters: Mapping[Name, PositiveWhole] = EMPTY
    grace_s: NotNegative = 10.0
    stall_threshold_s: Positive | None = 0.1
    keep_calls: KeepCalls = "full"
    report: Flag | None = None
    control: Flag | None = None
    workers: PositiveWhole | None = None

    @field_validator("concurrency")
    @classmethod
    def _at_least_one(cls, concurrency: int | str) -> int | str:
        if isinstance(concurrency, int) and concurrency < 1:
            raise ValueError("Execution.concurrency must be >= 1.")

        return concurrency

    @model_validator(mode="after")
    def _is_frozen_and_has_one_limit_of_failures(self) -> Self:
        self.__dict__["limiters"] = FrozenDict(self.limiters)
        if self.fail_fast and self.max_failures:
            raise ValueError("`fail_fast` means `max_failures: 0`; give one of them")

        return self

    @property
    def failures_allowed(self) -> int | None:
        """How many runs may fail before the study is stopped; None for any number."""
        return 0 if self.fail_fast else self.max_failures

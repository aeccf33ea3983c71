"""When a run that failed is tried again."""

from __future__ import annotations

from random import Random

from penstock.results import RunResult
from penstock.study.execution import Retry

__all__ = ["next_wait_s"]


def next_wait_s(retry: Retry, result: RunResult, tries: int) -> float | None:
    """Return the seconds to wait before another attempt, or None for no other.

    Args:
        retry: Which failures are worth another attempt.
        result: The attempt that failed.
        tries: How many attempts at this run were made in this session.
    """
    error = result.error
    if error is None or not error.retryable:
        return None

    if tries >= retry.most_attempts(is_passing=error.is_passing):
        return None

    if retry.on and error.kind not in retry.on:
        return None

    draw = Random(f"{result.spec.seed}:{result.attempt}").random()  # noqa: S311 - no secret
    return retry.backoff_s(tries, draw, error.retry_after_s)

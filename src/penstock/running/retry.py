"""Which failures are worth another attempt, and when."""

from __future__ import annotations

from random import Random

from pydantic import Field

from penstock._base.fact import Fact
from penstock.results import RunResult

__all__ = ["Retry"]


class Retry(Fact):
    """Try a failed run again, waiting longer each time.

    The wait before attempt ``n + 1`` is drawn evenly from 0 to ``wait_s * 2**(n - 1)`` ("full
    jitter": Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015), at most
    ``max_wait_s``. It is drawn from the run's seed, so it is the same each time.

    Args:
        attempts: How often a run is tried at most; 1 means never again.
        wait_s: The scale of the first wait, in seconds.
        max_wait_s: The longest wait, in seconds.
        on: Names of error classes worth another attempt; without any, every failure of an agent
            is. A class is named as in ``error_info``, before the colon.
    """

    attempts: int = Field(default=1, ge=1)
    wait_s: float = Field(default=1.0, ge=0)
    max_wait_s: float = Field(default=60.0, ge=0)
    on: tuple[str, ...] = ()

    def next_wait_s(self, result: RunResult, tries: int) -> float | None:
        """Give the seconds to wait before another attempt, or None for no other.

        Args:
            result: The attempt that failed.
            tries: How many attempts at this run were made in this session.
        """
        if tries >= self.attempts or result.error is None or not result.error.retryable:
            return None

        if self.on and result.error.kind not in self.on:
            return None

        jitter = Random(f"{result.spec.seed}:{result.attempt}").random()  # noqa: S311
        wait_s = min(self.max_wait_s, self.wait_s * 2.0 ** min(tries - 1, 1000)) * jitter
        return max(wait_s, result.error.retry_after_s or 0.0)

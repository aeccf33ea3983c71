"""How long a study still takes, and what it will cost: each with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import sqrt

import numpy as np

from penstock.page.live_view import Between

__all__ = ["cost_of_all", "over_time", "rate_of", "time_left"]

_BLOCKS = 12
_WINDOW_S = (24, 600)
"""The rate is that of the last fifth of the session, but of so many seconds at least and most."""

_STRETCHES = 120
_STEPS_S = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
_NORMAL = 1.96


def over_time(per_second: Mapping[str, int], now: datetime) -> tuple[int, tuple[int, ...]]:
    """Return how many runs ended in each stretch of a session, and how long a stretch is.

    Args:
        per_second: Second, in UTC as ISO 8601 -> runs that ended in it.
        now: The end of the last stretch.

    Returns:
        Seconds of a stretch, and the runs of each.
    """
    if not per_second:
        return 1, ()

    first = _second(min(per_second))
    lasts_s = max(1, int((now - first).total_seconds()) + 1)
    step_s = next((each for each in _STEPS_S if lasts_s <= each * _STRETCHES), _STEPS_S[-1])
    counts = [0] * (-(-lasts_s // step_s))
    for second, count in per_second.items():
        at = int((_second(second) - first).total_seconds()) // step_s
        counts[min(at, len(counts) - 1)] += count

    return step_s, tuple(counts[-_STRETCHES:])


def rate_of(per_second: Mapping[str, int], now: datetime) -> Sequence[float]:
    """Return the rates of the last stretches of a session, in runs a second.

    Args:
        per_second: Second, in UTC as ISO 8601 -> runs that ended in it.
        now: The time.
    """
    if not per_second:
        return ()

    lasts_s = (now - _second(min(per_second))).total_seconds()
    window_s = int(min(max(lasts_s / 5, _WINDOW_S[0]), _WINDOW_S[1], max(lasts_s, 1)))
    end = now.replace(microsecond=0)  # the second that has begun is not over
    counts = [
        per_second.get((end - timedelta(seconds=back)).isoformat()[:19], 0)
        for back in range(window_s, 0, -1)
    ]
    return [float(block.mean()) for block in np.array_split(counts, _BLOCKS) if len(block)]


def time_left(remaining: int, rates: Sequence[float]) -> Between | None:
    """Return the seconds until all runs have ended; None where nothing has ended lately.

    Args:
        remaining: Runs that have not ended.
        rates: Rates of the last stretches of time, in runs a second.
    """
    rate = float(np.mean(rates)) if len(rates) else 0.0
    if rate <= 0 or remaining <= 0:
        return None

    error = float(np.std(rates, ddof=1)) / sqrt(len(rates)) if len(rates) > 1 else rate
    slowest = rate - _NORMAL * error
    return Between(
        low=remaining / (rate + _NORMAL * error),
        likely=remaining / rate,
        high=remaining / slowest if slowest > rate / 20 else None,
    )


def cost_of_all(
    spent_usd: float, costs: tuple[int, float, float], done: int, remaining: int
) -> Between | None:
    """Return what a study will have cost when all runs have ended; None where nobody knows.

    Args:
        spent_usd: What it has cost so far, judges and attempts that failed included.
        costs: How many results say what they cost, the sum of it, and the sum of its squares.
        done: Runs that have ended.
        remaining: Runs that have not.
    """
    count, total, squares = costs
    if not spent_usd or count < 2 or not done:  # noqa: PLR2004 - one has no spread
        return None

    mean = spent_usd / done
    variance = (
        max(0.0, squares / count - (total / count) ** 2) * (mean * count / total) ** 2
        if total
        else 0.0
    )
    error = _NORMAL * sqrt(variance * (remaining + remaining**2 / done))
    likely = spent_usd + remaining * mean
    return Between(low=max(spent_usd, likely - error), likely=likely, high=likely + error)


def _second(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)

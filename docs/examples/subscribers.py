"""Two subscribers that act on their study: one slows it down, one stops it.

A subscriber is a coroutine function over a stream of events. Its state is in local variables, and
it reaches the study through the runner it was made for.
"""

from __future__ import annotations

import penstock as ps
from penstock.events import RunRetried, RunSucceeded, StudyStarted, Subscriber


def slow_down_on_retries(runner: ps.StudyRunner, *, least: int = 1) -> Subscriber:
    """Halve the concurrency when an attempt fails and is retried; win it back as runs succeed.

    Retries of attempts that began before the last change are not counted again: a provider that
    refuses a hundred requests at once has said one thing, not a hundred. As many successes as
    there are runs in flight win back one slot (additive increase, multiplicative decrease: Chiu
    and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance", 1989).

    Args:
        runner: The study.
        least: The concurrency that is never gone below.
    """

    async def subscriber(stream: ps.EventStream) -> None:
        most = runner.concurrency
        changed_at = None
        successes = 0
        async for event in stream:
            if isinstance(event, RunRetried):
                successes = 0
                if changed_at is None or event.result.started_at >= changed_at:
                    runner.concurrency = max(least, runner.concurrency // 2)
                    changed_at = event.at
            elif isinstance(event, RunSucceeded) and runner.concurrency < most:
                successes += 1
                if successes >= runner.concurrency:
                    runner.concurrency += 1
                    successes = 0

    return subscriber


def stop_at_cost(runner: ps.StudyRunner, limit_usd: float) -> Subscriber:
    """Stop the study when its attempts have cost so much, those that failed included.

    Runs in flight end and are paid for, so the sum is passed by what they cost. What earlier
    sessions spent counts.

    Args:
        runner: The study.
        limit_usd: The sum, in US dollars.
    """

    async def subscriber(stream: ps.EventStream) -> None:
        async for _ in stream:
            spent_usd = runner.summary.cost_usd
            if spent_usd >= limit_usd:
                runner.stop(f"spent ${spent_usd:.2f} of ${limit_usd:.2f}")

    return subscriber


async def run_carefully(study: ps.Study, limit_usd: float) -> ps.StudySummary:
    """Run a study with both subscribers."""
    runner = ps.StudyRunner(study, retry=ps.Retry(attempts=5))
    runner.subscribe(slow_down_on_retries(runner), RunRetried, RunSucceeded)
    stop = stop_at_cost(runner, limit_usd)
    runner.subscribe(stop, StudyStarted, RunRetried, ps.RunFinished)
    return await runner.run()

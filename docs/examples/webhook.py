"""A webhook that misses nothing: each run that is saved is posted, whoever is down or killed.

The receiver may get a run twice, and knows by the header ``Idempotency-Key``, which holds the
number of the event. What was not posted when the study ended is posted by its next session, or by

    penstock deliver DIR webhook.py:webhook --name webhook --event RunFinished
"""

from __future__ import annotations

import os
from typing import Unpack

import httpx

import penstock as ps
from penstock.events import to_json
from penstock.options import RunnerOptions


async def webhook(stream: ps.EventStream) -> None:
    """Post each event as JSON to the address in ``WEBHOOK_URL``.

    A status of an error is raised. The study then calls this again, from the event that was not
    taken, after a second, two, four and so on.
    """
    async with httpx.AsyncClient(timeout=10) as client:
        async for event in stream:
            response = await client.post(
                os.environ["WEBHOOK_URL"],
                content=to_json(event),
                headers={
                    "Content-Type": "application/json",
                    "Idempotency-Key": f"{event.study_id}-{event.seq}",
                },
            )
            response.raise_for_status()


def runner_with_webhook(study: ps.Study, **options: Unpack[RunnerOptions]) -> ps.StudyRunner:
    """Make a runner of a study whose runs are posted when they are saved."""
    runner = ps.StudyRunner(study, **options)
    runner.subscribe(webhook, ps.RunFinished, durable="webhook")
    return runner

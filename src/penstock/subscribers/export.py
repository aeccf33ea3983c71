"""Export: the files of a study when every result is durable."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from penstock._base.loop import undisturbed
from penstock._base.threads import call_in_thread
from penstock.events.bus import EventStream, Subscriber
from penstock.events.subscribing import Subscription
from penstock.events.tree import StudyFinished
from penstock.export.artifacts import export_artifacts

__all__ = ["EVENTS", "export", "exporting"]

EVENTS = (StudyFinished,)


def exporting(directory: Path) -> Subscription:
    """Return the subscription of `export` to a study's end, which waits for it."""
    return Subscription(export(directory), EVENTS, critical=True, is_waited_for=True)


def export(directory: Path) -> Subscriber:
    """Make the subscriber that writes the files of a study at its end, if they are not up to date.

    Args:
        directory: The study's output directory.
    """

    async def subscriber(stream: EventStream) -> None:
        while await undisturbed(stream.batch):
            write = partial(export_artifacts, directory, is_forced=False)
            await call_in_thread(write)

    return subscriber

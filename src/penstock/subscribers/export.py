"""Export: the files of a study when every result is durable."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio.to_thread

from penstock.events.bus import EventStream, Subscriber
from penstock.events.tree import StudyFinished
from penstock.export.artifacts import export_artifacts

__all__ = ["EVENTS", "export"]

EVENTS = (StudyFinished,)


def export(directory: Path) -> Subscriber:
    """Make the subscriber that writes the files of a study once, at its end.

    Args:
        directory: The study's output directory.
    """

    async def subscriber(stream: EventStream) -> None:
        async for _ in stream:
            await anyio.to_thread.run_sync(partial(export_artifacts, directory))

    return subscriber

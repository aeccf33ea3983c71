"""Report: the page about a study, made at its end in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import structlog

from penstock.events.bus import EventStream, Subscriber
from penstock.events.subscribing import Subscription
from penstock.events.tree import StudyFinished
from penstock.study.execution import Execution

__all__ = ["EVENTS", "report", "wanted"]

EVENTS = (StudyFinished,)


def report(directory: Path) -> Subscriber:
    """Make the subscriber that writes ``report.html`` at the end; it holds no host's loop up.

    Args:
        directory: The study's output directory.
    """

    async def subscriber(stream: EventStream) -> None:
        async for _ in stream:
            command = [sys.executable, "-m", "penstock.page.conclusion", str(directory)]
            made = await anyio.run_process(command, check=False)
            if made.returncode:
                said = made.stderr.decode(errors="replace").strip().rpartition("\n")[-1]
                structlog.get_logger("penstock").warning("report.failed", error=said)

    return subscriber


def wanted(execution: Execution, directory: Path) -> list[Subscription]:
    """Return the subscriber where a study says that it wants the report, else nothing."""
    return [Subscription(report(directory), EVENTS)] if execution.report else []

"""What is asked of a study that runs: where it stands, or that something is done to it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Protocol

from penstock.control.protocol import Reply, Request, Snapshot
from penstock.control.steering import Steered, Steering
from penstock.errors import PenstockError, ValidationError
from penstock.events.bus import EventBus
from penstock.events.tree import LoopStalled, WorkersChanged
from penstock.models.session import Gated
from penstock.running.binding import Bindings
from penstock.study.settings import SETTABLE
from penstock.summary import WorkerNow

__all__ = ["Controlled", "Requests"]


class Controlled(Steered, Protocol):
    """A study that can be looked at and acted on: a `StudyRunner`."""

    bindings: Bindings
    bus: EventBus
    has_begun: bool
    steering: Steering
    left_out: int


class Requests:
    """Executes requests to one study.

    Args:
        runner: The study.

    Attributes:
        runner: The study.
    """

    def __init__(self, runner: Controlled) -> None:
        self.runner = runner
        self._began_at = datetime.now(UTC)
        self._stalls, self._culprit = 0, ""
        self._workers: tuple[WorkerNow, ...] = ()

    def note(self, event: object) -> None:
        """Record what happened."""
        if isinstance(event, LoopStalled):
            self._stalls, self._culprit = self._stalls + 1, event.culprit
        elif isinstance(event, WorkersChanged):
            self._workers = event.workers

    async def execute(self, request: Request) -> Reply:
        """Execute a request, and return where the study stands then, or what is wrong."""
        steering, said = self.runner.steering, {"who": request.who, "reason": request.reason}
        try:
            match request.do:
                case "pause":
                    await steering.pause(**said, now=request.now)
                case "resume":
                    await steering.resume(**said)
                case "stop":
                    await steering.stop(**said, now=request.now, for_good=request.for_good)
                case "set":
                    await steering.set(request.values, **said)
                case "unblind":
                    await steering.unblind(**said)
        except ValidationError as error:
            return Reply(errors=tuple(error.errors), snapshot=self.snapshot())
        except (PenstockError, OSError) as error:
            return Reply(errors=(str(error),), snapshot=self.snapshot())

        return Reply(snapshot=self.snapshot())

    @property
    def is_open(self) -> bool:
        """Whether the study has begun and has not ended."""
        return self.runner.has_begun and not self.runner.bus.is_closed

    def snapshot(self) -> Snapshot:
        """Return where the study stands."""
        runner = self.runner
        settings = runner.steering.settings
        return Snapshot(
            study_id=runner.study.study_id,
            pid=os.getpid(),
            began_at=self._began_at,
            summary=runner.summary,
            limit=runner.concurrency,
            left_out=runner.left_out,
            is_paused=runner.steering.is_paused,
            stalls=self._stalls,
            culprit=self._culprit,
            workers=self._workers,
            endpoints=tuple(
                gate
                for each in runner.bindings.resources
                if isinstance(each, Gated)
                for gate in each.endpoints_now()
            ),
            settings={name: settings.value(name) for name in SETTABLE},
        )

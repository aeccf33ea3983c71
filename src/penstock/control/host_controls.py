"""What a host does to a study that its own process runs: look at it, pause it, stop it."""

from __future__ import annotations

from penstock.control.steering import Steering
from penstock.hooks import Hooks
from penstock.running.ending import Ending
from penstock.running.job import Job
from penstock.running.lifecycle import Lifecycle
from penstock.running.parallelism import Parallelism
from penstock.running.scheduler import Scheduler
from penstock.store.actions import this_user
from penstock.subscribers.checkpoint import Unsaved
from penstock.summary import StudySummary

__all__ = ["HostControls"]


class HostControls(Hooks):
    """What a host does to a study through its runner, which makes what is acted on.

    Attributes:
        left_out: Runs without a result that ``only`` leaves to a later session; known once it
            runs.
        steering: Acts on the study while it runs, and keeps each action.
    """

    left_out = 0
    steering: Steering
    _ending: Ending
    _lifecycle: Lifecycle
    _parallelism: Parallelism
    _scheduler: Scheduler[Job]
    _unsaved: Unsaved
    _final: StudySummary | None = None

    @property
    def summary(self) -> StudySummary:
        """Where the study stands now, over all its sessions; ``summary.session`` is this one."""
        return self._final or self._lifecycle.tally.summary(
            in_flight=self._scheduler.in_flight,
            stopped_because=self._ending.why,
            is_out_of_budget=self._ending.is_out_of_budget,
        )

    @property
    def cannot_go_on(self) -> bool:
        """Whether the study was stopped because no run could succeed: a wrong key, all alike."""
        return self._ending.cannot_go_on

    @property
    def concurrency(self) -> int:
        """How many runs may be in flight at once; may be set while the study runs.

        Where it was automatic, setting it ends that.
        """
        return self._scheduler.limit

    @concurrency.setter
    def concurrency(self, limit: int) -> None:
        self._parallelism.hold_at(limit)
        self.steering.note_concurrency(self._scheduler.limit)

    async def pause(self, *, now: bool = False, reason: str = "") -> None:
        """Start no run, and try none again, until `resume`; what is in flight ends.

        Args:
            now: Whether what is in flight is cancelled. Its runs have not failed: they are made
                again after the pause, and what they have cost until now is kept and counted.
            reason: Why; it is kept with who did it and when.

        Raises:
            StoreError: it is done, and cannot be kept.
        """
        await self.steering.pause(who=this_user(), reason=reason, now=now)

    async def resume(self, *, reason: str = "") -> None:
        """Resume after a pause.

        Raises:
            StoreError: it is done, and cannot be kept.
        """
        await self.steering.resume(who=this_user(), reason=reason)

    def recall(self) -> None:
        """Cancel what is in flight; its runs are made again in this session. For `pause`."""
        self._scheduler.recall()

    def stop(self, reason: str = "stopped by the host") -> None:
        """Start no more runs; those in flight end, and everything is saved and exported."""
        self._ending.stop(reason)

    def cancel(self, reason: str = "cancelled by the host") -> None:
        """Stop, and cancel the runs in flight too; they run again in the next session.

        Runs and subscribers that ignore it longer than ``grace_s`` are left behind.
        """
        self._ending.cancel(reason)

    def save_at_once(self) -> int:
        """Save what has ended though the event loop stands still; return how many attempts.

        For a process that is about to end; any thread and a signal's handler may call it.
        """
        return self._unsaved.save()

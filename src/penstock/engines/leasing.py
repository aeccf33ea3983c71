"""The driver's side: leases attempts to workers, and takes what they come to."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from math import inf

import anyio

from penstock._base.logger import logger
from penstock._base.loop import is_closed_by, take_back_cancellations, undisturbed
from penstock.engines.answering import Answering
from penstock.engines.boot import Boot
from penstock.engines.engine import Batch, Engine, Joined, Lost
from penstock.engines.leased import Acknowledging, Leased, Worker
from penstock.engines.limiting import Limits
from penstock.engines.messages import (
    Answered,
    Ask,
    Borrow,
    Drop,
    Ended,
    FromWorker,
    GiveBack,
    Leaving,
    Observed,
    Revoke,
    Stalled,
)
from penstock.engines.roster import Roster
from penstock.engines.suspicion import Suspicions
from penstock.errors import EngineError, StopStudy, StudyCancelled, WorkerLostError
from penstock.events.tree import Event, LoopStalled
from penstock.models.calls.elsewhere import ModelCaller
from penstock.models.session import Session
from penstock.results import RunResult
from penstock.running.attempt import Attempt
from penstock.running.attempts import Task

__all__ = ["Leasing"]

_CANCELLED = StudyCancelled.__name__

_OTHERS_COME_S = 3.0
"""After so many seconds with no worker but those that cannot run the study, it stops."""

_SHARE_KEPT_S = 10.0
"""After so many seconds those that are there share what was kept for others to come."""


class Leasing:
    """Has attempts made by the workers of an engine; open while a session runs.

    An attempt goes to the worker that makes the fewest. One whose worker is lost comes back
    without a result, and whoever asked for it asks again.

    Args:
        engine: Reaches the workers.
        boot: How they begin.
        callers: Who calls models, by the names that workers use too.
        stop: Called with the reason when no worker can run the study.
        announce: Says events.

    Attributes:
        late: How many results came of attempts whose worker had been taken for lost; each was
            made again, and these are not kept.
    """

    def __init__(
        self,
        engine: Engine,
        boot: Boot,
        callers: Mapping[str, ModelCaller],
        stop: Callable[[str], None],
        announce: Callable[..., None],
    ) -> None:
        self.late = 0
        self._engine = engine
        self._boot = boot
        self._stop = stop
        self._announce = announce
        self._roster = Roster(announce)
        self._waiting: deque[Leased] = deque()
        self._suspicions = Suspicions()
        self._answering = Answering(callers)
        self._limits = Limits(boot.limiters)
        self._acknowledging = Acknowledging(engine.saved)
        self._numbers = count(1)
        self._has_changed = anyio.Event()

    async def __call__(self, attempt: Attempt, task: Task) -> RunResult:
        """Have a worker make an attempt; return what came of it, or that its worker was lost.

        Where its answer is there and its worker was lost while it was scored, what is returned is
        that answer, with the status ``scoring``.
        """
        leased = Leased(next(self._numbers), attempt, task)
        self._waiting.append(leased)
        self._place()
        try:
            await leased.is_over.wait()
        except BaseException as error:
            if is_closed_by(error):
                raise

            self._revoke(leased)
            await undisturbed(leased.is_over.wait)
            await take_back_cancellations()

        return leased.end()

    def gate(self) -> Awaitable[None] | None:
        """Return None where a worker has room for an attempt, else what to wait for."""
        if not self._waiting and self._roster.has_room():
            return None

        self._has_changed = anyio.Event()
        return self._has_changed.wait()

    def note_saved(self, events: Iterable[Event]) -> None:
        """Note that what events tell survives a crash: the workers that said it may forget it."""
        for event in events:
            result = getattr(event, "result", None)
            if result is not None:
                self._acknowledging.note_saved(result.run_id, result.attempt)

    @asynccontextmanager
    async def open(self, session: Session) -> AsyncIterator[None]:
        """Have workers inside ``async with``.

        Raises:
            EngineError: they cannot be started, or found.
        """
        session.on_stop(self._drop_waiting)
        await self._engine.start(self._boot)
        failure: BaseException | None = None
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._listen)
                self._tasks.start_soon(self._roster.tell)
                self._tasks.start_soon(self._roster.miss)
                try:
                    yield
                except BaseException as error:  # noqa: BLE001 - raised below, not as a group
                    failure = error

                self._tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._engine.aclose()

            self._roster.let_go()

        if failure is not None:
            raise failure

    async def _listen(self) -> None:
        try:
            async for arrival in self._engine.incoming():
                if isinstance(arrival, Joined):
                    self._join(arrival)
                elif isinstance(arrival, Lost):
                    self._lose(arrival)
                else:
                    self._take(arrival)
        except EngineError as error:
            self._stop(str(error))
            for name in self._roster.names:
                self._lose(Lost(name, str(error)))

            self._drop_waiting(str(error))

    def _drop_waiting(self, why: str) -> None:
        """Leave attempts that nobody has begun to the next session: the study stops."""
        for leased in self._waiting:
            leased.lost = StopStudy(why)
            leased.is_over.set()

        self._waiting.clear()

    def _join(self, joined: Joined) -> None:
        if joined.refusal:
            logger().warning("worker.refused", worker=joined.worker, reason=joined.refusal)
            self._roster.to_come = joined.others  # nobody keeps a share for it
            self._place()
            self._tasks.start_soon(self._stop_without_others, joined)
            return

        worker = self._roster.join(joined)
        if joined.others:
            self._tasks.start_soon(self._share_all)

        self._tasks.start_soon(self._send_to, worker)
        self._place()

    async def _stop_without_others(self, refused: Joined) -> None:
        """Stop the study where a worker cannot run it and no other is there that can."""
        await anyio.sleep(_SHARE_KEPT_S if refused.others else _OTHERS_COME_S)
        if not self._roster:
            self._stop(f"worker {refused.worker} cannot run this study: {refused.refusal}")

    async def _share_all(self) -> None:
        """Let those that are there have the share of those that have not come."""
        await anyio.sleep(_SHARE_KEPT_S)
        self._roster.to_come = 0
        self._place()

    async def _send_to(self, worker: Worker) -> None:
        while not worker.is_lost:
            await worker.has_mail.wait()
            worker.has_mail = anyio.Event()
            said, worker.outbox = worker.outbox, []
            if said:
                await self._engine.send(worker.name, said)
                await anyio.sleep(self._boot.flush_s)  # what is said meanwhile goes together

    def _lose(self, lost: Lost) -> None:
        worker = self._roster.lose(lost.worker, lost.why)
        if worker is None:
            return

        leases = list(worker.leases.values())
        self._suspicions.note_end({leased.position for leased in leases})
        for leased in leases:
            is_culprit = self._suspicions.is_culprit(leased.position)
            leased.attempt.ctx.provenance["worker"] = worker.name
            self._limits.end(leased, self._boot.lease_s if lost.may_live else 0.0)
            leased.lost = WorkerLostError(worker.name, lost.why, is_culprit=is_culprit)
            if not self._answering.lose(leased):
                leased.is_over.set()

        self._acknowledging.forget(worker.name)
        self._place()

    def _take(self, batch: Batch) -> None:
        worker, ended = self._roster.get(batch.worker), []
        for message in batch.messages:
            if isinstance(message, Stalled):
                self._announce(LoopStalled, worker=batch.worker, **message.told())
                continue

            if isinstance(message, Leaving):
                self._roster.retire(batch.worker)
                continue

            leased = None if worker is None else worker.leases.get(message.lease)
            if worker is None or leased is None:
                self._note_late(batch.worker, message)
            elif isinstance(message, Ended):
                ended.append((message.run_id, message.result["attempt"]))
                self._end(worker, leased, message)
            else:
                self._hear(worker, leased, message)

        self._acknowledging.expect(batch.worker, batch.seq, ended)
        if ended:
            self._place()

    def _hear(self, worker: Worker, leased: Leased, message: FromWorker) -> None:
        match message:
            case Observed():
                leased.attempt.ctx.take(message.observation)
            case Ask():
                self._answering.ask(worker, leased, message)
            case Drop():
                self._answering.drop(leased, message.call)
            case Borrow():
                self._limits.lend(worker, message)
            case GiveBack():
                self._limits.take_back(message)
            case Answered():
                leased.answered = leased.outcome(message.result)
                if leased.task.on_answer is not None:
                    leased.task.on_answer(leased.attempt, leased.answered)

    def _end(self, worker: Worker, leased: Leased, ended: Ended) -> None:
        self._roster.note_end(worker, leased)
        self._limits.end(leased)
        self._suspicions.clear(leased.position)
        if worker.most < inf:
            positions = (each.position for each in worker.leases.values())
            worker.most = self._suspicions.least(positions)

        leased.attempt.is_interrupted = ended.is_interrupted
        leased.is_over.set()
        result = leased.outcome(ended.result)
        error = result.error
        if error is not None and error.kind == _CANCELLED and not leased.is_revoked:
            leased.lost = WorkerLostError(worker.name, "it had heard nothing of the driver")
            return

        leased.result = result

    def _note_late(self, worker: str, message: FromWorker) -> None:
        if isinstance(message, Ended):
            self.late += 1
            logger().warning("worker.late_result", worker=worker, run_id=message.run_id)

    def _place(self) -> None:
        """Assign those that wait to workers, first come first served."""
        share = self._roster.share(len(self._waiting))
        while self._waiting:
            most = self._suspicions.most_beside(self._waiting[0].position)
            worker = self._roster.with_fewest(min(share, most))
            if worker is None:
                break

            leased = self._waiting.popleft()
            self._roster.note_begin(worker, leased)
            worker.most = min(worker.most, most)
            worker.say(leased.terms())

        self._has_changed.set()

    def _revoke(self, leased: Leased) -> None:
        """Cancel an attempt; one that nobody makes yet is over."""
        leased.is_revoked = True
        if leased.lost is not None:
            self._answering.cancel(leased)
        elif leased.worker is not None:
            leased.worker.say(Revoke(lease=leased.number))
        elif leased in self._waiting:
            self._waiting.remove(leased)
            leased.is_over.set()

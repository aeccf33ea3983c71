"""The worker's side: makes the attempts that are leased to it, and says what they come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from math import inf
from threading import get_ident

import anyio

from penstock._base.loop import OwnTask, call_later, call_soon_from_threads, running_loop
from penstock.agents.context import RunContext
from penstock.engines.boot import Boot, bound
from penstock.engines.calling import Calling
from penstock.engines.limiting import LimitsElsewhere
from penstock.engines.messages import (
    Answered,
    Ended,
    FromWorker,
    Granted,
    Lease,
    Leaving,
    Observed,
    Revoke,
    Stalled,
    ToWorker,
    told,
)
from penstock.results import Observation, RunResult
from penstock.running.attempt import Attempt
from penstock.running.attempts import AttemptsHere, Task
from penstock.running.scheduler import Orders

__all__ = ["AgentHost"]

_MOST_IN_BATCH = 512


class _Attempt(Attempt):
    """An attempt whose answer is no event yet: the driver makes one of what it is told."""

    __slots__ = ()

    def observed(
        self,
        reported: Sequence[Observation],
        outputs_json: str,  # noqa: ARG002 - the other way to see it
        ended_at: datetime,  # noqa: ARG002
    ) -> tuple[Observation, ...]:
        """Return what the agent reported."""
        return tuple(reported)


@dataclass(slots=True)
class _Leased:
    """An attempt under way."""

    attempt: Attempt
    orders: Orders
    task: OwnTask | None = None


class AgentHost:
    """Makes attempts in the event loop that it is made in.

    What it says goes into batches, and each is kept until the driver has saved what it holds.

    Args:
        boot: How it begins.
        deliver: Takes each batch, with its number, as it is made up.

    Attributes:
        unsaved: What was said and may not be saved yet, by the number of its batch.

    Raises:
        ValidationError: the study cannot be run here, or is not the driver's.
    """

    def __init__(self, boot: Boot, deliver: Callable[[int, Sequence[FromWorker]], None]) -> None:
        self._calling = Calling(boot.endpoints, self._say, boot.lease_s)
        self._limits = LimitsElsewhere(boot.limiters, self._say)
        self._plan, self._bindings = bound(boot, self._calling)
        self._outcomes = self._plan.study.outcomes
        self._attempts = AttemptsHere(self._bindings, self._outcomes)
        self._boot = boot
        self._deliver = deliver
        self._leases: dict[int, _Leased] = {}
        self._outbox: list[FromWorker] = []
        self._seq = 0
        self._last = 0
        self._flushed_at = -inf
        self.unsaved: dict[int, Sequence[FromWorker]] = {}
        self._thread, self._call_soon = get_ident(), call_soon_from_threads()
        self._heard_at = anyio.current_time()
        self._is_closed = self._is_leaving = False
        self._watch()

    @property
    def in_flight(self) -> int:
        """How many attempts are under way."""
        return len(self._leases)

    def run_of(self, task: object) -> str | None:
        """Return the run that a task of this event loop makes; any thread may ask."""
        for leased in list(self._leases.values()):
            if leased.task is not None and leased.task.is_task(task):
                return leased.attempt.ctx.spec.run_id

        return None

    def say_stalled(self, duration_s: float, culprit: str, stack: str, run_id: str | None) -> None:
        """Say that the event loop stood still."""
        self._say(Stalled(duration_s, culprit, stack, run_id))

    def leave(self) -> None:
        """Say that nothing new is to come, and end what is under way."""
        self._is_leaving = True
        self._say(Leaving())

    @property
    def has_left(self) -> bool:
        """Whether all has ended, and is saved, that was under way; any thread may ask."""
        return self._is_leaving and not (self._leases or self._outbox or self.unsaved)

    def receive(self, messages: Sequence[ToWorker]) -> None:
        """Do what the driver says."""
        self.hear()
        for message in messages:
            if isinstance(message, Lease):
                self._begin(message)
            elif isinstance(message, Revoke):
                self._revoke(message.lease)
            elif isinstance(message, Granted):
                self._limits.hear(message)
            else:
                self._calling.hear(message)

    def hear(self, saved: Sequence[int] = ()) -> None:
        """Note that the driver is there, and forget the batches whose messages are saved."""
        self._heard_at = anyio.current_time()
        for seq in saved:
            self.unsaved.pop(seq, None)

    def cancel(self) -> None:
        """Cancel every attempt."""
        for lease in list(self._leases):
            self._revoke(lease)

    def close(self) -> None:
        """Cancel every attempt, and say nothing more."""
        self._is_closed = True
        self.cancel()

    def _watch(self) -> None:
        """Cancel everything when the driver has been silent: nobody may go on spending."""
        if self._is_closed:
            return

        if anyio.current_time() - self._heard_at > self._boot.lease_s:
            self.cancel()

        call_later(self._boot.lease_s / 4, self._watch)

    def _begin(self, lease: Lease) -> None:
        if lease.lease <= self._last:  # said twice, for a connection broke; numbers only grow
            return

        self._last = lease.lease
        spec, orders = self._plan.at(lease.position), Orders()
        ctx = RunContext(
            spec,
            self._bindings.problems[spec.problem_id],
            self._plan.condition_of(spec),
            lease.attempt,
            planned_order=lease.planned_order,
            started_order=lease.started_order,
            limiters=self._limits.of(lease.lease),
            models=self._bindings.models,
            on_observe=partial(self._observed, lease.lease),
        )
        self._calling.begin(lease.lease, ctx)
        attempt = _Attempt(ctx, orders, self._outcomes, lease.evaluator_timeout_s)
        leased = self._leases[lease.lease] = _Leased(attempt, orders)
        leased.task = OwnTask(
            self._make(lease, attempt),
            name=f"lease {lease.lease}",
            on_end=partial(self._end_without_result, lease.lease),
        )

    def _revoke(self, number: int) -> None:
        leased = self._leases.get(number)
        if leased is not None and leased.task is not None and not leased.orders.cancelled:
            leased.orders.stopped = leased.orders.cancelled = True
            leased.task.cancel()

    async def _make(self, lease: Lease, attempt: Attempt) -> None:
        task = Task(
            timeout_s=lease.timeout_s,
            on_answer=lambda _, result: self._say(Answered(lease=lease.lease, result=told(result))),
            earlier=lease.earlier,
            has_scored=frozenset(lease.has_scored),
        )
        self._end(lease.lease, await self._attempts(attempt, task))

    def _end(self, number: int, result: RunResult) -> None:
        attempt = self._leases.pop(number).attempt
        self._calling.end(attempt.ctx)
        self._say(
            Ended(
                lease=number,
                run_id=result.run_id,
                result=told(result),
                is_interrupted=attempt.is_interrupted,
            )
        )

    def _end_without_result(self, number: int) -> None:
        """End an attempt that was cancelled before its first step."""
        if number in self._leases:
            self._end(number, self._leases[number].attempt.cut_off())

    def _observed(self, lease: int, ctx: RunContext) -> None:
        # An agent in a thread neither enters this loop nor waits for it.
        if get_ident() != self._thread:
            self._call_soon(self._say_observed, lease, ctx)
        else:
            self._say_observed(lease, ctx)

    def _say_observed(self, lease: int, ctx: RunContext) -> None:
        if not ctx.is_over:  # else it is in the result
            for observation in ctx.unannounced():
                self._say(Observed(lease=lease, observation=observation))

    def _say(self, message: FromWorker) -> None:
        if self._is_closed:
            return

        self._outbox.append(message)
        if len(self._outbox) >= _MOST_IN_BATCH:
            self._flush()
        elif len(self._outbox) == 1:
            next_batch_at = self._flushed_at + self._boot.flush_s
            call_later(max(0.0, next_batch_at - running_loop().time()), self._flush)

    def _flush(self) -> None:
        if self._outbox and not self._is_closed:
            self._seq += 1
            self._flushed_at = running_loop().time()
            self.unsaved[self._seq] = batch = self._outbox
            self._outbox = []
            self._deliver(self._seq, batch)

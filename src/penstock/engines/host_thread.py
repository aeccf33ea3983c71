"""An agent host in a thread and an event loop of its own.

An agent that blocks its event loop blocks the other attempts of its worker, and not what tells the
driver that the worker is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from threading import Event, Thread
from time import monotonic

import anyio

from penstock._base.logger import logger
from penstock._base.loop import call_soon_from_threads, leave_tasks_behind
from penstock.engines.boot import Boot
from penstock.engines.host import AgentHost
from penstock.engines.messages import FromWorker, read_to_worker, written
from penstock.errors import PenstockError, message_of
from penstock.running.garbage import relaxed_gc
from penstock.running.watchdog.watching import Sight, Watchdog

__all__ = ["HostThread"]

_LEAVE_THE_LOOP = "an agent may stop its own tasks, and neither all of them nor the event loop"

_END_S = 1.0
"""How long attempts have to end that are cancelled, before their loop is left, in seconds."""


class HostThread:
    """Makes the attempts that are leased to a worker; any thread may call it.

    Args:
        boot: How it begins.
        on_batch: Called, in the thread, when there is something new to deliver.

    Attributes:
        batches: What is to be delivered, as JSON, by number; what is saved is taken out.
        refusal: Why it makes no attempts, where that is so; known once `wait_until_ready` returns.
        is_gone: Whether its event loop has ended by itself, as where an agent has stopped it.
    """

    def __init__(self, boot: Boot, on_batch: Callable[[], None]) -> None:
        self.batches: dict[int, bytes] = {}
        self.refusal = ""
        self.is_gone = False
        self._boot = boot
        self._heard_at = monotonic()
        self._on_batch = on_batch
        self._is_ready = Event()
        self._call_soon: Callable[..., None] = lambda *_: None
        self._host: AgentHost | None = None
        Thread(target=self._run, name="penstock-agents", daemon=True).start()

    def wait_until_ready(self) -> None:
        """Wait until the study is loaded, or refused."""
        self._is_ready.wait()

    def receive(self, data: bytes) -> None:
        """Do what the driver says."""
        self._heard_at = monotonic()
        messages = read_to_worker(data)
        if self._host is not None:
            self._call_soon(self._host.receive, messages)

    def hear(self, saved: Sequence[int] = ()) -> None:
        """Note that the driver is there, and which batches are saved."""
        self._heard_at = monotonic()
        for seq in saved:
            self.batches.pop(seq, None)

        if self._host is not None:
            self._call_soon(self._host.hear, saved)

    @property
    def is_left(self) -> bool:
        """Whether nothing was heard of the driver for the length of a lease."""
        return monotonic() - self._heard_at > self._boot.lease_s

    def leave(self) -> None:
        """Have the driver send nothing new."""
        if self._host is not None:
            self._call_soon(self._host.leave)

    @property
    def has_left(self) -> bool:
        """Whether all that was under way is over and saved, after `leave`."""
        return self._host is None or self.is_gone or self._host.has_left

    def close(self) -> None:
        """Cancel every attempt, and end the thread."""
        self._call_soon(self._end)

    def _run(self) -> None:
        try:
            anyio.run(self._serve)
        except BaseException as error:  # noqa: BLE001 - no attempt raises anything here
            why = message_of(error) or type(error).__name__
            logger().error("worker.event_loop_ended", error=why, what_to_do=_LEAVE_THE_LOOP)
            self.is_gone = True
            self._on_batch()
        finally:
            self._is_ready.set()

    async def _serve(self) -> None:
        try:
            self._host = AgentHost(self._boot, self._deliver)
        except BaseException as error:  # noqa: BLE001 - whatever the study's own code raises
            said = [] if isinstance(error, PenstockError) else [type(error).__name__]
            self.refusal = ": ".join(filter(None, [*said, message_of(error)]))
            return

        self._ended = anyio.Event()
        # In the context of this loop, whoever calls: his may not know that one runs here.
        self._call_soon = partial(call_soon_from_threads(), copy_context().run)
        self._is_ready.set()
        with relaxed_gc(), self._stalls_told(self._host):
            try:
                await self._ended.wait()
            finally:
                self._host.close()  # also where an agent ends the loop: none has failed by that

        await leave_tasks_behind(_END_S)

    @contextmanager
    def _stalls_told(self, host: AgentHost) -> Iterator[None]:
        """Watch the event loop inside the block, as the driver's is watched."""
        threshold_s = self._boot.stall_threshold_s
        if threshold_s is None:
            yield
            return

        def say(duration_s: float, sight: Sight) -> None:
            host.say_stalled(duration_s, sight.culprit, sight.stack, sight.who)

        def log(duration_s: float, sight: Sight) -> None:
            said = {"lasts_s": round(duration_s, 1), "culprit": sight.culprit, "run_id": sight.who}
            logger().warning("worker.blocked", **said)

        with Watchdog(threshold_s).watching(host.run_of, say, log):
            yield

    def _end(self) -> None:
        self._ended.set()

    def _deliver(self, seq: int, batch: Sequence[FromWorker]) -> None:
        self.batches[seq] = written(batch)
        self._on_batch()

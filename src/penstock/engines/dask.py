"""Workers on Dask: processes of this machine, the ranks of a job, or a cluster that exists.

The extra ``penstock[dask]`` installs what it needs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from itertools import count
from math import inf
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import anyio

from penstock._base.extras import load_extra, refuse_without
from penstock._base.loop import OwnTask
from penstock._base.threads import call_in_thread
from penstock.engines.attended import Attended
from penstock.engines.boot import Boot
from penstock.engines.engine import Arrival, Batch, Joined, Lost
from penstock.engines.messages import ToWorker, read_from_worker, written
from penstock.engines.ranks import leave_word, take_word_back
from penstock.engines.worker_processes import WorkerProcesses
from penstock.errors import EngineError, ValidationError, message_of

__all__ = ["DaskEngine"]

_CONNECT_S, _TRY_AGAIN_S = 10, 0.2
_LOADS_WITHIN = 4
"""A worker has so many times the length of a lease to load the study."""

_LATE_S = _LEAVE_S = 2.0
_NO_CERTIFICATE = (
    "no certificate is configured for it; set distributed.comm.tls.ca-file, and client.cert and "
    "client.key beside it, in Dask's configuration"
)
_EXTRA = {"extra": "dask", "what": "an engine on Dask"}
_POLLS_A_LEASE = 6
_MOST_CONNECTIONS = 10_000


class DaskEngine:
    """Has the attempts of a study made by the workers of a Dask cluster.

    Either a cluster that exists is used, or one is made for the study and ends with it: a scheduler
    in this process that speaks TLS with a certificate of its own, and worker processes.

    Args:
        cluster: The address of a scheduler (``tls://...``), or a ``distributed.Client`` of it.
        workers: How many worker processes are started on this machine, where no cluster is given.
        rendezvous: A file in which the other processes of a job find the cluster that is made, by
            which it can be reached from other machines (see `penstock.engines.ranks`).
        awaited: How many others the job has, where that is known.

    Raises:
        ValidationError: the extra is not installed, or the address is not one of TLS.
    """

    def __init__(
        self,
        cluster: Any = None,
        *,
        workers: int = 0,
        rendezvous: Path | None = None,
        awaited: int = 0,
    ) -> None:
        refuse_without("distributed", **_EXTRA)
        if isinstance(cluster, str) and not cluster.startswith("tls://"):
            raise ValidationError(
                f"the scheduler's address {cluster!r} does not begin with tls://, and without TLS "
                "anyone who reaches it can run code there; a distributed.Client of it may be given"
            )

        self._given = cluster
        self._workers = workers
        self._rendezvous = rendezvous
        self._awaited = awaited
        self._session = uuid4().hex
        self._own: Any = None
        self._processes: WorkerProcesses | None = None
        self._client: Any = None
        self._members: Any = None
        self._pool: Any = None
        self._names: dict[str, str] = {}
        self._numbers = count(1)
        self._attending: dict[str, Attended] = {}
        self._silent: set[str] = set()
        self._heard_again: list[OwnTask] = []

    async def start(self, boot: Boot) -> None:
        """Reach the cluster, or make one, and greet each worker as it comes.

        Raises:
            EngineError: it cannot be reached.
        """
        self._boot = boot
        self._arrivals, self._arrived = anyio.create_memory_object_stream[Arrival | EngineError](
            inf
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.aclose)
            if self._workers:
                self._processes = WorkerProcesses(self._workers)

            await self._reach()
            if self._processes is not None:
                self._processes.begin(self._own.credentials(), self._arrivals.send_nowait)

            if self._rendezvous is not None:
                leave_word(self._rendezvous, self._own.credentials())

            stack.pop_all()

    async def _reach(self) -> None:
        """Reach a cluster, and have every worker taught what it is to do."""
        cluster = partial(_load, "penstock.engines.dask_cluster")
        find = (await call_in_thread(cluster)).find_cluster  # to import it takes half a second
        host = "127.0.0.1" if self._rendezvous is None else None
        address, security, self._own = await find(self._given, host)
        arguments = security.get_connection_args("client")
        if arguments["ssl_context"] is None and address.startswith("tls://"):
            raise EngineError(f"the scheduler at {address} cannot be reached: {_NO_CERTIFICATE}")

        core = _load("distributed.core")
        self._pool = core.ConnectionPool(
            limit=_MOST_CONNECTIONS, connection_args=arguments, timeout=_CONNECT_S
        )
        await self._pool.start()
        self._client = _load("distributed").Client(
            address, security=security, asynchronous=True, name="penstock"
        )
        try:
            await self._client
            members = _load("penstock.engines.dask_members").Members
            tell = self._greet, self._note_gone, self._arrivals.send_nowait
            self._members = members(self._client, *tell)
            await self._members.begin()
        except (OSError, TimeoutError) as error:
            raise EngineError(f"the scheduler at {address} cannot be reached: {error}") from error

    async def incoming(self) -> AsyncIterator[Arrival]:
        """Yield who joins, who is lost, and what they say."""
        async for arrival in self._arrived:
            if isinstance(arrival, EngineError):
                raise arrival

            yield arrival

    async def send(self, worker: str, messages: Sequence[ToWorker]) -> None:
        """Send a message to a worker; one that cannot be reached is lost."""
        attended = self._attending.get(worker)
        if attended is None:
            return

        try:
            is_heard = await self._call(attended, "penstock_send", data=written(messages))
        except TimeoutError:
            why = f"nothing could be said to it for {self._boot.lease_s:g} s"
            self._lose(worker, why, may_live=True)
        else:
            if not is_heard:
                self._greet_again(worker, attended)

    def saved(self, worker: str, seq: int) -> None:
        """Let a worker forget a batch, when it is asked for news next."""
        if worker in self._attending:
            self._attending[worker].saved.append(seq)

    async def aclose(self) -> None:
        """Let the workers go, and end the cluster that was made for the study."""
        with anyio.move_on_after(_LEAVE_S):
            async with anyio.create_task_group() as group:
                for worker in list(self._attending):
                    group.start_soon(self._let_go, worker)

        for task in (*(each.task for each in self._attending.values()), *self._heard_again):
            task.cancel()

        self._attending.clear()
        if self._members is not None:
            self._members.close()

        if self._client is not None:
            with suppress(OSError, TimeoutError):
                await self._client.close()

        if self._pool is not None:
            await self._pool.close()

        if self._rendezvous is not None:
            take_word_back(self._rendezvous)

        if self._own is not None:
            await self._own.aclose()

        if self._processes is not None:
            await self._processes.aclose()

        self._arrivals.close()
        self._arrived.close()

    async def _let_go(self, worker: str) -> None:
        with suppress(Exception):
            await self._call(self._attending[worker], "penstock_leave")

    def _note_gone(self, address: str) -> None:
        self._silent.discard(address)
        if address in self._names:
            self._lose(self._names[address], "its process ended, or cannot be reached")

    def _greet(self, address: str) -> None:
        if address in self._names:
            return

        name = self._names[address] = f"worker-{next(self._numbers)}"
        attended = self._attending[name] = Attended(address)
        attended.task = OwnTask(self._attend(name, attended), name=name)

    def _greet_again(self, name: str, attended: Attended) -> None:
        """Have a worker join anew that has nothing of this session: what made its runs is gone."""
        if name in self._attending:
            self._lose(name, "it has begun anew, or what made its runs there has ended")
            self._greet(attended.address)

    async def _attend(self, name: str, attended: Attended) -> None:
        """Send a worker what it begins with, and receive what it sends until it is lost."""
        lease_s = self._boot.lease_s
        try:
            told, patience_s = self._boot.model_dump_json(), _LOADS_WITHIN * lease_s
            begun = await self._call(attended, "penstock_boot", patience_s, boot=told)
            attended.has_joined = True
            ahead_s = round(begun.get("now", time()) - time())
            joined = begun["capacity"], begun["refusal"], self._to_come(), ahead_s
            self._arrivals.send_nowait(Joined(name, *joined))
            if self._processes is not None:
                self._processes.note_joined()

            while True:
                saved, attended.saved = attended.saved, []
                hold_s = lease_s / _POLLS_A_LEASE
                said: dict[str, Any] = {"saved": saved, "hold_s": hold_s}
                batches = await self._call(attended, "penstock_poll", after=attended.after, **said)
                if batches is None:
                    self._greet_again(name, attended)
                    return

                self._arrive(name, attended, batches)
        except TimeoutError:
            self._lose(name, "it did not answer in time", may_live=True)
        except Exception as error:  # noqa: BLE001 - whatever code of another version raises there
            why = message_of(error) or type(error).__name__
            attended.has_joined = True
            self._arrivals.send_nowait(Joined(name, 0, why, self._to_come()))
            self._lose(name, why)

    def _to_come(self) -> int:
        joined = sum(each.has_joined for each in self._attending.values())
        return max(self._workers + self._awaited, len(self._attending)) - joined

    async def _call(
        self, attended: Attended, name: str, within_s: float | None = None, **said: Any
    ) -> Any:
        """Call a worker, and again where its connection breaks: what is said twice does no harm.

        That its process has ended is heard from the scheduler.

        Raises:
            TimeoutError: it has not answered in time, which is that of a lease if not given.
        """
        with anyio.fail_after(within_s or self._boot.lease_s):
            while attended.address in self._names:
                try:
                    worker = self._pool(attended.address)
                    return await getattr(worker, name)(session=self._session, **said)
                except OSError:
                    await anyio.sleep(_TRY_AGAIN_S)

        raise TimeoutError  # it is lost already

    def _lose(self, name: str, why: str, *, may_live: bool = False) -> None:
        attended = self._attending.pop(name, None)
        if attended is not None:
            self._names.pop(attended.address, None)
            attended.task.cancel()
            self._arrivals.send_nowait(Lost(name, why, may_live))
            if not attended.has_joined and self._processes is not None:
                self._processes.note_lost_loading()
            elif attended.has_joined and may_live:
                self._silent.add(attended.address)
                attended.task = OwnTask(self._hear_again(name, attended), name=name)
                self._heard_again.append(attended.task)

    async def _hear_again(self, name: str, attended: Attended) -> None:
        """Hear what a worker has said that was taken for lost, and have it join anew."""
        address, said = attended.address, {"session": self._session, "saved": []}
        while address in self._silent:
            worker = self._pool(address)
            try:
                with anyio.fail_after(self._boot.lease_s):
                    late = await worker.penstock_poll(after=attended.after, hold_s=_LATE_S, **said)
                    self._arrive(name, attended, late or ())
                    if not late:
                        await worker.penstock_leave(session=self._session)
                        self._silent.discard(address)
                        self._greet(address)
            except (OSError, TimeoutError):
                await anyio.sleep(_TRY_AGAIN_S)

    def _arrive(self, name: str, attended: Attended, batches: Iterable[tuple[int, bytes]]) -> None:
        for seq, data in batches:
            attended.after = seq
            self._arrivals.send_nowait(Batch(name, seq, read_from_worker(bytes(data))))


def _load(module: str) -> Any:
    """Import what needs the extra, late: a study without workers does not wait for it."""
    return load_extra(module, **_EXTRA)

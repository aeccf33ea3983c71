"""What a careful person would write by hand on Dask in place of ``penstock run --workers 2``.

Each worker has two handlers: one starts runs, one returns the rows of those that have ended, as
JSON. The driver polls both workers, hands out as many runs as have ended, and one thread writes the
rows in groups of 256, each synced to the disk: those of `by_hand`. No worker may be lost.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - what one would write by hand
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import orjson
from by_hand import Done, writer
from distributed import Client, LocalCluster
from distributed.core import rpc
from distributed.diagnostics.plugin import WorkerPlugin

__all__ = ["Makes", "run_on_dask"]

POLL_S = 0.01
Cluster: Any = LocalCluster
Scheduled: Any = Client


class Makes(WorkerPlugin):
    """Makes runs that sleep."""

    name = "makes"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def setup(self, worker: Any) -> None:
        self.rows: list[list[Any]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        worker.handlers.update(make=self.make, ended=self.ended)

    async def make(self, numbers: bytes) -> None:
        for number in orjson.loads(numbers):
            task = asyncio.get_running_loop().create_task(self.one(number))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def one(self, number: int) -> None:
        started_at, begun = datetime.now(UTC), perf_counter()
        await asyncio.sleep(self.seconds)
        took_s = perf_counter() - begun
        self.rows.append([number, f"run-{number:012x}", number, started_at, took_s, "x"])

    async def ended(self) -> bytes:
        await asyncio.sleep(POLL_S)
        rows, self.rows = self.rows, []
        return orjson.dumps(rows)


async def _drive(address: str, runs: Iterator[int], each: int, keep: Any, client: Any) -> None:
    arguments = client.security.get_connection_args("client")
    worker: Any = rpc(address, connection_args=arguments)  # type: ignore[no-untyped-call]
    left, in_flight, wanted = True, 0, each
    while left or in_flight:
        numbers = [number for _, number in zip(range(wanted), runs, strict=False)]
        left = len(numbers) == wanted
        if numbers:
            await worker.make(numbers=orjson.dumps(numbers))
            in_flight += len(numbers)

        rows = orjson.loads(await worker.ended())
        for number, run_id, seed, started_at, latency_s, answer in rows:
            moment = datetime.fromisoformat(started_at)
            keep(Done(number, run_id, seed, moment, latency_s, answer))

        in_flight -= len(rows)
        wanted = len(rows)


async def run_on_dask(
    runs: int, concurrency: int, seconds: float, folder: Path
) -> tuple[float, float]:
    """Do so many runs; return how long they took in all, and the driver's CPU, both in seconds."""
    quiet = {"dashboard_address": None, "threads_per_worker": 1, "silence_logs": 50}
    ours = {"n_workers": 2, "processes": True, "asynchronous": True, "security": True}
    async with (
        Cluster(**ours, **quiet) as cluster,
        Scheduled(cluster, asynchronous=True) as client,
    ):
        await client.register_plugin(Makes(seconds))
        addresses = list((await client.scheduler.identity())["workers"])
        begun, cpu, numbers = perf_counter(), process_time(), iter(range(runs))
        with writer(folder) as keep:
            each = concurrency // len(addresses)
            drives = (_drive(address, numbers, each, keep, client) for address in addresses)
            await asyncio.gather(*drives)

        return perf_counter() - begun, process_time() - cpu


if __name__ == "__main__":
    os._exit(2)  # benchmarks/workers.py runs it

"""Leases runs to a hundred workers that are only simulated, on a clock that only simulates too.

    python benchmarks/simulated_workers.py [--workers 100] [--in-flight 1000] [--runs 200000]

Everything of the driver but the store is real: the plan, the scheduler, the lifecycle, leases, and
the JSON of every message. A worker answers each lease after a time that is drawn. Ten workers are
killed on the way, ten join late, and one is silent and comes back. Printed as JSON: processor time
and memory for a lease, how evenly runs were spread, how busy places were, and what was lost.
"""

from __future__ import annotations

import argparse
import asyncio  # noqa: TID251 - it is a loop of asyncio's that is made
import json
import resource
import selectors
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from math import inf
from random import Random
from typing import Any

import anyio

import penstock as ps
from penstock.engines.boot import Boot
from penstock.engines.engine import Arrival, Batch, Joined, Lost
from penstock.engines.leasing import Leasing
from penstock.engines.messages import (
    Ended,
    Lease,
    ToWorker,
    read_from_worker,
    read_to_worker,
    told,
    written,
)
from penstock.events.announcer import Announcer
from penstock.events.bus import EventBus
from penstock.models.session import Session
from penstock.results import RunResult, RunStatus
from penstock.running.checking import prepare
from penstock.running.job import Job
from penstock.running.lifecycle import Lifecycle
from penstock.running.scheduler import Scheduler

LATENCY_S = (1.0, 60.0)
FLUSH_S = 0.01
LOST = 10


class Selector(selectors.DefaultSelector):
    """Lets the time pass that a loop would wait."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.now_s += timeout

        return ready


class Loop(asyncio.SelectorEventLoop):
    """An event loop on a clock of its own."""

    def __init__(self) -> None:
        self.selector = Selector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now_s


class Simulated:
    """An engine whose workers answer after a time that is drawn.

    Args:
        plan: What a position is.
        workers: How many there are at the beginning.
        capacity: How many runs each makes at once.
    """

    def __init__(self, plan: Any, workers: int, capacity: int) -> None:
        self.plan = plan
        self.capacity = capacity
        self.held: dict[str, set[int]] = {}
        self.most: dict[str, int] = {}
        self.busy_s = 0.0
        self.draw = Random(7)
        self.outboxes: dict[str, list[Ended]] = {}
        self.seqs: dict[str, int] = {}
        self.saved_batches = 0
        self.bytes = 0
        self.first = workers

    async def start(self, _: Boot) -> None:
        self.loop = asyncio.get_running_loop()
        self.arrivals, self.arrived = anyio.create_memory_object_stream[Arrival](inf)
        for _place in range(self.first):
            self.join()

    def join(self) -> None:
        name = f"worker-{len(self.most) + 1}"
        self.held[name], self.most[name] = set(), 0
        self.arrivals.send_nowait(Joined(name, self.capacity))

    def lose(self, name: str) -> None:
        self.held.pop(name)
        self.arrivals.send_nowait(Lost(name, "killed"))

    async def incoming(self) -> AsyncIterator[Arrival]:
        async for arrival in self.arrived:
            yield arrival

    async def send(self, worker: str, messages: Sequence[ToWorker]) -> None:
        data = written(messages)
        self.bytes += len(data)
        for lease in read_to_worker(data):
            if isinstance(lease, Lease) and worker in self.held:
                self.held[worker].add(lease.lease)
                self.most[worker] = max(self.most[worker], len(self.held[worker]))
                self.loop.call_later(self.draw.uniform(*LATENCY_S), self.end, worker, lease)

    def end(self, worker: str, lease: Lease) -> None:
        if worker not in self.held:
            return

        self.held[worker].discard(lease.lease)
        now = datetime(2026, 1, 1, tzinfo=UTC)
        result = RunResult(
            spec=self.plan.at(lease.position),
            status=RunStatus.SUCCESS,
            attempt=lease.attempt,
            started_at=now,
            ended_at=now,
            latency_s=1.0,
            outputs_json=json.dumps({"text": "x" * 200}),
            metrics={"cost_usd": 0.001, "input_tokens": 100, "output_tokens": 50},
        )
        outbox = self.outboxes.setdefault(worker, [])
        ended = {"run_id": result.run_id, "attempt": result.attempt, "result": told(result)}
        outbox.append(Ended(lease=lease.lease, **ended))
        if len(outbox) == 1:
            self.loop.call_later(FLUSH_S, self.flush, worker)

    def flush(self, worker: str) -> None:
        batch = self.outboxes.pop(worker)
        if worker in self.held:
            self.seqs[worker] = self.seqs.get(worker, 0) + 1
            data = written(batch)
            self.bytes += len(data)
            self.arrivals.send_nowait(Batch(worker, self.seqs[worker], read_from_worker(data)))

    def saved(self, _: str, __: int) -> None:
        self.saved_batches += 1

    async def aclose(self) -> None:
        self.arrivals.close()
        self.arrived.close()


async def nobody(ctx: ps.RunContext) -> str:
    raise AssertionError("attempts are made by workers")


async def simulate(workers: int, in_flight: int, runs: int) -> dict[str, Any]:
    study = ps.Study(
        study_id="simulated",
        title="A study of workers",
        problems=(ps.Problem(problem_id="p"),),
        agent_specs=("nobody",),
        replicates=runs,
    )
    plan, bindings = prepare(study, agent_bindings={"nobody": nobody}).ready()
    engine = Simulated(plan, workers, in_flight)
    boot = Boot(study="{}", base_dir=None, study_file=None, fingerprint="")
    stops: list[str] = []
    announce = Announcer(EventBus(), "simulated")
    leasing = Leasing(engine, boot, bindings.callers, stops.append, announce)
    execution = ps.Execution(concurrency=workers * in_flight)
    lifecycle = Lifecycle(plan, bindings, announce, execution, stop=stops.append, attempts=leasing)
    scheduler = Scheduler[Job](lifecycle, workers * in_flight, leasing.gate)
    loop = asyncio.get_running_loop()
    for place in range(LOST):
        loop.call_at(100 + 10 * place, engine.lose, f"worker-{place + 1}")
        loop.call_at(105 + 10 * place, engine.join)

    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun_cpu = time.process_time()
    session = Session(0.0, 0, stops.append, lambda *_, **__: None)
    async with leasing.open(session):
        await scheduler.run(Job(position, position) for position in range(runs))

    cpu_s = time.process_time() - begun_cpu
    held_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    tally, seconds = lifecycle.tally, loop.time()
    early = sorted(engine.most[f"worker-{place + 1}"] for place in range(workers))
    mean_s = sum(LATENCY_S) / 2
    return {
        "workers": workers,
        "in flight": workers * in_flight,
        "runs": runs,
        "succeeded": tally.succeeded,
        "attempts": tally.attempts,
        "lost attempts, made again": tally.cancelled,
        "seconds simulated": round(seconds),
        "least seconds": round(runs * mean_s / (workers * in_flight)),
        "CPU us a lease, workers' part included": round(1e6 * cpu_s / tally.attempts, 1),
        "KB in flight a lease, both parts": round(held_kb / (workers * in_flight), 1),
        "bytes a lease": round(engine.bytes / tally.attempts),
        "most in flight of a worker, least and most": [early[0], early[-1]],
        "stopped": stops,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--in-flight", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=200_000)
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=Loop) as runner:
        found = runner.run(simulate(asked.workers, asked.in_flight, asked.runs))

    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

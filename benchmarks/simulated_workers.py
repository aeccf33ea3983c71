"""Leases runs to a hundred workers that are only simulated, on a clock that only simulates too.

    python benchmarks/simulated_workers.py [--scale 1.0] [--write]

Everything of the driver but the store is real: the plan, the scheduler, the lifecycle, leases,
named limits, and the JSON of every message. A worker answers each lease after a time that is drawn.
It prints a table, which ``--write`` puts into docs/many-machines.md.
"""

from __future__ import annotations

import argparse
import asyncio  # noqa: TID251 - it is a loop of asyncio's that is made
import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from math import inf
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import anyio

import penstock as ps
from penstock.engines.boot import Boot
from penstock.engines.engine import Arrival, Batch, Joined, Lost
from penstock.engines.leasing import Leasing
from penstock.engines.messages import (
    Borrow,
    Ended,
    FromWorker,
    GiveBack,
    Granted,
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

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.virtual_time import VirtualLoop

DOCS = Path(__file__).parents[1] / "docs" / "many-machines.md"
BEGIN, END = "<!-- simulated workers -->\n", "<!-- end of simulated workers -->\n"
FLUSH_S = 0.01
HOLDS_S = 1.0


class Case(NamedTuple):
    """What is simulated: runs of about half a minute, and what befalls their workers.

    Args:
        name: What it is called.
        workers: How many there are at the beginning.
        in_flight: How many runs each of them makes at once.
        rounds: How many runs there are for each place.
        lost: How many workers are killed, one every 5 s; another comes 5 s later for each.
        late: How many more workers come in the second minute.
        limit: How many runs may hold a named limit at once, each for a second; 0 for none.
    """

    name: str
    workers: int = 100
    in_flight: int = 1000
    rounds: float = 2
    lost: int = 0
    late: int = 0
    limit: int = 0


CASES = (
    Case("one worker", workers=1, rounds=10),
    Case("ten workers", workers=10, rounds=2),
    Case("a hundred workers", rounds=1.2),
    Case("ten of a hundred are lost", rounds=1.2, lost=10),
    Case("twenty more join eighty", workers=80, rounds=1.5, late=20),
    Case("a limit of 5,000 over ten workers", workers=10, rounds=2, limit=5000),
)


class Simulated:
    """An engine whose workers answer after a time that is drawn."""

    def __init__(self, plan: Any, case: Case) -> None:
        self.plan = plan
        self.case = case
        self.held: dict[str, dict[int, int]] = {}
        self.ended: dict[str, int] = {}
        self.draw = Random(7)
        self.outboxes: dict[str, list[FromWorker]] = {}
        self.seqs: dict[str, int] = {}
        self.bytes = 0
        self.own_s = 0.0
        self.busy_s = 0.0
        self.lost_at: dict[int, float] = {}
        self.again_s: list[float] = []
        self.joined_at: dict[str, float] = {}
        self.full_s: list[float] = []
        self.holding: set[tuple[str, int]] = set()
        self.most_holding = 0

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Do not count what the workers themselves take."""
        begun = time.process_time()
        yield
        self.own_s += time.process_time() - begun

    async def start(self, _: Boot) -> None:
        self.loop = asyncio.get_running_loop()
        self.arrivals, self.arrived = anyio.create_memory_object_stream[Arrival](inf)
        for _place in range(self.case.workers):
            self.join()

        for place in range(self.case.lost):
            self.loop.call_later(20 + 5 * place, self.lose, f"worker-{place + 1}")
            self.loop.call_later(25 + 5 * place, self.join)

        for place in range(self.case.late):
            self.loop.call_later(60 + 2 * place, self.join)

    def join(self) -> None:
        name = f"worker-{len(self.ended) + 1}"
        self.held[name], self.ended[name] = {}, 0
        self.joined_at[name] = self.loop.time()
        self.arrivals.send_nowait(Joined(name, self.case.in_flight))

    def lose(self, name: str) -> None:
        for position in self.held.pop(name).values():
            self.lost_at[position] = self.loop.time()

        self.holding = {each for each in self.holding if each[0] != name}
        self.arrivals.send_nowait(Lost(name, "killed"))

    async def incoming(self) -> AsyncIterator[Arrival]:
        async for arrival in self.arrived:
            yield arrival

    async def send(self, worker: str, messages: Sequence[ToWorker]) -> None:
        data = written(messages)
        self.bytes += len(data)
        with self.apart():
            for message in read_to_worker(data):
                if isinstance(message, Lease) and worker in self.held:
                    self.take(worker, message)
                elif isinstance(message, Granted) and worker in self.held:
                    self.holding.add((worker, message.number))
                    self.most_holding = max(self.most_holding, len(self.holding))
                    self.loop.call_later(HOLDS_S, self.give_back, worker, message)

    def take(self, worker: str, lease: Lease) -> None:
        held, now = self.held[worker], self.loop.time()
        held[lease.lease] = lease.position
        if len(held) >= 0.9 * self.case.in_flight and worker in self.joined_at:
            self.full_s.append(now - self.joined_at.pop(worker))

        if lease.position in self.lost_at:
            self.again_s.append(now - self.lost_at.pop(lease.position))

        takes_s = self.draw.uniform(5, 55)
        if self.case.limit:
            self.say(worker, Borrow(lease=lease.lease, number=lease.lease, limiter="api"))
            self.later(takes_s, worker, lease)
        else:
            self.later(takes_s, worker, lease)

    def later(self, takes_s: float, worker: str, lease: Lease) -> None:
        self.busy_s += takes_s
        self.loop.call_later(takes_s, self.end, worker, lease)

    def give_back(self, worker: str, granted: Granted) -> None:
        if (worker, granted.number) in self.holding:
            self.holding.discard((worker, granted.number))
            self.say(worker, GiveBack(lease=granted.lease, number=granted.number))

    def end(self, worker: str, lease: Lease) -> None:
        if worker not in self.held:
            return

        with self.apart():
            del self.held[worker][lease.lease]
            self.ended[worker] += 1
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
            ended = Ended(lease=lease.lease, run_id=result.run_id, result=told(result))
            self.say(worker, ended)

    def say(self, worker: str, message: FromWorker) -> None:
        outbox = self.outboxes.setdefault(worker, [])
        outbox.append(message)
        if len(outbox) == 1:
            self.loop.call_later(FLUSH_S, self.flush, worker)

    def flush(self, worker: str) -> None:
        batch = self.outboxes.pop(worker)
        if worker in self.held:
            self.seqs[worker] = self.seqs.get(worker, 0) + 1
            with self.apart():
                data = written(batch)

            self.bytes += len(data)
            self.arrivals.send_nowait(Batch(worker, self.seqs[worker], read_from_worker(data)))

    def saved(self, _: str, __: int) -> None:
        pass

    async def aclose(self) -> None:
        self.arrivals.close()
        self.arrived.close()


async def nobody(ctx: ps.RunContext) -> str:
    raise AssertionError("attempts are made by workers")


async def simulate(case: Case) -> dict[str, str]:
    places = case.workers * case.in_flight
    runs = int(places * case.rounds)
    study = ps.Study(
        study_id="simulated",
        title="A study of workers",
        problems=(ps.Problem(problem_id="p"),),
        agent_specs=("nobody",),
        replicates=runs,
    )
    plan, bindings = prepare(study, agent_bindings={"nobody": nobody}).ready()
    engine = Simulated(plan, case)
    limiters = {"api": case.limit} if case.limit else {}
    boot = Boot(study="{}", base_dir=None, study_file=None, fingerprint="", limiters=limiters)
    stops: list[str] = []
    announce = Announcer(EventBus(), "simulated")
    leasing = Leasing(engine, boot, bindings.callers, stops.append, announce)
    places += case.late * case.in_flight
    execution = ps.Execution(concurrency=places)
    lifecycle = Lifecycle(plan, bindings, announce, execution, stop=stops.append, attempts=leasing)
    scheduler = Scheduler[Job](lifecycle, places, leasing.gate)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun_cpu = time.process_time()
    session = Session(0.0, 0, stops.append, lambda *_, **__: None)
    async with leasing.open(session):
        await scheduler.run(Job(position, position) for position in range(runs))

    spent_us = 1e6 * (time.process_time() - begun_cpu - engine.own_s)
    held_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    tally = lifecycle.tally
    assert tally.succeeded == runs, (tally.succeeded, tally.failed, stops)
    made = [engine.ended[f"worker-{place}"] for place in range(case.lost + 1, case.workers + 1)]
    again, full = engine.again_s, engine.full_s
    return {
        "": case.name,
        "runs": f"{runs:,}",
        "in flight": f"{places:,}",
        "µs a lease": f"{spent_us / tally.attempts:.0f}",
        "KB in flight": f"{held_kb / places:.1f}",
        "bytes a lease": f"{engine.bytes / tally.attempts:,.0f}",
        "lost": f"{tally.cancelled:,}" if case.lost else "-",
        "again after": f"{max(again):.1f} s" if again else "-",
        "full after": f"{max(full):.2f} s" if full else "-",
        "least and most of a worker": f"{min(made):,} - {max(made):,}",
        "most held": f"{engine.most_holding:,}" if case.limit else "-",
    }


def table(rows: Sequence[dict[str, str]]) -> str:
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def simulated(case: Case) -> dict[str, str]:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(simulate(case))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the runs in flight")
    parser.add_argument("--write", action="store_true", help="write the table into the docs")
    asked = parser.parse_args()
    rows = []
    for case in CASES:
        in_flight, limit = int(case.in_flight * asked.scale), int(case.limit * asked.scale)
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # for memory is its process's
            scaled = case._replace(in_flight=in_flight, limit=limit)
            rows.append(apart.submit(simulated, scaled).result())

        print(json.dumps(rows[-1], ensure_ascii=False), flush=True)

    print(table(rows))
    if asked.write:
        before, _, rest = DOCS.read_text().partition(BEGIN)
        DOCS.write_text(f"{before}{BEGIN}{table(rows)}{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()

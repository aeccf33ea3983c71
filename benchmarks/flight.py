"""How many runs can be in flight: whether all slots are kept busy, and what a run there holds.

Slots: the share of the slots' time in which a run was in them, from the first run's start to the
last one's end. This is by the clock, so what bare tasks reach on the same machine is shown too.
Memory: what a process grows by until all runs are in flight, divided by how many there are, beside
bare asyncio tasks that wait likewise.

    python benchmarks/flight.py [--runs 10000] [--concurrency 5000] [--wait-s 5] [--sleeping 20000]
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - bare tasks are what penstock's are measured beside
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import anyio
from by_hand import spawn_alone
from figures import Figure, options, report
from measure import in_child, resident_kb
from studies import ANSWER, make_runner

from penstock.events import StudyStarted


def main() -> None:
    numbers = {"runs": 10_000, "concurrency": 5_000, "wait_s": 5, "sleeping": 20_000}
    parser = options(__doc__, **numbers)
    parser.add_argument("--alone", choices=["bare", "penstock"], help="measure memory of one kind")
    arguments = parser.parse_args()
    if arguments.alone is not None:
        hold = bare if arguments.alone == "bare" else penstock
        print(json.dumps(hold(arguments.sleeping)))
        return

    slots = busy(arguments.runs, arguments.concurrency, arguments.wait_s)
    report("flight", [*slots, *memory(arguments.sleeping)], arguments)


class Clock:
    """Agents that wait, and notes when the first of them began and the last one ended."""

    def __init__(self, wait_s: int) -> None:
        self.begun_at_s: float | None = None
        self.ended_at_s = 0.0
        self._wait_s = wait_s

    async def __call__(self, _: object) -> str:
        if self.begun_at_s is None:
            self.begun_at_s = monotonic()

        await anyio.sleep(self._wait_s)
        self.ended_at_s = monotonic()
        return ANSWER

    def busy_percent(self, runs: int, slots: int) -> float:
        assert self.begun_at_s is not None
        return runs * self._wait_s / (slots * (self.ended_at_s - self.begun_at_s)) * 100


def busy(runs: int, slots: int, wait_s: int) -> Iterator[Figure]:
    name = f"{runs:,} runs of {wait_s} s, {slots:,} slots: busy"
    by_hand = Clock(wait_s)
    spawn_alone(by_hand, runs, slots)
    yield Figure(f"{name}, tasks by hand", by_hand.busy_percent(runs, slots), "%")
    clock = Clock(wait_s)
    with TemporaryDirectory() as folder:
        anyio.run(make_runner(clock, runs, slots, Path(folder)).run)

    yield Figure(name, clock.busy_percent(runs, slots), "%", at_least=95)


def memory(sleeping: int) -> Iterator[Figure]:
    held_kb = {
        kind: in_child(__file__, "--alone", kind, "--sleeping", sleeping)
        for kind in ("bare", "penstock")
    }
    for kind, kb in held_kb.items():
        yield Figure(f"{sleeping:,} in flight: {kind}", kb, "KB/run")

    above_kb = held_kb["penstock"] - held_kb["bare"]
    yield Figure(f"{sleeping:,} in flight: penstock above bare", above_kb, "KB/run", at_most=6)


class Sleepers:
    """Agents that sleep until all of them do; then it is noted how much the process has grown."""

    def __init__(self, number: int) -> None:
        self.grown_kb = 0
        self._number = number
        self._asleep = 0
        self._before_kb = 0
        self._all_asleep = anyio.Event()

    def begin(self) -> None:
        self._before_kb = resident_kb()

    async def __call__(self, _: object) -> str:
        self._asleep += 1
        if self._asleep == self._number:
            self.grown_kb = resident_kb() - self._before_kb
            self._all_asleep.set()

        await self._all_asleep.wait()
        return ANSWER


def bare(number: int) -> float:
    async def every() -> int:
        sleepers = Sleepers(number)
        sleepers.begin()
        tasks = [asyncio.create_task(sleepers(None)) for _ in range(number)]
        await asyncio.wait(tasks)
        return sleepers.grown_kb

    return asyncio.run(every()) / number


def penstock(number: int) -> float:
    async def every(folder: Path) -> int:
        sleepers = Sleepers(number)
        runner = make_runner(sleepers, number, number, folder)

        @runner.on(StudyStarted)
        def begin(_: StudyStarted) -> None:
            sleepers.begin()

        await runner.run()
        return sleepers.grown_kb

    with TemporaryDirectory() as folder:
        return anyio.run(every, Path(folder)) / number


if __name__ == "__main__":
    main()

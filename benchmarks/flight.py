"""How many runs can be in flight: whether all slots are kept busy, and what a run there holds.

Slots: the share of the slots' time in which a run was in them, from the first run's start to the
last one's end; this is by the clock. Memory: what a process grows by until all runs are in flight,
divided by how many there are, beside bare asyncio tasks that wait likewise.

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
from figures import Figure, options, report
from measure import in_child, resident_kb
from studies import ANSWER, make_runner

import penstock as ps


def main() -> None:
    numbers = {"runs": 10_000, "concurrency": 5_000, "wait_s": 5, "sleeping": 20_000}
    parser = options(__doc__, **numbers)
    parser.add_argument("--alone", choices=["bare", "penstock"], help="measure memory of one kind")
    arguments = parser.parse_args()
    if arguments.alone is not None:
        hold = bare if arguments.alone == "bare" else penstock
        print(json.dumps(hold(arguments.sleeping)))
        return

    busy = busy_percent(arguments.runs, arguments.concurrency, arguments.wait_s)
    report("flight", [busy, *memory(arguments.sleeping)], arguments)


def busy_percent(runs: int, concurrency: int, wait_s: int) -> Figure:
    begun: list[float] = []
    ended = 0.0

    async def agent(_: object) -> str:
        nonlocal ended
        begun.append(monotonic())
        await anyio.sleep(wait_s)
        ended = monotonic()
        return ANSWER

    with TemporaryDirectory() as folder:
        anyio.run(make_runner(agent, runs, concurrency, Path(folder)).run)

    slots_s = concurrency * (ended - begun[0])
    name = f"{runs:,} runs of {wait_s} s, {concurrency:,} slots: busy"
    return Figure(name, runs * wait_s / slots_s * 100, "%", at_least=95)


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

        @runner.on(ps.StudyStarted)
        def begin(_: ps.StudyStarted) -> None:
            sleepers.begin()

        await runner.run()
        return sleepers.grown_kb

    with TemporaryDirectory() as folder:
        return anyio.run(every, Path(folder)) / number


if __name__ == "__main__":
    main()

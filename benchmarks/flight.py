"""How many runs can be in flight: whether all slots are kept busy, and what a run there holds.

Slots: the share of the slots' time in which a run was in them, from the first run's start to the
last one's end, by the clock; beside it what `by_hand` reaches, which keeps the same rows.
Memory: what a process grows by until all runs are in flight, divided by how many there are, beside
bare asyncio tasks that wait likewise.

    python benchmarks/flight.py [--runs 20000] [--concurrency 10000] [--wait-s 1] [--sleeping 20000]
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - bare tasks are what penstock's are measured beside
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic

import anyio
from by_hand import run_by_hand
from figures import Figure, options, report
from measure import in_child, in_turns, resident_kb
from studies import ANSWER, make_runner, run_alone

from penstock.events import StudyStarted
from penstock.running.garbage import relaxed_gc


def main() -> None:
    numbers = {"runs": 20_000, "concurrency": 10_000, "wait_s": 1, "sleeping": 20_000}
    numbers["rounds"] = 3
    parser = options(__doc__, **numbers)
    parser.add_argument("--alone", choices=["bare", "penstock"], help="measure memory of one kind")
    arguments = parser.parse_args()
    if arguments.alone is not None:
        hold = bare if arguments.alone == "bare" else penstock
        print(json.dumps(hold(arguments.sleeping)))
        return

    slots = busy(arguments.runs, arguments.concurrency, arguments.wait_s, arguments.rounds)
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

        await asyncio.sleep(self._wait_s)
        self.ended_at_s = monotonic()
        return ANSWER

    def busy_percent(self, runs: int, slots: int) -> float:
        assert self.begun_at_s is not None
        return runs * self._wait_s / (slots * (self.ended_at_s - self.begun_at_s)) * 100


def busy(runs: int, slots: int, wait_s: int, rounds: int) -> Iterator[Figure]:
    def percent(name: str) -> float:
        clock = Clock(wait_s)
        with TemporaryDirectory() as folder, relaxed_gc():
            if name == "by hand":
                run_by_hand(clock, runs, slots, Path(folder))
            else:
                run_alone(make_runner(clock, runs, slots, Path(folder)).run)

        return clock.busy_percent(runs, slots)

    measured = in_turns(("by hand", "penstock"), percent, rounds)
    by_hand, ours = (median(each) for each in measured.values())
    name = f"{runs:,} runs of {wait_s} s, {slots:,} slots: busy"
    yield Figure(name, ours, "%", by_hand, at_least_x=0.97)


def memory(sleeping: int) -> Iterator[Figure]:
    held_kb = {
        kind: in_child(__file__, "--alone", kind, "--sleeping", sleeping)
        for kind in ("bare", "penstock")
    }
    ours_kb, bare_kb = held_kb["penstock"], held_kb["bare"]
    yield Figure(f"{sleeping:,} in flight: memory", ours_kb, "KB/run", bare_kb)
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

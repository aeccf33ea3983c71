"""What penstock costs a run: CPU time until every result is durable, beside work by hand.

Each agent waits for 300 ms, long enough that all slots are taken on both sides; a study of chat
calls is like this. Both sides run in the same process, in turns, with the garbage collector of a
process that runs a study and little else (`relaxed_gc`); embedded, both with the collector as a
host has it, where what penstock has imported is kept out of the collections of the work by hand.

    python benchmarks/overhead.py [--runs 20000] [--concurrency 1000] [--rounds 3] [--wait-ms 300]
                                  [--uvloop]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import anyio
from by_hand import joined, run_by_hand, select_into_csv, sketch, tasks_alone
from figures import Figure, options, report
from measure import cpu_us, in_turns, modules_set_aside
from studies import Agent, Terminal, make_runner, run_alone, until_durable_us

import penstock as ps
from penstock.events import RunEvent
from penstock.running.garbage import relaxed_gc
from penstock.subscribers.progress import EVENTS, progress


class Size(NamedTuple):
    runs: int
    concurrency: int


Contender = Callable[[Agent, Size, Path], float]
"""Gives the CPU time of a run in microseconds."""


def main() -> None:
    numbers = {"runs": 20_000, "concurrency": 1_000, "rounds": 3, "wait_ms": 300}
    parser = options(__doc__, **numbers)
    parser.add_argument("--uvloop", action="store_true", help="both sides on it; install it first")
    arguments = parser.parse_args()
    if arguments.uvloop:
        import_module("uvloop").install()

    size = Size(arguments.runs, arguments.concurrency)
    figures = [*measure(arguments.wait_ms / 1000, size, arguments.rounds)]
    report("overhead on uvloop" if arguments.uvloop else "overhead", figures, arguments)


def measure(wait_s: float, size: Size, rounds: int) -> Iterator[Figure]:
    def cpu_us_of(name: str) -> float:
        agent = Agent(wait_s)
        with TemporaryDirectory() as folder:
            spent_us = CONTENDERS[name](agent, size, Path(folder))

        assert agent.peak == min(size), f"{name}: {agent.peak} in flight; have them wait longer"
        return spent_us

    with TemporaryDirectory() as folder:
        run_alone(make_runner(Agent(), 100, 10, Path(folder)).run)  # imports what it uses

    measured = in_turns(CONTENDERS, cpu_us_of, rounds)
    us = {name: median(spent_us) for name, spent_us in measured.items()}
    by_hand, files, quick_files = us["by hand"], us["by hand: csv"], us["by hand: join"]
    unit = "µs/run"
    yield Figure("durable run", us["penstock"], unit, by_hand, at_most_x=1.5)
    yield Figure("durable run, no isolation", us["no isolation"], unit, by_hand, at_most_x=1.2)
    yield Figure(
        "durable run, beside the sketch that does as much", us["penstock"], unit, us["sketch"]
    )
    embedded = us["by hand, embedded"]
    yield Figure("durable run, host's collector", us["embedded"], unit, embedded, at_most_x=1.7)
    yield Figure("study with its files", us["whole"], unit, files, at_most_x=1.4)
    yield Figure(
        "study with its files, beside str.replace and join", us["whole"], unit, quick_files
    )
    yield Figure("durable run, two subscribers, a listener, progress", us["heard"], unit, by_hand)
    heard_x = us["heard"] / us["penstock"]
    yield Figure("heard : unheard", heard_x, "x", at_most=1.25)
    yield Figure("tasks by hand, nothing kept", us["tasks by hand"], unit)


def _by_hand(agent: Agent, size: Size, folder: Path) -> float:
    with relaxed_gc():
        return cpu_us(lambda: run_by_hand(agent, *size, folder), size.runs)


def _by_hand_embedded(agent: Agent, size: Size, folder: Path) -> float:
    with modules_set_aside():
        return cpu_us(lambda: run_by_hand(agent, *size, folder), size.runs)


def _by_hand_with(write: Callable[[Path], None]) -> Contender:
    def whole(agent: Agent, size: Size, folder: Path) -> float:
        def work() -> None:
            run_by_hand(agent, *size, folder)
            write(folder)

        with relaxed_gc():
            return cpu_us(work, size.runs)

    return whole


def _sketch(agent: Agent, size: Size, folder: Path) -> float:
    with relaxed_gc():
        return cpu_us(lambda: sketch(agent, *size, folder), size.runs)


def _tasks_by_hand(agent: Agent, size: Size, _: Path) -> float:
    with relaxed_gc():
        return cpu_us(lambda: tasks_alone(agent, *size), size.runs)


def _penstock(agent: Agent, size: Size, folder: Path) -> float:
    return until_durable_us(size.runs, lambda: make_runner(agent, *size, folder))


def _embedded(agent: Agent, size: Size, folder: Path) -> float:
    """In an application that is there for other things too: the garbage collector is its own."""
    return until_durable_us(size.runs, lambda: make_runner(agent, *size, folder), run=anyio.run)


def _no_isolation(agent: Agent, size: Size, folder: Path) -> float:
    return until_durable_us(
        size.runs, lambda: make_runner(agent, *size, folder, isolate_random=False)
    )


def _whole(agent: Agent, size: Size, folder: Path) -> float:
    return cpu_us(lambda: run_alone(make_runner(agent, *size, folder).run), size.runs)


def _heard(agent: Agent, size: Size, folder: Path) -> float:
    """Two subscribers, a listener, and progress on a terminal."""
    heard = 0

    async def one_by_one(stream: ps.EventStream) -> None:
        nonlocal heard
        async for _ in stream:
            heard += 1

    async def in_batches(stream: ps.EventStream) -> None:
        nonlocal heard
        while events := await stream.batch():
            heard += len(events)

    def make() -> ps.StudyRunner:
        runner = make_runner(agent, *size, folder)
        runner.subscribe(one_by_one, RunEvent)
        runner.subscribe(in_batches)
        runner.subscribe(progress(Terminal()), *EVENTS)

        @runner.on(ps.RunFinished)
        def count(_: ps.RunFinished) -> None:
            nonlocal heard
            heard += 1

        return runner

    return until_durable_us(size.runs, make)


CONTENDERS: dict[str, Contender] = {
    "by hand": _by_hand,
    "penstock": _penstock,
    "no isolation": _no_isolation,
    "sketch": _sketch,
    "by hand, embedded": _by_hand_embedded,
    "embedded": _embedded,
    "by hand: csv": _by_hand_with(select_into_csv),
    "by hand: join": _by_hand_with(joined),
    "whole": _whole,
    "heard": _heard,
    "tasks by hand": _tasks_by_hand,
}


if __name__ == "__main__":
    main()

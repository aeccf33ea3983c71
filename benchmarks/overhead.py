"""What penstock costs a run: CPU time until every result is durable, beside work by hand.

Two cases. In the first each agent waits for 100 ms, long enough that all slots are taken on both
sides; a study of chat calls is like this. In the second it awaits once and is over at once, so that
next to nothing is in flight.

    python benchmarks/overhead.py [--runs 100000] [--concurrency 1000] [--rounds 3] [--wait-ms 100]
                                  [--uvloop]
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, NamedTuple

import anyio
from by_hand import insert_alone, run_by_hand, spawn_alone
from figures import Figure, options, report
from measure import cpu_us, in_turns, modules_set_aside, ratio
from studies import ANSWER, Agent, Terminal, make_runner, run_alone

import penstock as ps
from penstock.events import RunEvent, StudyFinished
from penstock.subscribers.progress import EVENTS, progress


class Size(NamedTuple):
    runs: int
    concurrency: int


Contender = Callable[[Agent, Size, Path], float]
"""Gives the CPU time of a run in microseconds."""


def main() -> None:
    numbers = {"runs": 100_000, "concurrency": 1_000, "rounds": 3, "wait_ms": 100}
    parser = options(__doc__, **numbers)
    parser.add_argument("--uvloop", action="store_true", help="both sides on it; install it first")
    arguments = parser.parse_args()
    if arguments.uvloop:
        import_module("uvloop").install()

    size = Size(arguments.runs, arguments.concurrency)
    figures = [
        Figure("runs", size.runs, "runs"),
        *measure("in flight", arguments.wait_ms / 1000, size, arguments.rounds),
        *measure("at once", 0, size, arguments.rounds),
    ]
    report("overhead on uvloop" if arguments.uvloop else "overhead", figures, arguments)


def measure(case: str, wait_s: float, size: Size, rounds: int) -> Iterator[Figure]:
    peaks: dict[str, int] = {}

    def cpu_us_of(name: str) -> float:
        agent = Agent(wait_s)
        with TemporaryDirectory() as folder:
            spent_us = CONTENDERS[name](agent, size, Path(folder))

        peaks[name] = agent.peak
        return spent_us

    measured = in_turns(CONTENDERS, cpu_us_of, rounds)
    for name, spent_us in measured.items():
        yield Figure(f"{case}: {name}", median(spent_us), "µs/run")

    for name in ("by hand", "penstock"):
        yield Figure(f"{case}: {name}, most in flight", peaks[name], "runs")

    to_by_hand = ratio(measured, "penstock", "by hand")
    yield Figure(f"{case}: penstock : by hand", to_by_hand, "x", at_most=1.0)
    to_unheard = ratio(measured, "penstock, heard", "penstock")
    yield Figure(f"{case}: heard : unheard", to_unheard, "x", at_most=1.25)


def by_hand(agent: Agent, size: Size, folder: Path) -> float:
    with modules_set_aside():
        return cpu_us(lambda: run_by_hand(agent, *size, folder), size.runs)


def tasks_alone(agent: Agent, size: Size, _: Path) -> float:
    with modules_set_aside():
        return cpu_us(lambda: spawn_alone(agent, *size), size.runs)


def rows_alone(_agent: Agent, size: Size, folder: Path) -> float:
    return cpu_us(lambda: insert_alone(ANSWER, size.runs, folder), size.runs)


def penstock(agent: Agent, size: Size, folder: Path) -> float:
    return until_durable_us(size.runs, lambda: make_runner(agent, *size, folder))


def penstock_embedded(agent: Agent, size: Size, folder: Path) -> float:
    """In an application that is there for other things too: the garbage collector is its own."""
    return until_durable_us(size.runs, lambda: make_runner(agent, *size, folder), run=anyio.run)


def penstock_plain(agent: Agent, size: Size, folder: Path) -> float:
    return until_durable_us(
        size.runs, lambda: make_runner(agent, *size, folder, isolate_random=False)
    )


def penstock_heard(agent: Agent, size: Size, folder: Path) -> float:
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


def until_durable_us(
    runs: int, make: Callable[[], ps.StudyRunner], *, run: Callable[..., Any] = run_alone
) -> float:
    """Give the CPU time from the declared study until every result is durable."""
    durable_at_s = 0.0
    gc.collect()
    begun_at_s = process_time()
    runner = make()

    @runner.on(StudyFinished)
    def look_at_the_clock(_: StudyFinished) -> None:
        nonlocal durable_at_s
        durable_at_s = process_time()

    summary = run(runner.run)
    assert summary.succeeded == runs
    return (durable_at_s - begun_at_s) / runs * 1e6


CONTENDERS: dict[str, Contender] = {
    "by hand": by_hand,
    "by hand, tasks alone": tasks_alone,
    "by hand, rows alone": rows_alone,
    "penstock": penstock,
    "penstock, embedded": penstock_embedded,
    "penstock, no isolated random": penstock_plain,
    "penstock, heard": penstock_heard,
}


if __name__ == "__main__":
    main()

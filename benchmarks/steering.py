"""How soon a study does what another process asks of it, with the row that keeps it.

A study of so many runs in flight runs in a process of its own and listens at its socket. From here
it is paused, resumed and slowed, again and again: the time from the request to the answer, which
comes when the action has taken effect and is kept; and after a pause that cancels, the time until
nothing is in flight any more.

    python benchmarks/steering.py [--concurrency 200] [--wait-ms 100] [--rounds 40]
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import anyio
import anyio.lowlevel
from figures import Figure, options, report
from studies import Agent, make_runner, run_alone

from penstock.control.address import read_address
from penstock.control.connection import Client, connect

TARGETS_MS = {"pause": 100, "resume": 100, "concurrency": 100}

ENOUGH = 10_000_000
"""Runs that are planned: the study is stopped, and does not end by itself."""


def main() -> None:
    arguments = options(__doc__, concurrency=200, wait_ms=100, rounds=40).parse_args()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        study = [sys.executable, __file__, "run", folder]
        numbers = [str(arguments.concurrency), str(arguments.wait_ms)]
        with subprocess.Popen([*study, *numbers]) as process:
            try:
                measured = anyio.run(steer, Path(folder), arguments.rounds, arguments.concurrency)
            finally:
                process.kill()

    figures = [
        figure
        for what, taken_s in measured.items()
        for figure in (
            Figure(f"{what}, median", median(taken_s) * 1000, "ms", at_most=TARGETS_MS.get(what)),
            Figure(f"{what}, 95 of 100", quantiles(taken_s, n=20)[-1] * 1000, "ms"),
        )
    ]
    report("steering", figures, arguments)


def run(folder: str, concurrency: str, wait_ms: str) -> None:
    """Be the process that is steered."""
    agent = Agent(int(wait_ms) / 1000)
    runner = make_runner(agent, ENOUGH, int(concurrency), Path(folder), control=True)
    run_alone(runner.run)


async def steer(folder: Path, rounds: int, concurrency: int) -> dict[str, list[float]]:
    """Pause, resume and slow the study, and time each."""
    directory = folder / "out"
    while read_address(directory) is None:
        await anyio.lowlevel.checkpoint()

    names = ("pause", "resume", "concurrency", "pause --now", "pause --now, nothing in flight")
    taken_s: dict[str, list[float]] = {name: [] for name in names}
    async with connect(directory) as client:
        for number in range(rounds):
            await flying(client, concurrency // 2)
            await timed(taken_s["pause"], client.ask("pause"))
            await timed(taken_s["resume"], client.ask("resume"))
            limit = concurrency - number % 2
            changed = client.ask("set", values={"execution.concurrency": limit})
            await timed(taken_s["concurrency"], changed)
            await flying(client, concurrency // 2)
            begun = perf_counter()
            await timed(taken_s["pause --now"], client.ask("pause", now=True))
            while (await client.ask("snapshot")).summary.in_flight:
                pass

            taken_s[names[-1]].append(perf_counter() - begun)
            await client.ask("resume")

    return taken_s


async def timed(taken_s: list[float], asked: Awaitable[Any]) -> None:
    begun = perf_counter()
    await asked
    taken_s.append(perf_counter() - begun)


async def flying(client: Client, least: int) -> None:
    """Wait until so many runs are in flight."""
    while (await client.ask("snapshot")).summary.in_flight < least:
        pass


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(*sys.argv[2:])
    else:
        main()

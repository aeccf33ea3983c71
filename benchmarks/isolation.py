"""What isolating the global random generators costs a run, in CPU time.

An agent that awaits once is called over and over, as it is and isolated; its context costs nothing.
The best of several rounds is taken, round by round in turn, so that a noisy machine disturbs all
alike.

    python benchmarks/isolation.py [--runs 20000] [--rounds 9]
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Awaitable, Callable
from time import process_time
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np

from penstock.agents.global_random import global_random
from penstock.agents.isolation import isolated


async def unused(ctx: Any) -> int:
    await anyio.lowlevel.cancel_shielded_checkpoint()
    return int(ctx.seed)


async def drawing(_: Any) -> float:
    first = random.random()
    await anyio.lowlevel.cancel_shielded_checkpoint()
    return first + float(np.random.random())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    calls: dict[str, Callable[[Any], Awaitable[Any]]] = {
        "draws nothing, as it is": unused,
        "draws nothing, isolated": isolated(unused),
        "draws twice, as it is": drawing,
        "draws twice, isolated": isolated(drawing),
    }
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(arguments.rounds):
        for name, call in calls.items():
            best[name] = min(best[name], _cpu_us(call, arguments.runs))

    print(f"{'an agent that awaits once and':34}{'CPU µs/run':>12}{'added':>8}")
    plain = 0.0
    for name, value in best.items():
        plain = value if name.endswith("as it is") else plain
        print(f"{name:34}{value:12.2f}{value - plain:8.2f}")

    print(f"\n{'of which, the seeds themselves':34}{_seeding_us(arguments.runs):20.2f}")


def _cpu_us(call: Callable[[Any], Awaitable[Any]], runs: int) -> float:
    async def every() -> float:
        contexts = [SimpleNamespace(seed=seed) for seed in range(runs)]
        start = process_time()
        for ctx in contexts:
            await call(ctx)

        return process_time() - start

    return anyio.run(every) / runs * 1e6


def _seeding_us(runs: int) -> float:
    generators = global_random()
    spent_s = 0.0
    for number in range(runs):
        start = process_time()
        lent = generators.lend(number, None)
        spent_s += process_time() - start
        generators.take_back(lent)

    return spent_s / runs * 1e6


if __name__ == "__main__":
    main()

"""Whether the cost of a run stays flat: more runs, more slots and larger results, one at a time.

Each row is a process of its own that runs a study until every result is durable, its CPU time
divided by its runs; beside it the rows alone, written by hand, which is what larger results cost.
Agents wait so long that all slots are taken. The peak of memory has the export in it.

    python benchmarks/scaling.py [--most 1000000]
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from by_hand import insert_alone
from figures import Figure, options, report
from measure import cpu_us, in_child, peak_mb
from studies import Agent, make_runner, until_durable_us


class Size(NamedTuple):
    runs: int
    concurrency: int
    kilobytes: int

    def __str__(self) -> str:
        return f"{self.runs:,} runs, {self.concurrency:,} in flight, {self.kilobytes:,} KB"


SIZES = (
    Size(1_000, 1_000, 1),
    Size(10_000, 1_000, 1),
    Size(100_000, 1_000, 1),
    Size(1_000_000, 1_000, 1),
    Size(20_000, 10, 1),
    Size(20_000, 100, 1),
    Size(20_000, 1_000, 1),
    Size(20_000, 10_000, 1),
    Size(1_000, 100, 1),
    Size(1_000, 100, 10),
    Size(1_000, 100, 1_000),
)
STARTS_PER_S = 5_000
"""So many runs begin in a second where all slots are taken."""


def main() -> None:
    parser = options(__doc__, most=1_000_000)
    parser.add_argument("--alone", type=int, nargs=3, help="measure this size in this process")
    arguments = parser.parse_args()
    if arguments.alone is not None:
        print(json.dumps(measure(Size(*arguments.alone))))
        return

    sizes = [size for size in SIZES if size.runs <= arguments.most]
    report("scaling", [figure for size in sizes for figure in figures_of(size)], arguments)


def figures_of(size: Size) -> Iterator[Figure]:
    whole_us, rows_us, peak = in_child(__file__, "--alone", *size)
    yield Figure(f"{size}, beside its rows", whole_us, "µs/run", rows_us)
    yield Figure(f"{size}: peak", peak, "MB")


def measure(size: Size) -> tuple[float, float, float]:
    answer = "x" * (size.kilobytes * 1000)
    agent = Agent(size.concurrency / STARTS_PER_S, answer)
    with TemporaryDirectory() as folder:
        make = partial(make_runner, agent, size.runs, size.concurrency, Path(folder))
        whole_us = until_durable_us(size.runs, make)

    peak = peak_mb()
    assert agent.peak == size.concurrency
    with TemporaryDirectory() as folder:
        rows_us = cpu_us(lambda: insert_alone(answer, size.runs, Path(folder)), size.runs)

    return whole_us, rows_us, peak


if __name__ == "__main__":
    main()

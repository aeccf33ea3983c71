"""What penstock holds in memory: the peak of a process that runs a plan, for plans of two sizes.

Store and export are on; results are 2,000 characters. A process of its own is measured for each.

    python benchmarks/memory.py [--runs 100000] [--times 10] [--concurrency 1000]
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from figures import Figure, options, report
from measure import in_child, peak_mb
from studies import Agent, make_runner, run_alone


def main() -> None:
    parser = options(__doc__, runs=100_000, times=10, concurrency=1_000)
    parser.add_argument("--alone", action="store_true", help="measure this process and no other")
    arguments = parser.parse_args()
    runs, concurrency = arguments.runs, arguments.concurrency
    if arguments.alone:
        print(json.dumps(peak_mb_of(runs, concurrency)))
        return

    report("memory", measure(runs, runs * arguments.times, concurrency), arguments)


def measure(few: int, many: int, concurrency: int) -> Iterator[Figure]:
    held_mb = {
        runs: in_child(__file__, "--alone", "--runs", runs, "--concurrency", concurrency)
        for runs in (few, many)
    }
    yield Figure(f"{few:,} runs", held_mb[few], "MB")
    yield Figure(f"{many:,} runs", held_mb[many], "MB", at_most=200)
    yield Figure(f"{many:,} runs : {few:,}", held_mb[many] / held_mb[few], "x", at_most=1.1)


def peak_mb_of(runs: int, concurrency: int) -> float:
    with TemporaryDirectory() as folder:
        run_alone(make_runner(Agent(), runs, concurrency, Path(folder)).run)

    return peak_mb()


if __name__ == "__main__":
    main()

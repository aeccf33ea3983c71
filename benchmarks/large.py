"""What a large study costs that is done, or almost: CPU time to look at it and to go on with it.

By hand the ids of the runs that succeeded are read from the store into a set, and a SELECT counts
runs by their status, front to back, for through the index that SQLite would choose it takes six
times as long. Answers are short, for what is measured does not read them.

    python benchmarks/large.py [--runs 1000000]
"""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import anyio
from figures import Figure, options, report
from large_store import ANSWERING, CONDITIONS, PROBLEMS, Agent, fill_store_in_child, make_runner
from start_up import MAIN

import penstock as ps
from penstock.study.spending import Budget

LEFT = CONDITIONS * PROBLEMS
"""A replicate."""

IDS = "SELECT run_id FROM attempt WHERE status = 'success'"
COUNTS = "SELECT status, count(*) FROM attempt NOT INDEXED WHERE final GROUP BY status"


def main() -> None:
    arguments = options(__doc__, runs=1_000_000).parse_args()
    report("large", measure(arguments.runs), arguments)


def measure(runs: int) -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        fill_store_in_child(store, runs, words=20)
        warm_up = Path(folder) / "small"
        anyio.run(make_runner(warm_up, runs=LEFT).run)  # imports what it uses
        ids_s, counts_s = _read_s(store, IDS), _read_s(store, COUNTS)
        status_s = _status_s(store)
        _until_it_returns_s(store, runs)  # files are written
        nothing_s = _until_it_returns_s(store, runs)
        extended_s = _until_the_first_run_s(store, runs + LEFT)
        same_s = _until_the_first_run_s(store, runs + LEFT)
        bound_s = _until_the_first_run_s(store, runs + LEFT, Budget(max_tokens=2**60))

    million = runs / 1_000_000
    done = f"{runs:,} done"
    yield Figure(f"{done}: status", status_s, "s CPU", counts_s, at_most=0.3)
    yield Figure(f"{done}: nothing to do", nothing_s, "s CPU", ids_s, at_most=2 * million + 0.2)
    name = f"{done}: a replicate more, to the first new run"
    yield Figure(name, extended_s, "s CPU", ids_s, at_most=4 * million + 0.2)
    yield Figure(f"{done}: going on, to the first new run", same_s, "s CPU", ids_s, at_most=5)
    name = f"{done}: going on within a budget, to the first new run"
    yield Figure(name, bound_s, "s CPU", ids_s, at_most=5)


def _read_s(store: Path, query: str) -> float:
    begun = process_time()
    with closing(sqlite3.connect(store / "study.sqlite")) as connection:
        found = {row[0] for row in connection.execute(query)}

    assert found
    return process_time() - begun


def _status_s(store: Path) -> float:
    """Give the CPU time of a process of its own that says where the study stands."""
    command = [sys.executable, "-c", MAIN, "status", str(store)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _until_the_first_run_s(store: Path, runs: int, budget: Budget | None = None) -> float:
    began_at: list[float] = []

    async def agent(ctx: ps.RunContext) -> str:
        if not began_at:
            began_at.append(process_time())
            runner.cancel("that is all")

        await anyio.sleep_forever()
        return "never"

    called_at = process_time()
    runner = _runner(store, runs, agent, budget)
    anyio.run(runner.run)
    return began_at[0] - called_at


def _until_it_returns_s(store: Path, runs: int) -> float:
    called_at = process_time()
    summary = anyio.run(_runner(store, runs).run)
    assert summary.remaining == 0
    return process_time() - called_at


def _runner(
    store: Path, runs: int, agent: Agent = ANSWERING, budget: Budget | None = None
) -> ps.StudyRunner:
    return make_runner(store, runs=runs, agent=agent, budget=budget)


if __name__ == "__main__":
    main()

"""What going on with a large study costs: CPU time from the call to the first new run.

The work by hand reads the ids of the runs that succeeded into a set.

    python benchmarks/resume.py [--runs 1000000]
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import anyio
from figures import Figure, options, report
from large_store import CONDITIONS, PROBLEMS, fill_store_in_child, make_runner

import penstock as ps
from penstock.study.spending import Budget

LEFT = CONDITIONS * PROBLEMS
"""How many runs of the plan are left to do: a replicate."""


def main() -> None:
    arguments = options(__doc__, runs=1_000_000).parse_args()
    runs = arguments.runs
    with TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        fill_store_in_child(store, runs, runs + LEFT)
        by_hand_s = _by_hand_s(store)
        same_s = _until_the_first_run_s(store, runs + LEFT)
        budget = Budget(max_tokens=2**60)
        bound_s = _until_the_first_run_s(store, runs + LEFT, budget)
        longer_s = _until_the_first_run_s(store, runs + 2 * LEFT)

    with TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        fill_store_in_child(store, runs)
        written_s, nothing_s = (_until_it_returns_s(store, runs) for _ in range(2))

    figures = [
        Figure("runs done", runs, "runs"),
        Figure("by hand", by_hand_s, "s"),
        Figure("the same plan", same_s, "s", at_most=5),
        Figure("the same plan, and a budget", bound_s, "s", at_most=5),
        Figure("a plan with another replicate", longer_s, "s"),
        Figure("all done, files are written", written_s, "s"),
        Figure("nothing to do", nothing_s, "s"),
        Figure("nothing to do : by hand", nothing_s / by_hand_s, "x", at_most=3),
        Figure("the same plan : by hand", same_s / by_hand_s, "x", at_most=3),
        Figure("the same plan, and a budget : by hand", bound_s / by_hand_s, "x", at_most=3),
    ]
    report("resume", figures, arguments)


def _by_hand_s(store: Path) -> float:
    begun = process_time()
    with closing(sqlite3.connect(store / "study.sqlite")) as connection:
        found = connection.execute("SELECT run_id FROM attempt WHERE status = 'success'")
        done = {run_id for (run_id,) in found}

    assert done
    return process_time() - begun


def _until_the_first_run_s(store: Path, runs: int, budget: Budget | None = None) -> float:
    began_at: list[float] = []

    async def agent(ctx: ps.RunContext) -> str:
        if not began_at:
            began_at.append(process_time())
            runner.cancel("that is all")

        await anyio.sleep_forever()
        return "never"

    called_at = process_time()
    runner = make_runner(store, runs=runs, agent=agent, budget=budget)
    anyio.run(runner.run)
    return began_at[0] - called_at


def _until_it_returns_s(store: Path, runs: int) -> float:
    called_at = process_time()
    summary = anyio.run(make_runner(store, runs=runs).run)
    assert summary.remaining == 0
    return process_time() - called_at


if __name__ == "__main__":
    main()

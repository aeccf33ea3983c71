"""What going on with a large study costs: CPU time from the call to the first new run.

The baseline reads the ids of the runs that succeeded into a set, as one would by hand. Both are
measured in one process, so that their ratio holds on a noisy machine; the store is made in another.

    python benchmarks/resume.py [--runs 1000000]
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
from contextlib import closing
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import process_time

import anyio
from large_store import CONDITIONS, PROBLEMS, fill_store, make_runner

import penstock as ps
from penstock.study.chat import Budget

LEFT = CONDITIONS * PROBLEMS
"""How many runs of the plan are left to do: a replicate."""


def main() -> None:
    arguments = _arguments()
    runs = arguments.runs
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        filling = {"planned": runs + LEFT}
        made = get_context("spawn").Process(target=fill_store, args=(store, runs), kwargs=filling)
        made.start()
        made.join()
        by_hand = "raw SELECT of the ids that succeeded"
        first_run = partial(_until_the_first_run, store)
        measured = {
            by_hand: _by_hand(store),
            "the same plan": first_run(runs + LEFT),
            "the same plan, and a budget": first_run(runs + LEFT, budget=Budget(max_tokens=2**60)),
            "a plan with another replicate": first_run(runs + 2 * LEFT),
        }

    print(f"{runs:,} runs done: CPU time until the first new one")
    print(f"{'':46}{'CPU s':>9}{'ratio':>7}")
    for name, cpu_s in measured.items():
        print(f"{name:46}{cpu_s:9.2f}{cpu_s / measured[by_hand]:7.2f}")

    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"runs": runs, "cpu_s": measured}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    return parser.parse_args()


def _by_hand(store: Path) -> float:
    begun = process_time()
    with closing(sqlite3.connect(store / "study.sqlite")) as connection:
        found = connection.execute("SELECT run_id FROM attempt WHERE status = 'success'")
        done = {run_id for (run_id,) in found}

    assert done
    return process_time() - begun


def _until_the_first_run(store: Path, runs: int, **declared: Budget) -> float:
    began_at: list[float] = []

    async def agent(ctx: ps.RunContext) -> str:
        if not began_at:
            began_at.append(process_time())
            runner.cancel("that is all")

        await anyio.sleep_forever()
        return "never"

    called_at = process_time()
    runner = make_runner(store, runs=runs, agent=agent, **declared)
    anyio.run(runner.run)
    return began_at[0] - called_at


if __name__ == "__main__":
    main()

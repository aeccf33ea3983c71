"""What penstock holds in memory: the peak of a process that runs a plan, for plans of any size.

python benchmarks/memory.py [--runs 20000 100000 300000] [--concurrency 1000]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
from studies import Agent, make_runner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[20_000, 100_000, 300_000])
    parser.add_argument("--concurrency", type=int, default=1_000)
    parser.add_argument("--alone", action="store_true", help="measure this process and no other")
    arguments = parser.parse_args()
    if arguments.alone:
        print(_peak_mb(arguments.runs[0], arguments.concurrency))
        return

    print(f"{arguments.concurrency:,} in flight, results of 2,000 characters, store and export on")
    print(f"{'runs':>12}{'peak MB':>10}")
    for runs in arguments.runs:
        command = [sys.executable, __file__, "--alone", "--runs", str(runs)]
        command += ["--concurrency", str(arguments.concurrency)]
        peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{runs:12,}{peak:10.1f}")


def _peak_mb(runs: int, concurrency: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(make_runner(Agent(), runs, concurrency, Path(folder)).run)

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()

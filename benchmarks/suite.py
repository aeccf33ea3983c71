"""Runs the benchmarks one after another, each beside what it measured last, and sums them up.

    python benchmarks/suite.py [--long] [--only overhead bus ...] [--summary]

What was measured last is in `last.json`, which this replaces; git shows what has changed. The long
ones take minutes each and are run only when asked for.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from figures import read, show

LAST = Path(__file__).with_name("last.json")
QUICK = ("start_up", "bus", "stalls", "flight", "overhead", "steering")
LONG = ("memory", "scaling", "export", "resume", "report_page")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long", action="store_true", help="run the long ones too")
    parser.add_argument("--only", nargs="+", choices=QUICK + LONG, help="run these")
    parser.add_argument("--summary", action="store_true", help="run none; sum up the last")
    arguments = parser.parse_args()
    chosen = arguments.only or (QUICK + LONG if arguments.long else QUICK)
    for name in () if arguments.summary else chosen:
        script = LAST.with_name(f"{name}.py")
        subprocess.run([sys.executable, script, "--json", LAST, "--compare", LAST], check=True)

    summarise()


def summarise() -> None:
    """Print what has a target, of all that was measured last."""
    for benchmark, figures in read(LAST).items():
        if aimed_at := [figure for figure in figures.values() if figure.target]:
            show(benchmark, aimed_at)


if __name__ == "__main__":
    main()

"""Runs the benchmarks one after another, each beside what it measured last, and writes the table.

    python benchmarks/suite.py [--long] [--only overhead bus ...] [--table] [--small]

What was measured last is in `last.json`, which this replaces, as it does the table in `README.md`;
git shows what has changed. The long ones take minutes each and are run only when asked for.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from figures import Figure, measured_on, read, short

LAST = Path(__file__).with_name("last.json")
README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- the table is written by suite.py -->\n", "<!-- end of the table -->\n"

SMALL = {
    "overhead": "--runs 2000 --rounds 1 --wait-ms 1000",
    "flight": "--runs 1000 --concurrency 500 --sleeping 500 --rounds 1",
    "chat_study": "--in-flight 64 --rounds 1 --calls 100",
    "answers": "--megabytes 2 --rounds 1",
    "inside_a_run": "--runs 1000 --rounds 1",
    "conditions": "--conditions 500",
    "start_up": "--rounds 1",
    "bus": "--events 2000 --rounds 1",
    "stalls": "--runs 2000",
    "large": "--runs 3000",
}
"""The quick ones, and sizes with which they show in a minute or two that they work."""

LONG = ("steering", "memory", "scaling", "export", "report_page", "page")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long", action="store_true", help="run the long ones too")
    parser.add_argument("--only", nargs="+", choices=[*SMALL, *LONG], help="run these")
    parser.add_argument("--table", action="store_true", help="run none; write the table anew")
    parser.add_argument(
        "--small", action="store_true", help="run the quick ones small, and write no file"
    )
    arguments = parser.parse_args()
    if arguments.small:
        try_out(arguments.only or list(SMALL))
        return

    chosen = arguments.only or [*SMALL, *(LONG if arguments.long else ())]
    failed = []
    for name in () if arguments.table else chosen:
        if not run(name, LAST):
            failed.append(name)

        write_table()  # whoever has no time for the next has this one

    write_table()
    if failed:
        sys.exit(f"failed, so what they measured before stands: {', '.join(failed)}")


def write_table() -> None:
    """Put what was measured last in the place of the table of the README."""
    text = README.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    README.write_text(f"{before}{BEGIN}{table(LAST)}{END}{after}", encoding="utf-8")


def try_out(names: list[str]) -> None:
    """Run benchmarks with small sizes, and print the table that they would make."""
    with TemporaryDirectory() as folder:
        to = Path(folder) / "small.json"
        failed = [name for name in names if not run(name, to, *SMALL[name].split())]
        print(table(to))
        if failed:
            sys.exit(f"failed: {', '.join(failed)}")


def run(name: str, to: Path, *sizes: str) -> bool:
    """Run a benchmark in a process of its own; return whether it has measured all it wanted."""
    begun = monotonic()
    script = str(LAST.with_name(f"{name}.py"))
    command = [sys.executable, script, "--json", str(to), "--compare", str(to), *sizes]
    is_done = subprocess.run(command, check=False).returncode == 0
    print(f"{name}: {monotonic() - begun:.0f} s", flush=True)
    return is_done


def table(path: Path) -> str:
    """Write what was measured last as a table of Markdown."""
    days, measured = measured_on(path), read(path)
    lines = [
        "",
        "| | penstock | by hand | ratio | target | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for benchmark in [name for name in (*SMALL, *LONG) if name in measured]:
        lines.append(f"| **{benchmark}.py**, {days[benchmark]} | | | | | |")
        lines += [*_rows(measured[benchmark].values())]

    return "\n".join(lines) + "\n\n"


def _rows(figures: Iterable[Figure]) -> Iterator[str]:
    for figure in figures:
        ours = f"{short(figure.value)} {figure.unit}"
        cells = (figure.name, ours, short(figure.by_hand), short(figure.times))
        verdict = figure.verdict.replace("MISSED", "**missed**")
        yield f"| {' | '.join((*cells, figure.target, verdict))} |"


if __name__ == "__main__":
    main()

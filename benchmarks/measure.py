"""How the benchmarks measure, and what they do with it: turns, figures, a table and a JSON file.

The machines that this runs on are noisy. So nothing here is a time by the clock: a figure is CPU
time of this process with all its threads, or memory, or a ratio of two of these that were measured
in turns in one process.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, NamedTuple, TypeVar

__all__ = [
    "Figure",
    "cpu_us",
    "figures_of",
    "in_child",
    "in_turns",
    "options",
    "ratio",
    "report",
    "show",
]

MEASURED_WITH = ("penstock", "anyio", "pydantic", "orjson", "numpy", "aiosqlite")


class Figure(NamedTuple):
    """One measured quantity, and the most or the least that it is meant to be.

    Args:
        name: What was measured, from the general to the particular: ``overhead/ratio``.
        value: How much.
        unit: Of what.
        at_most: The target, where more would be too much.
        at_least: The target, where less would be too little.
    """

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def target(self) -> str:
        """What it is meant to be, in words; nothing where it has no target."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}"

        return "" if self.at_least is None else f">= {self.at_least:g}"

    @property
    def verdict(self) -> str:
        """Whether it is what it is meant to be."""
        if not self.target:
            return ""

        low = -float("inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        return "met" if low <= self.value <= high else "MISSED"


def cpu_us(measured: Callable[[], object], each: int) -> float:
    """Give the CPU time of a call in microseconds, divided by how many things it does."""
    gc.collect()
    begun = process_time()
    measured()
    return (process_time() - begun) / each * 1e6


Contender = TypeVar("Contender", bound=Hashable)


def in_turns(
    contenders: Iterable[Contender], measure: Callable[[Contender], float], rounds: int
) -> dict[Contender, list[float]]:
    """Measure each of these in turn, again and again: A B A B, so that noise meets all alike."""
    measured: dict[Contender, list[float]] = {contender: [] for contender in contenders}
    for _ in range(rounds):
        for contender, values in measured.items():
            values.append(measure(contender))

    return measured


def ratio(
    measured: Mapping[Contender, Sequence[float]], contender: Contender, baseline: Contender
) -> float:
    """Give how much one contender takes beside another: the median of what each round gives."""
    pairs = zip(measured[contender], measured[baseline], strict=True)
    return median(value / base for value, base in pairs)


def in_child(file: str, *arguments: object) -> Any:
    """Run a benchmark in a process of its own, and give what the last line it prints says."""
    command = [sys.executable, file, *map(str, arguments)]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(finished.stdout.splitlines()[-1])


def options(description: str | None, **numbers: int) -> argparse.ArgumentParser:
    """Make the options that benchmarks have in common, and one for each of these numbers."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in numbers.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=default, help=f"default: {default:,}")

    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--compare", type=Path, help="show the figures of that file beside them")
    return parser


def report(figures: Iterable[Figure], arguments: argparse.Namespace) -> None:
    """Print figures, beside earlier ones if asked to, and write them where they are wanted."""
    measured = tuple(figures)
    earlier = {} if arguments.compare is None else figures_of(arguments.compare)
    show(measured, earlier)
    if arguments.json is not None:
        written = json.dumps(_as_json(measured), indent=2, ensure_ascii=False)
        arguments.json.write_text(f"{written}\n", encoding="utf-8")


def show(figures: Iterable[Figure], earlier: Mapping[str, Figure]) -> None:
    """Print a table: each figure, its target and verdict, and how it compares with an earlier."""
    print(f"{'':52}{'':>10} {'':8}{'target':>9}{'':>8}", end="")
    print(f"{'earlier':>10}{'ratio':>7}" if earlier else "")
    for figure in figures:
        line = f"{figure.name:52}{figure.value:10,.4g} {figure.unit:8}"
        line += f"{figure.target:>9}{figure.verdict:>8}"
        if (before := earlier.get(figure.name)) is not None:
            line += f"{before.value:10,.4g}"
            line += f"{figure.value / before.value:7.2f}" if before.value else ""

        print(line.rstrip())


def figures_of(path: Path) -> dict[str, Figure]:
    """Read the figures of a file, by name."""
    written = json.loads(path.read_text(encoding="utf-8"))["figures"]
    return {name: Figure(name, **figure) for name, figure in written.items()}


def _as_json(figures: Iterable[Figure]) -> dict[str, Any]:
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} x {platform.machine()}, {platform.system()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {name: version(name) for name in MEASURED_WITH},
        "figures": {each.name: _fields(each) for each in figures},
    }


def _fields(figure: Figure) -> dict[str, Any]:
    fields = figure._asdict()
    del fields["name"]
    fields["value"] = float(f"{figure.value:.6g}")
    return {name: value for name, value in fields.items() if value is not None}

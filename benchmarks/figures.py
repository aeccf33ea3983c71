"""What the benchmarks measured: figures with their targets, in a table and in a JSON file."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Figure", "measured_on", "options", "read", "report", "short", "show"]

MEASURED_WITH = ("penstock", "anyio", "pydantic", "orjson", "numpy", "aiosqlite")


class Figure(NamedTuple):
    """One measured quantity, and the most or the least that it is meant to be.

    Args:
        name: What was measured.
        value: How much.
        unit: Of what; ``x`` is a ratio.
        by_hand: How much of the same, in the same turn, what one would write by hand takes.
        at_most: The target, where more would be too much.
        at_least: The target, where less would be too little.
        at_most_x: The target of its ratio to what is written by hand, likewise.
        at_least_x: The same.
    """

    name: str
    value: float
    unit: str
    by_hand: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    at_most_x: float | None = None
    at_least_x: float | None = None

    @property
    def times(self) -> float | None:
        """How many times what is written by hand it is."""
        return self.value / self.by_hand if self.by_hand else None

    @property
    def target(self) -> str:
        """What it is meant to be; nothing where it has no target."""
        limits = ((self.at_most, "<= {:g}"), (self.at_least, ">= {:g}"))
        times = ((self.at_most_x, "<= {:g} x"), (self.at_least_x, ">= {:g} x"))
        return ", ".join(said.format(each) for each, said in limits + times if each is not None)

    @property
    def verdict(self) -> str:
        """Whether it is what it is meant to be."""
        limits = ((self.value, self.at_most, 1), (self.value, self.at_least, -1))
        times = ((self.times, self.at_most_x, 1), (self.times, self.at_least_x, -1))
        is_missed = any(
            value is not None and limit is not None and sign * value > sign * limit
            for value, limit, sign in limits + times
        )
        return self.target and ("MISSED" if is_missed else "met")


def options(description: str | None, **numbers: int) -> argparse.ArgumentParser:
    """Make the options that benchmarks have in common, and one for each of these numbers."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in numbers.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=default, help=f"default: {default:,}")

    parser.add_argument("--json", type=Path, help="write the figures there, beside others'")
    parser.add_argument("--compare", type=Path, help="show the figures of that file beside them")
    return parser


def report(benchmark: str, figures: Iterable[Figure], arguments: argparse.Namespace) -> None:
    """Print what a benchmark measured, and write it where the options say."""
    measured = tuple(figures)
    earlier = {} if arguments.compare is None else read(arguments.compare).get(benchmark, {})
    show(benchmark, measured, earlier)
    if arguments.json is not None:
        _write(benchmark, measured, arguments.json)


def show(
    title: str, figures: Iterable[Figure], earlier: Mapping[str, Figure] | None = None
) -> None:
    """Print a table: each figure, its target and verdict, and how it compares with an earlier."""
    heading = f"{title:58}{'':10} {'':8}{'by hand':>9}{'ratio':>7}{'target':>11}{'':>8}"
    print(f"\n{heading}{'earlier':>10}{'ratio':>8}" if earlier else f"\n{heading}")
    for figure in figures:
        line = f"{figure.name:58}{short(figure.value):>10} {figure.unit:8}"
        line += f"{short(figure.by_hand):>9}{short(figure.times):>7}"
        line += f"{figure.target:>11}{figure.verdict:>8}"
        before = (earlier or {}).get(figure.name)
        if before is not None and before.value:
            line += f"{short(before.value):>10}{figure.value / before.value:8.2f}"

        print(line.rstrip(), flush=True)


def short(value: float | None) -> str:
    """Write a number as it is read in a table; nothing where there is none."""
    if value is None:
        return ""

    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def read(path: Path) -> dict[str, dict[str, Figure]]:
    """Read the figures of a file, by benchmark and name."""
    return {
        benchmark: {name: Figure(name, **fields) for name, fields in written["figures"].items()}
        for benchmark, written in _written(path).items()
    }


def measured_on(path: Path) -> dict[str, str]:
    """Read on which day each benchmark of a file was run, and how busy the machine was then."""
    return {
        benchmark: f"{each['measured_at'][:10]}, load {each['load']:.0f}"
        for benchmark, each in _written(path).items()
    }


def _write(benchmark: str, figures: Iterable[Figure], path: Path) -> None:
    """Put a benchmark's figures in the place of its earlier ones; those of others stay."""
    written = _written(path) | {
        benchmark: {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
            "load": round(os.getloadavg()[0], 1),
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "versions": {name: version(name) for name in MEASURED_WITH},
            "figures": {figure.name: _fields(figure) for figure in figures},
        }
    }
    text = json.dumps(written, indent=2, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def _written(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _fields(figure: Figure) -> dict[str, Any]:
    fields = {name: value for name, value in figure._asdict().items() if value is not None}
    measured = {
        name: float(f"{fields[name]:.4g}") for name in ("value", "by_hand") if name in fields
    }
    return {name: value for name, value in (fields | measured).items() if name != "name"}

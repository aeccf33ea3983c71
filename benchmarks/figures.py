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

__all__ = ["Figure", "options", "read", "report", "show"]

MEASURED_WITH = ("penstock", "anyio", "pydantic", "orjson", "numpy", "aiosqlite")


class Figure(NamedTuple):
    """One measured quantity, and the most or the least that it is meant to be.

    Args:
        name: What was measured.
        value: How much.
        unit: Of what; ``x`` is a ratio.
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
        """What it is meant to be; nothing where it has no target."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}"

        return "" if self.at_least is None else f">= {self.at_least:g}"

    @property
    def verdict(self) -> str:
        """Whether it is what it is meant to be."""
        too_much = self.at_most is not None and self.value > self.at_most
        too_little = self.at_least is not None and self.value < self.at_least
        return self.target and ("MISSED" if too_much or too_little else "met")


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
    heading = f"{title:50}{'':10} {'':8}{'target':>9}{'':>8}"
    print(f"\n{heading}{'earlier':>10}{'ratio':>8}" if earlier else f"\n{heading}")
    for figure in figures:
        line = f"{figure.name:50}{figure.value:10,.4g} {figure.unit:8}"
        line += f"{figure.target:>9}{figure.verdict:>8}"
        before = (earlier or {}).get(figure.name)
        if before is not None and before.value:
            line += f"{before.value:10,.4g}{figure.value / before.value:8.2f}"

        print(line.rstrip(), flush=True)


def read(path: Path) -> dict[str, dict[str, Figure]]:
    """Read the figures of a file, by benchmark and name."""
    return {
        benchmark: {name: Figure(name, **fields) for name, fields in written["figures"].items()}
        for benchmark, written in _written(path).items()
    }


def _write(benchmark: str, figures: Iterable[Figure], path: Path) -> None:
    """Put a benchmark's figures in the place of its earlier ones; those of others stay."""
    written = _written(path) | {
        benchmark: {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "versions": {name: version(name) for name in MEASURED_WITH},
            "figures": {figure.name: _fields(figure) for figure in figures},
        }
    }
    text = json.dumps(written, indent=2, ensure_ascii=False, sort_keys=True)
    path.write_text(f"{text}\n", encoding="utf-8")


def _written(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _fields(figure: Figure) -> dict[str, Any]:
    fields = figure._asdict() | {"value": float(f"{figure.value:.4g}")}
    return {name: value for name, value in fields.items() if name != "name" and value is not None}

"""What the files of a large study cost: CPU time beside a raw SELECT into `csv.writer`.

The work by hand reads the same rows and columns from the views and writes them once; the export
writes the tables of what can be analysed as well.

    python benchmarks/export.py [--runs 1000000]
"""

from __future__ import annotations

import csv
import gc
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import NamedTuple

import anyio
import anyio.to_thread
from figures import Figure, options, report
from large_store import fill_store_in_child
from measure import peak_mb

from penstock.export.artifacts import export_artifacts
from penstock.export.parquet import load_parquet, write_parquet
from penstock.store.reader import StoreReader
from penstock.store.schema import EVALUATION_COLUMNS, EVENT_COLUMNS, RUN_COLUMNS

TABLES = {"runs": RUN_COLUMNS, "events": EVENT_COLUMNS, "evaluations": EVALUATION_COLUMNS}


class Measured(NamedTuple):
    cpu_us: float
    """Of a run."""

    peak_mb: float
    """Of the process until now."""

    longest_stall_ms: float
    """Of an event loop in another thread: CPU time of this process between two of its turns."""


def main() -> None:
    arguments = options(__doc__, runs=1_000_000).parse_args()
    load_parquet()  # its import is not the export's
    with TemporaryDirectory() as folder:
        store, to = Path(folder) / "store", Path(folder) / "files"
        to.mkdir()
        fill_store_in_child(store, arguments.runs)
        measured = {
            name: _measure(partial(work, store, to), arguments.runs)
            for name, work in {"by hand": _by_hand, "CSV": _csv, "Parquet": _parquet}.items()
        }

    by_hand, as_csv, parquet = measured.values()
    least_us, done = by_hand.cpu_us, f"files of {arguments.runs:,} runs"
    figures = [
        Figure(f"{done}: CSV", as_csv.cpu_us, "µs/run", least_us, at_most_x=3),
        Figure(f"{done}: Parquet", parquet.cpu_us, "µs/run", least_us, at_most_x=3),
    ]
    for name, each in measured.items():
        figures += [
            Figure(f"{name}, peak until then", each.peak_mb, "MB"),
            Figure(f"{name}, longest stall", each.longest_stall_ms, "ms CPU"),
        ]

    report("export", figures, arguments)


def _measure(work: Callable[[], None], runs: int) -> Measured:
    async def beside_a_loop() -> Measured:
        longest_s = 0.0

        async def tick() -> None:
            nonlocal longest_s
            while True:
                begun = process_time()
                await anyio.sleep(0.001)
                longest_s = max(longest_s, process_time() - begun)

        gc.collect()
        begun = process_time()
        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            await anyio.to_thread.run_sync(work)
            group.cancel_scope.cancel()

        cpu_us = (process_time() - begun) / runs * 1e6
        return Measured(cpu_us, peak_mb(), longest_s * 1e3)

    return anyio.run(beside_a_loop)


def _by_hand(store: Path, to: Path) -> None:
    with closing(sqlite3.connect(store / "study.sqlite")) as connection:
        for name, columns in TABLES.items():
            with (to / f"by-hand-{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows(connection.execute(f"SELECT {', '.join(columns)} FROM {name}"))


def _csv(store: Path, to: Path) -> None:
    export_artifacts(store, to)


def _parquet(store: Path, to: Path) -> None:
    with StoreReader(store) as reader, reader.snapshot():
        write_parquet(to, reader)


if __name__ == "__main__":
    main()

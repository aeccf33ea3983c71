"""What the files of a large study cost: CPU time beside a raw SELECT into `csv.writer`.

The baseline reads the same rows and columns from the views, as one would by hand, and writes them
once; the export writes the analysable copy as well. All figures come from one process, so that
their ratios hold on a noisy machine; the store is made in another, so that the peaks are these.

    python benchmarks/export.py [--runs 1000000]
"""

from __future__ import annotations

import argparse
import csv
import gc
import json
import resource
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import NamedTuple

import anyio
import anyio.to_thread
from large_store import ANSWER_CHARACTERS, fill_store

from penstock.artifacts.export import export_artifacts
from penstock.artifacts.parquet import load_parquet, write_parquet
from penstock.store.reader import StoreReader
from penstock.store.schema import EVALUATION_COLUMNS, EVENT_COLUMNS, RUN_COLUMNS

TABLES = {"runs": RUN_COLUMNS, "events": EVENT_COLUMNS, "evaluations": EVALUATION_COLUMNS}


class Measured(NamedTuple):
    cpu_s: float
    peak_mb: float
    longest_stall_ms: float
    """Of an event loop in another thread: CPU time of this process between two of its turns."""


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        store, to = Path(folder) / "store", Path(folder) / "files"
        made = get_context("spawn").Process(target=fill_store, args=(store, arguments.runs))
        made.start()
        made.join()
        to.mkdir()
        load_parquet()  # its import is not the export's
        measured = {
            "raw SELECT into csv.writer": _measure(partial(_by_hand, store, to)),
            "export of all files, analysable copies too": _measure(partial(_export, store, to)),
            "the tables as Parquet": _measure(partial(_parquet, store, to)),
        }

    base = measured["raw SELECT into csv.writer"].cpu_s
    print(f"{arguments.runs:,} runs, answers of more than {ANSWER_CHARACTERS:,} characters")
    print(f"{'':46}{'CPU s':>9}{'µs/run':>9}{'ratio':>7}{'peak MB':>9}{'stall ms':>10}")
    for name, (cpu_s, peak_mb, stall_ms) in measured.items():
        us = cpu_s / arguments.runs * 1e6
        print(f"{name:46}{cpu_s:9.2f}{us:9.1f}{cpu_s / base:7.2f}{peak_mb:9.1f}{stall_ms:10.1f}")

    if arguments.json is not None:
        figures = {name: each._asdict() for name, each in measured.items()}
        arguments.json.write_text(json.dumps({"runs": arguments.runs, "measured": figures}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    return parser.parse_args()


def _measure(work: Callable[[], None]) -> Measured:
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

        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return Measured(process_time() - begun, peak_mb, longest_s * 1e3)

    return anyio.run(beside_a_loop)


def _by_hand(store: Path, to: Path) -> None:
    with closing(sqlite3.connect(store / "study.sqlite")) as connection:
        for name, columns in TABLES.items():
            with (to / f"by-hand-{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows(connection.execute(f"SELECT {', '.join(columns)} FROM {name}"))


def _export(store: Path, to: Path) -> None:
    export_artifacts(store, to)


def _parquet(store: Path, to: Path) -> None:
    with StoreReader(store) as reader, reader.snapshot():
        write_parquet(to, reader)


if __name__ == "__main__":
    main()

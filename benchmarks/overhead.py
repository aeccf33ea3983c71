"""What penstock costs a run: CPU time of the whole pipeline beside what one would write by hand.

All figures come from one process, so that their ratios hold on a noisy machine:

    python benchmarks/overhead.py [--runs 100000] [--concurrency 1000]
"""

from __future__ import annotations

import argparse
import gc
import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from time import process_time

import anyio
import anyio.lowlevel

import penstock as ps
from penstock.artifacts.export import export_artifacts
from penstock.subscribers.progress import EVENTS, progress

ANSWER = "x" * 2000
BATCH = 256


def main() -> None:
    arguments = _arguments()
    measure = partial(_cpu_us, runs=arguments.runs, concurrency=arguments.concurrency)
    measured = {
        "anyio task group behind a CapacityLimiter": measure(_bare_anyio),
        "raw sqlite3 executemany, batches of 256": measure(_raw_sqlite),
    }
    measured["by hand: the two above"] = by_hand = sum(measured.values())
    with tempfile.TemporaryDirectory() as folder:
        measured["penstock, until every result is durable and exported"] = whole = measure(
            _penstock, folder=Path(folder)
        )
        measured["  of it: export of all files"] = export = measure(_export, folder=Path(folder))

    measured["penstock, until every result is durable"] = whole - export
    measured["  without isolated global random states"] = measure(_penstock_plain) - export
    measured["  with 3 listeners and progress"] = measure(_penstock_heard) - export
    print(
        f"{arguments.runs:,} runs, {arguments.concurrency:,} in flight, each awaits once, "
        f"results of {len(ANSWER):,} characters"
    )
    print(f"{'':56}{'CPU µs/run':>12}{'ratio':>8}")
    for name, value in measured.items():
        print(f"{name:56}{value:12.1f}{value / by_hand:8.2f}")

    if arguments.json is not None:
        figures = {"runs": arguments.runs, "cpu_us_per_run": measured}
        arguments.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--concurrency", type=int, default=1_000)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    return parser.parse_args()


def _cpu_us(
    measured: Callable[[int, int, Path], None],
    runs: int,
    concurrency: int,
    folder: Path | None = None,
) -> float:
    with tempfile.TemporaryDirectory() as fresh:
        gc.collect()
        start = process_time()
        measured(runs, concurrency, folder or Path(fresh))
        return (process_time() - start) / runs * 1e6


def _bare_anyio(runs: int, concurrency: int, _folder: Path) -> None:
    async def one(limiter: anyio.CapacityLimiter, token: object) -> None:
        try:
            await agent(None)
        finally:
            limiter.release_on_behalf_of(token)

    async def every() -> None:
        limiter = anyio.CapacityLimiter(concurrency)
        async with anyio.create_task_group() as group:
            for _ in range(runs):
                token = object()
                await limiter.acquire_on_behalf_of(token)
                group.start_soon(one, limiter, token)

    anyio.run(every)


def _raw_sqlite(runs: int, _concurrency: int, folder: Path) -> None:
    def rows() -> Iterator[tuple[int, str]]:
        for number in range(runs):
            yield number, f'{{"text":"{ANSWER}"}}'

    with closing(sqlite3.connect(folder / "raw.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE result (id INTEGER PRIMARY KEY, outputs TEXT)")
        batch: list[tuple[int, str]] = []
        for row in rows():
            batch.append(row)
            if len(batch) == BATCH:
                _insert(connection, batch)
                batch = []

        _insert(connection, batch)


def _insert(connection: sqlite3.Connection, batch: list[tuple[int, str]]) -> None:
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO result VALUES (?, ?)", batch)
    connection.execute("COMMIT")


async def agent(ctx: object) -> str:
    await anyio.lowlevel.checkpoint()
    return ANSWER


def _penstock(runs: int, concurrency: int, folder: Path) -> None:
    anyio.run(make_runner(runs, concurrency, folder).run)


def _penstock_plain(runs: int, concurrency: int, folder: Path) -> None:
    anyio.run(make_runner(runs, concurrency, folder, isolate_random=False).run)


def _penstock_heard(runs: int, concurrency: int, folder: Path) -> None:
    with (folder / "progress").open("w") as out:
        runner = make_runner(runs, concurrency, folder)
        runner.subscribe(progress(out), *EVENTS)

        async def listen(stream: ps.EventStream) -> None:
            while await stream.batch():
                pass

        for types in ((ps.RunFinished,), (ps.RunEvent,), ()):
            runner.subscribe(listen, *types)

        anyio.run(runner.run)


def _export(_runs: int, _concurrency: int, folder: Path) -> None:
    export_artifacts(folder / "out", folder / "again")


def make_runner(
    runs: int, concurrency: int, folder: Path, *, isolate_random: bool = True
) -> ps.StudyRunner:
    study = ps.Study(
        study_id="overhead",
        title="Overhead",
        factors=[ps.Factor(name="tone", levels=["terse", "polite"])],
        agent_specs=("agent",),
        problem_ids=("problem",),
        run_budget=ps.RunBudget(replicates=runs // 2, parallelism=concurrency),
    )
    return ps.StudyRunner(
        study,
        agent_bindings={"agent": agent},
        output_dir=folder / "out",
        show_progress=False,
        isolate_random=isolate_random,
    )


if __name__ == "__main__":
    main()

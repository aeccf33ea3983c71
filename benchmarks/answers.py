"""What large answers cost: CPU time of a run, of its files, and bytes on the disk.

By hand the same rows are inserted and synced in groups, and a SELECT of the same columns goes into
`csv.writer`. The files that are counted on the disk are those of a whole study: the store, and
every table. Agents answer at once; the garbage collector is that of a process of its own.

    python benchmarks/answers.py [--megabytes 100] [--rounds 2]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from by_hand import insert_alone, select_into_csv
from figures import Figure, options, report
from measure import cpu_us, in_turns
from studies import Agent, make_runner, run_alone, until_durable_us

from penstock.export.artifacts import export_artifacts
from penstock.running.garbage import relaxed_gc

SIZES = {"10 KB": 10_000, "100 KB": 100_000, "1 MB": 1_000_000}
ON_DISK = {"200 B": 200, "2 KB": 2_000, "10 KB": 10_000}
CONCURRENCY = 100


def main() -> None:
    arguments = options(__doc__, megabytes=100, rounds=2).parse_args()
    most = arguments.megabytes * 1_000_000
    figures = [
        figure
        for name, size in SIZES.items()
        for figure in times(name, size, max(20, most // size), arguments.rounds)
    ]
    figures += [on_disk(name, size) for name, size in ON_DISK.items()]
    report("answers", figures, arguments)


def times(name: str, size: int, runs: int, rounds: int) -> Iterator[Figure]:
    answer = _words(size)
    durable_us: dict[str, list[float]] = {}
    files_us: dict[str, list[float]] = {}

    def one_round(_: str) -> float:
        with TemporaryDirectory() as folder, relaxed_gc():
            place = Path(folder)
            by_hand_us = cpu_us(lambda: insert_alone(answer, runs, place), runs)
            select_us = cpu_us(lambda: select_into_csv(place), runs)

        with TemporaryDirectory() as folder:
            place = Path(folder)
            make = lambda: make_runner(Agent(answer=answer), runs, CONCURRENCY, place)  # noqa: E731
            durable = until_durable_us(runs, make)
            with relaxed_gc():
                files = cpu_us(lambda: export_artifacts(place / "out"), runs)

        for found, pair in ((durable_us, (durable, by_hand_us)), (files_us, (files, select_us))):
            found.setdefault("penstock", []).append(pair[0])
            found.setdefault("by hand", []).append(pair[1])

        return durable

    in_turns((name,), one_round, rounds)
    for what, found in (("durable", durable_us), ("files", files_us)):
        ours, by_hand = median(found["penstock"]), median(found["by hand"])
        yield Figure(f"answers of {name}: {what}", ours, "µs/run", by_hand, at_most_x=1.3)


def on_disk(name: str, size: int, runs: int = 5_000) -> Figure:
    with TemporaryDirectory() as folder:
        place = Path(folder)
        run_alone(make_runner(Agent(answer=_words(size)), runs, CONCURRENCY, place).run)
        files = [each for each in (place / "out").rglob("*") if each.is_file()]
        # A second name of a file takes no place.
        bytes_each = (
            sum({each.stat().st_ino: each.stat().st_size for each in files}.values()) / runs
        )

    at_most = 2.2 * size + 600
    return Figure(f"bytes on disk, answers of {name}", bytes_each, "B/run", size, at_most=at_most)


def _words(size: int) -> str:
    """Make a text as models write it: commas, quotes and line breaks among words."""
    text = 'The water runs down, and then it says "stop"; the turbine turns.\n'
    return (text * (size // len(text) + 1))[:size]


if __name__ == "__main__":
    main()

"""What a careful person would write by hand in place of penstock: the baselines of the others.

Plain asyncio tasks behind a semaphore, and one thread that writes rows with ``executemany`` in
groups of 256, each synced to the disk. The rows hold what penstock's store holds of a run, column
by column, and the file has the same settings. A killed process loses at most a group and what was
in flight, as with penstock. There is no plan, no hashing, no retry and no event.

`sketch` adds by hand what penstock keeps of a run beyond that: the order of the plan, ids and seeds
from hashes, starts that are counted before agents are called, an index of results, and a state of
``random`` for each run.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - what one would write by hand
import csv
import ctypes
import random
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from mmap import mmap
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any, NamedTuple

import orjson

from penstock.store.rows import ATTEMPT_COLUMNS

__all__ = [
    "Done",
    "insert_alone",
    "joined",
    "run_by_hand",
    "select_into_csv",
    "sketch",
    "tasks_alone",
    "writer",
]

GROUP = 256
SAID = ATTEMPT_COLUMNS[: ATTEMPT_COLUMNS.index("error_kind")]
"""What is said of a run that succeeded: to hand SQLite a null takes longer than to leave it out."""

INSERT = f"INSERT INTO attempt ({', '.join(SAID)}) VALUES ({', '.join('?' * len(SAID))})"

Agent = Callable[[Any], Awaitable[str]]
Row = tuple[Any, ...]
One = Callable[[int], Coroutine[Any, Any, None]]


class Done(NamedTuple):
    """A run that is over."""

    number: int
    run_id: str
    seed: int
    started_at: datetime
    latency_s: float
    answer: str


def run_by_hand(agent: Agent, runs: int, concurrency: int, folder: Path) -> None:
    """Do so many runs of an agent, so many at once, and keep every result."""
    with writer(folder) as keep:

        async def one(number: int) -> None:
            started_at, begun = datetime.now(UTC), perf_counter()
            answer = await agent(None)
            name = f"{number:012x}"
            keep(Done(number, f"run-{name}", number, started_at, perf_counter() - begun, answer))

        asyncio.run(_every(one, range(runs), concurrency))


def tasks_alone(agent: Agent, runs: int, concurrency: int) -> None:
    """Do the runs, and keep nothing."""

    async def one(_: int) -> None:
        await agent(None)

    asyncio.run(_every(one, range(runs), concurrency))


def sketch(agent: Agent, runs: int, concurrency: int, folder: Path) -> None:
    """Do the runs in a drawn order, with ids and seeds, counted, and each with its own `random`."""
    order = list(range(runs))
    random.Random(0).shuffle(order)
    started = 0
    (folder / "started").write_bytes(bytes(8))
    with writer(folder) as keep, (folder / "started").open("r+b") as file:
        counted = memoryview(mmap(file.fileno(), 8)).cast("Q")
        keep.connection.execute("CREATE UNIQUE INDEX result ON attempt (position) WHERE final")

        async def one(position: int) -> None:
            nonlocal started
            what = f'{{"condition":{position % 2},"replicate":{position // 2},"study":"benchmark"}}'
            hashed = sha256(what.encode())
            seed = int.from_bytes(hashed.digest()[:4], "big")
            started += 1
            counted[0] = started  # the system keeps it when the process is killed
            started_at, begun = datetime.now(UTC), perf_counter()
            answer = await _Isolated(agent(None), seed)
            run_id = f"run-{hashed.hexdigest()[:12]}"
            keep(Done(position, run_id, seed, started_at, perf_counter() - begun, answer))

        asyncio.run(_every(one, order, concurrency))


def insert_alone(answer: str, runs: int, folder: Path) -> None:
    """Keep so many results, and do no runs."""
    with _database(folder) as connection:
        for first in range(0, runs, GROUP):
            numbers = range(first, min(first + GROUP, runs))
            done = [Done(n, f"run-{n:012x}", n, datetime.now(UTC), 0.1, answer) for n in numbers]
            _insert(connection, [*map(_row, done)])


RUNS = """
SELECT 'benchmark', condition_id, run_id, problem_id, 'unknown', agent_id, 'unknown', 'unknown',
       'unknown', seed, replicate, status, started_at, ended_at, latency_s, input_tokens,
       output_tokens, cost_usd, primary_outcome, '', 'manifest.json', NULL
FROM attempt ORDER BY position
"""
EVENTS = """
SELECT ended_at, answer_event_id, outputs ->> '$.text', run_id, 'agent', 'assistant_output',
       '{"auto_generated":true}', 'step', 'benchmark', run_id, condition_id, NULL, NULL, NULL, NULL
FROM attempt ORDER BY position
"""


def select_into_csv(folder: Path) -> None:
    """Write ``runs.csv`` and ``events.csv`` of the rows that `run_by_hand` has kept."""
    with closing(sqlite3.connect(folder / "by_hand.sqlite")) as connection:
        for name, query in {"runs": RUNS, "events": EVENTS}.items():
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(connection.execute(query))


def joined(folder: Path) -> None:
    """Write the same without the csv module, which looks at every character in turn."""
    with closing(sqlite3.connect(folder / "by_hand.sqlite")) as connection:
        for name, query in {"runs": RUNS, "events": EVENTS}.items():
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                file.writelines(_line(row) for row in connection.execute(query))


def _line(row: Row) -> str:
    cells = ["" if cell is None else str(cell) for cell in row]
    return ",".join([_quoted(cell) for cell in cells]) + "\r\n"


def _quoted(cell: str) -> str:
    if '"' in cell:
        cell = cell.replace('"', '""')
        return f'"{cell}"'

    return f'"{cell}"' if "," in cell or "\n" in cell or "\r" in cell else cell


async def _every(one: One, numbers: Sequence[int], concurrency: int) -> None:
    loop, slots = asyncio.get_running_loop(), asyncio.Semaphore(concurrency)
    tasks: set[asyncio.Task[None]] = set()

    def ended(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        slots.release()

    for number in numbers:
        await slots.acquire()
        task = loop.create_task(one(number))
        tasks.add(task)
        task.add_done_callback(ended)

    await asyncio.gather(*tasks)


_AT = id(random._inst) + object.__basicsize__  # noqa: SLF001 - there is no other way to it
_TWISTER = memoryview((ctypes.c_char * 2500).from_address(_AT)).cast("B")
"""The state of `random`; to copy it takes a hundredth of what `getstate` does."""


class _Isolated(Generator[Any, Any, str]):
    """Awaits an agent within a state of `random` of its own, and puts the host's back."""

    def __init__(self, agent: Awaitable[str], seed: int) -> None:
        self._steps: Any = agent.__await__()
        self._seed = seed
        self._state: Any = None

    def __await__(self) -> Generator[Any, Any, str]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def throw(self, *_: Any) -> Any:
        raise NotImplementedError("nobody cancels it")

    def send(self, value: Any) -> Any:
        host = _TWISTER.tobytes()
        if self._state is None:
            random.seed(self._seed)
        else:
            _TWISTER[:] = self._state

        try:
            return self._steps.send(value)
        finally:
            self._state = _TWISTER.tobytes()
            _TWISTER[:] = host


class _Keep:
    """Hands rows in groups to the thread that writes them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._rows: list[Row] = []
        self._groups: SimpleQueue[list[Row]] = SimpleQueue()
        self._thread = Thread(target=self._write)
        self._thread.start()

    def __call__(self, done: Done) -> None:
        self._rows.append(_row(done))
        if len(self._rows) >= GROUP:
            self._groups.put(self._rows)
            self._rows = []

    def close(self) -> None:
        if self._rows:
            self._groups.put(self._rows)

        self._groups.put([])
        self._thread.join()

    def _write(self) -> None:
        while rows := self._groups.get():
            _insert(self.connection, rows)


@contextmanager
def writer(folder: Path) -> Iterator[_Keep]:
    """Write rows in a thread, and yield what takes them."""
    with _database(folder) as connection, closing(_Keep(connection)) as keep:
        yield keep


@contextmanager
def _database(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(
        folder / "by_hand.sqlite", isolation_level=None, check_same_thread=False
    )
    others = ", ".join(ATTEMPT_COLUMNS[1:])
    try:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"CREATE TABLE attempt (id INTEGER PRIMARY KEY, {others})")
        yield connection
    finally:
        connection.close()


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(INSERT, rows)
    connection.execute("COMMIT")


def _row(done: Done) -> Row:
    number, run_id, seed, started_at, latency_s, answer = done
    metrics = {
        "tool_call_count": 0,
        "step_event_count": 1,
        "unique_actor_count": 1,
        "latency_s": latency_s,
        "cost_usd": 0.0,
        "input_tokens": 0,
        "output_tokens": 0,
    }
    return (
        *(None, number, 1, 1, 1, number, number + 1),
        run_id,
        f"cond-{number % 2:012x}",
        *("problem", "agent", number // 2 + 1, seed, "success"),
        started_at.isoformat(),
        datetime.now(UTC).isoformat(),
        *(latency_s, 0, 0, 0.0, None),
        orjson.dumps({"text": answer}).decode(),
        orjson.dumps(metrics).decode(),
        '{"problem_family":"unknown"}',
        "[]",
        f"evt-{number:012x}",
        *(1, 1),
    )

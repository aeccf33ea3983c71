"""What one would write by hand in place of penstock: the baseline of `overhead.py`.

An anyio task group behind a `CapacityLimiter`, and raw `sqlite3` with `executemany` in batches of
256, each batch synced to the disk. The rows hold what penstock's store holds of a run, column by
column, and the file has the same settings. There is no plan, no hashing, no retry, no event; a
killed process loses at most a batch and what was in flight, as with penstock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import anyio
import anyio.to_thread
import orjson

__all__ = ["insert_alone", "run_by_hand", "spawn_alone"]

BATCH = 256

COLUMNS = """
    id INTEGER PRIMARY KEY, position INTEGER UNIQUE, final INTEGER, session_id INTEGER,
    number INTEGER, planned_order INTEGER, started_order INTEGER, run_id TEXT, condition_id TEXT,
    problem_id TEXT, agent_id TEXT, replicate INTEGER, seed INTEGER, status TEXT, started_at TEXT,
    ended_at TEXT, latency_s REAL, input_tokens INTEGER, output_tokens INTEGER, cost_usd REAL,
    primary_outcome, outputs TEXT, metrics TEXT, provenance TEXT, trace_refs TEXT,
    error_kind TEXT, error_message TEXT, error_stage TEXT, error_retryable INTEGER, traceback TEXT
"""
INSERT = f"INSERT INTO attempt VALUES ({', '.join('?' * 30)})"

Agent = Callable[[Any], Awaitable[str]]
Row = tuple[Any, ...]


def run_by_hand(agent: Agent, runs: int, concurrency: int, folder: Path) -> None:
    """Do so many runs of an agent, so many at once, and keep every result."""

    async def every(connection: sqlite3.Connection) -> None:
        limiter, one_writer = anyio.CapacityLimiter(concurrency), anyio.CapacityLimiter(1)
        rows: list[Row] = []

        async def one(number: int) -> None:
            nonlocal rows
            try:
                started_at, begun = datetime.now(UTC), perf_counter()
                answer = await agent(None)
                rows.append(_row(number, started_at, perf_counter() - begun, answer))
            finally:
                limiter.release_on_behalf_of(number)

            if len(rows) >= BATCH:
                full, rows = rows, []
                await anyio.to_thread.run_sync(_insert, connection, full, limiter=one_writer)

        async with anyio.create_task_group() as group:
            for number in range(runs):
                await limiter.acquire_on_behalf_of(number)
                group.start_soon(one, number)

        await anyio.to_thread.run_sync(_insert, connection, rows)

    with _database(folder) as connection:
        anyio.run(every, connection)


def spawn_alone(agent: Agent, runs: int, concurrency: int) -> None:
    """Do the runs, and keep nothing."""

    async def every() -> None:
        limiter = anyio.CapacityLimiter(concurrency)

        async def one(number: int) -> None:
            try:
                await agent(None)
            finally:
                limiter.release_on_behalf_of(number)

        async with anyio.create_task_group() as group:
            for number in range(runs):
                await limiter.acquire_on_behalf_of(number)
                group.start_soon(one, number)

    anyio.run(every)


def insert_alone(answer: str, runs: int, folder: Path) -> None:
    """Keep so many results, and do no runs."""
    with _database(folder) as connection:
        for first in range(0, runs, BATCH):
            numbers = range(first, min(first + BATCH, runs))
            _insert(connection, [_row(n, datetime.now(UTC), 0.1, answer) for n in numbers])


@contextmanager
def _database(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(
        folder / "by_hand.sqlite", isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA page_size = 16384")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"CREATE TABLE attempt ({COLUMNS})")
        yield connection
    finally:
        connection.close()


def _insert(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(INSERT, rows)
    connection.execute("COMMIT")


def _row(number: int, started_at: datetime, latency_s: float, answer: str) -> Row:
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
        *(number + 1, number, 1, 1, 1, number, number + 1),
        f"run-{number:012x}",
        f"cond-{number % 2:012x}",
        *("problem", "agent", number // 2 + 1, number, "success"),
        started_at.isoformat(),
        datetime.now(UTC).isoformat(),
        *(latency_s, 0, 0, 0.0, None),
        orjson.dumps({"text": answer}).decode(),
        orjson.dumps(metrics).decode(),
        '{"problem_family":"unknown"}',
        "[]",
        *(None,) * 5,
    )

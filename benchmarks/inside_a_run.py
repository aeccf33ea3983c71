"""What is done inside a run costs: observations, threads for blocking agents, evaluators.

Each is measured as what a durable run takes beyond the same run without it, in turns in one
process. By hand stands the least of the same: rows of observations and of scores inserted in
groups, and a `ThreadPoolExecutor` of as many threads that is waited for from the event loop. How
busy slots are is by the clock.

    python benchmarks/inside_a_run.py [--runs 4000] [--rounds 3]
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - what one would write by hand
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any

from by_hand import GROUP, run_by_hand
from figures import Figure, options, report
from measure import cpu_us, in_turns
from studies import ANSWER, Agent, make_runner, run_alone, until_durable_us

import penstock as ps
from penstock.running.garbage import relaxed_gc
from penstock.store.rows import OBSERVED_COLUMNS

OBSERVED = 20
"""How often the agent of the first part observes and records something."""

SCORED_COLUMNS = ("attempt_id", "scoring_id", "session_id", "rows", "latency_s", "cost_usd")
EVALUATION_COLUMNS = (
    *("attempt_id", "scoring_id", "number", "evaluator_id", "metric_name", "metric_value"),
    *("metric_type", "metric_unit", "aggregation_level", "notes_json"),
)

IN_FLIGHT = (64, 500)
SLEEP_S = 0.05
NOTHING: Mapping[str, Any] = MappingProxyType({})


def main() -> None:
    arguments = options(__doc__, runs=4_000, rounds=3).parse_args()
    runs, rounds = arguments.runs, arguments.rounds
    figures = [*observing(runs // 4, rounds), *threads(runs, rounds), *evaluators(runs, rounds)]
    report("inside_a_run", figures, arguments)


def durable_us(
    agent: Callable[..., Any],
    runs: int,
    concurrency: int,
    declared: Mapping[str, Any] = NOTHING,
    **options: Any,
) -> float:
    with TemporaryDirectory() as folder:
        options["declared"] = declared
        make = partial(make_runner, agent, runs, concurrency, Path(folder), **options)
        return until_durable_us(runs, make)


def _above(measured: Mapping[str, list[float]], name: str, base: str) -> float:
    """Give what one takes beyond another: the median of what each round gives."""
    pairs = zip(measured[name], measured[base], strict=True)
    return median(value - least for value, least in pairs)


def observing(runs: int, rounds: int) -> Iterator[Figure]:
    async def observes(ctx: ps.RunContext) -> str:
        for step in range(OBSERVED):
            ctx.observe("step", "has looked at it", step_id=str(step), found=step)
            ctx.record(looked=1)

        await asyncio.sleep(0)
        return ANSWER

    def us(name: str) -> float:
        if name == "by hand":
            return _rows_of_observations_us(runs * OBSERVED)

        return durable_us(Agent() if name == "bare" else observes, runs, 100)

    us("observes")  # imports what it uses
    measured = in_turns(("by hand", "bare", "observes"), us, rounds)
    each_us = _above(measured, "observes", "bare") / OBSERVED
    name = "an observation with a record"
    yield Figure(name, each_us, "µs", median(measured["by hand"]), at_most=10)


def _rows_of_observations_us(rows: int) -> float:
    cells = ["2026-01-01T00:00:00.000000+00:00", "evt-0123456789ab", "has looked at it"]
    cells += ["x"] * (len(OBSERVED_COLUMNS) - 3)
    columns = ("attempt_id", "number", *OBSERVED_COLUMNS)
    return _inserted_us(columns, ((n // OBSERVED, n, *cells) for n in range(rows)), rows)


def _rows_of_scores_us(runs: int) -> float:
    """Give what the two rows of an evaluator's score take: the score, and what it took."""
    value = ("score", "score", 1.0, None, "unitless", "run", "{}")
    scores = _inserted_us(EVALUATION_COLUMNS, ((n, 1, 0, *value) for n in range(runs)), runs)
    scored = _inserted_us(SCORED_COLUMNS, ((n, 1, 1, 1, 1e-5, 0.0) for n in range(runs)), runs)
    return scores + scored


def _inserted_us(columns: Sequence[str], rows: Iterable[tuple[Any, ...]], count: int) -> float:
    """Give what a row takes that is inserted in groups, found by its first two columns."""
    each, marks = [*rows], ", ".join("?" * len(columns))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "by_hand.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None)) as store:
            store.execute("PRAGMA journal_mode = WAL")
            key = f"PRIMARY KEY ({columns[0]}, {columns[1]})"
            store.execute(f"CREATE TABLE kept ({', '.join(columns)}, {key}) WITHOUT ROWID")

            def insert() -> None:
                for first in range(0, count, GROUP):
                    store.execute("BEGIN")
                    group = each[first : first + GROUP]
                    store.executemany(f"INSERT INTO kept VALUES ({marks})", group)
                    store.execute("COMMIT")

            return cpu_us(insert, count)


def threads(runs: int, rounds: int) -> Iterator[Figure]:
    def blocking(ctx: Any) -> str:
        return ANSWER

    for in_flight in IN_FLIGHT:

        def us(name: str, in_flight: int = in_flight) -> float:
            if name == "in the loop":
                # Random states are isolated in no thread: nor are they here, or it would be less.
                return durable_us(Agent(), runs, in_flight, isolate_random=False)

            if name == "in threads":
                return durable_us(blocking, runs, in_flight)

            return _by_hand_us(blocking if name == "by hand in threads" else None, runs, in_flight)

        names = ("in the loop", "in threads", "by hand", "by hand in threads")
        measured = in_turns(names, us, rounds)
        ours_us = _above(measured, "in threads", "in the loop")
        by_hand_us = _above(measured, "by hand in threads", "by hand")
        name = f"a blocking agent in a thread at {in_flight}, beyond an async one"
        yield Figure(name, ours_us, "µs/run", by_hand_us, at_most=40)

    by_hand = median(_busy_percent("by hand") for _ in range(rounds))
    ours = median(_busy_percent("penstock") for _ in range(rounds))
    yield Figure("blocking agents of 50 ms at 500: busy", ours, "%", by_hand, at_least=85)


def _in_executor(function: Callable[[Any], str], executor: ThreadPoolExecutor) -> Any:
    async def agent(_: Any) -> str:
        return await asyncio.get_running_loop().run_in_executor(executor, function, None)

    return agent


def _by_hand_us(blocking: Callable[[Any], str] | None, runs: int, in_flight: int) -> float:
    with TemporaryDirectory() as folder, ThreadPoolExecutor(in_flight) as executor, relaxed_gc():
        agent = Agent() if blocking is None else _in_executor(blocking, executor)
        return cpu_us(lambda: run_by_hand(agent, runs, in_flight, Path(folder)), runs)


def _busy_percent(who: str, runs: int = 5_000, in_flight: int = 500) -> float:
    """Give the share of the slots' time in which agents slept, from the first start to the end."""
    began_at, ended_at = list[float](), list[float]()

    def sleeps(ctx: Any) -> str:
        began_at.append(monotonic())
        sleep(SLEEP_S)
        ended_at.append(monotonic())
        return ANSWER

    with TemporaryDirectory() as folder, ThreadPoolExecutor(in_flight) as executor, relaxed_gc():
        if who == "by hand":
            run_by_hand(_in_executor(sleeps, executor), runs, in_flight, Path(folder))
        else:
            run_alone(make_runner(sleeps, runs, in_flight, Path(folder)).run)

    return runs * SLEEP_S / (in_flight * (max(ended_at) - min(began_at))) * 100


async def _scores_async(answer: str) -> float:
    return float(len(answer) > 1)


def _scores_blocking(answer: str) -> float:
    return float(len(answer) > 1)


EVALUATORS = {
    "built-in": ("contains", 3),
    "async def": (_scores_async, 3),
    "def": (_scores_blocking, 25),
}


def evaluators(runs: int, rounds: int) -> Iterator[Figure]:
    problems = (ps.Problem(problem_id="problem", brief="?", payload={"expected": "42"}),)
    bare = {"problems": problems}

    def us(name: str) -> float:
        if name in BY_HAND:
            return BY_HAND[name](runs)

        scored = {} if name == "bare" else {"evaluators": {"score": EVALUATORS[name][0]}}
        return durable_us(Agent(), runs, 500, {**bare, **scored})

    for name in EVALUATORS:
        us(name)  # imports what it uses

    measured = in_turns((*BY_HAND, "bare", *EVALUATORS), us, rounds)
    rows_us, hop_us = (median(measured[name]) for name in BY_HAND)
    for name, (_, at_most) in EVALUATORS.items():
        by_hand_us = rows_us + hop_us if name == "def" else rows_us
        spent_us = _above(measured, name, "bare")
        yield Figure(f"an evaluator, {name}, at 500", spent_us, "µs", by_hand_us, at_most=at_most)


def _hop_us(hops: int) -> float:
    """Give what calling a function in another thread takes, one after another."""

    async def every() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as executor:
            for _ in range(hops):
                await loop.run_in_executor(executor, _scores_blocking, "x")

    return cpu_us(lambda: asyncio.run(every()), hops)


BY_HAND = {"rows": _rows_of_scores_us, "hop": _hop_us}


if __name__ == "__main__":
    main()

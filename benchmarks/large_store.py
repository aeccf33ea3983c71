"""A store of a million results without a million calls: a study's first runs, multiplied.

The study runs its first replicate through the whole pipeline. The other runs are copies of those
rows, each at its own place of the plan with its own ids and seed, in the order in which they would
have been saved.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import anyio

import penstock as ps
from penstock.planning.order import execution_order
from penstock.planning.plan import Plan
from penstock.study.identity import answer_event_id
from penstock.study.policies import RunBudget
from penstock.study.spending import Budget

__all__ = ["CONDITIONS", "PROBLEMS", "fill_store", "fill_store_in_child", "make_runner"]

CONDITIONS, PROBLEMS = 10, 100
WORDS = ("the", "water", "runs", "down,", "and", "then", 'says "stop";', "turbine", "€", "is\n")
BATCH = 1_000

Agent = Callable[[ps.RunContext], Any]
_DETAILS = ("observation", "evaluation", "scored")


class Answering:
    """Answers with words, as models do: commas, quotes and line breaks among them.

    Args:
        words: So many.
    """

    def __init__(self, words: int = 400) -> None:
        self._words = words

    async def __call__(self, ctx: ps.RunContext) -> str:
        words = Random(ctx.seed).choices(WORDS, k=self._words)
        ctx.record(cost_usd=0.001, input_tokens=200, output_tokens=500)
        return " ".join(words)


ANSWERING = Answering()


def make_runner(
    folder: Path, *, runs: int, agent: Agent = ANSWERING, budget: Budget | None = None
) -> ps.StudyRunner:
    """Make the runner of a study of so many runs, rounded up to whole replicates."""
    study = ps.Study(
        study_id="large",
        title="A large study",
        factors=[ps.Factor(name="tone", levels=[f"tone {i}" for i in range(CONDITIONS)])],
        agent_specs=("agent",),
        problems=[
            ps.Problem(problem_id=f"problem-{i}", brief="How much?", payload={"expected": "42"})
            for i in range(PROBLEMS)
        ],
        evaluators={"correct": "contains"},
        run_budget=RunBudget(replicates=-(-runs // (CONDITIONS * PROBLEMS)), parallelism=100),
        budget=budget or Budget(),
    )
    return ps.StudyRunner(
        study, agent_bindings={"agent": agent}, output_dir=folder, show_progress=False
    )


def fill_store(folder: Path, runs: int, words: int = 400) -> None:
    """Make a store that holds the results of so many runs of a study, all that it plans.

    Args:
        folder: The study's output directory.
        runs: How many.
        words: How long answers are; 400 are some 2,600 characters.
    """
    first = CONDITIONS * PROBLEMS
    runner = make_runner(folder, runs=first, agent=Answering(words))
    anyio.run(runner.run)
    everything = make_runner(folder, runs=runs)
    everything.stop("the rest is copied")
    anyio.run(everything.run)  # moves what is there to its places in the whole plan
    with closing(sqlite3.connect(folder / "study.sqlite", isolation_level=None)) as store:
        store.row_factory = sqlite3.Row
        copies = _copies(store, everything.plan, runs)
        while batch := list(islice(copies, BATCH)):
            store.execute("BEGIN")
            for table in ("attempt", *_DETAILS):
                rows = [row for name, row in batch if name == table]
                if rows:
                    marks = ", ".join("?" * len(rows[0]))
                    store.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

            store.execute("COMMIT")


def fill_store_in_child(folder: Path, runs: int, words: int = 400) -> None:
    """Do the same in a process of its own, so that what it takes is not measured here."""
    child = get_context("spawn").Process(target=fill_store, args=(folder, runs, words))
    child.start()
    child.join()
    assert child.exitcode == 0


def _copies(
    store: sqlite3.Connection, plan: Plan, runs: int
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    done = {
        (row["condition_id"], row["problem_id"]): dict(row)
        for row in store.execute("SELECT * FROM attempt")
    }
    held = {row["position"] for row in done.values()}
    details = {
        name: {row["attempt_id"]: dict(row) for row in store.execute(f"SELECT * FROM {name}")}
        for name in _DETAILS
    }
    (last,) = store.execute("SELECT max(id) FROM attempt").fetchone()
    for order, position in enumerate(islice(execution_order(plan), runs)):
        if position in held:
            continue

        spec = plan.at(position)
        row = done[spec.condition_id, spec.problem_id]
        last += 1
        own = {
            "id": last,
            "position": position,
            "planned_order": order,
            "started_order": order,
            "run_id": spec.run_id,
            "answer_event_id": answer_event_id(spec.run_id),
            "replicate": spec.replicate,
            "seed": spec.seed,
        }
        yield "attempt", tuple({**row, **own}.values())
        for name in _DETAILS:
            if detail := details[name].get(row["id"]):
                yield name, tuple({**detail, "attempt_id": last}.values())

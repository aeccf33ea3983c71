"""Attempts of another plan are found where the plan of today has the same runs, nowhere else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.errors import ForeignDirectoryError
from penstock.planning.plan import Plan, plan
from penstock.store.continuing.moved_runs import moved_in

BEFORE: dict[str, Any] = {
    "study_id": "moved",
    "title": "Moved",
    "factors": [{"name": "tone", "levels": ["terse", "polite", "rude"]}],
    "agent_specs": ("one", "other"),
    "problem_ids": ("a", "b", "c"),
    "replicates": 3,
}
CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "more replicates": {"replicates": 5},
    "fewer replicates": {"replicates": 1},
    "a level before the others": {
        "factors": [{"name": "tone", "levels": ["kind", "terse", "polite", "rude"]}]
    },
    "a level less": {"factors": [{"name": "tone", "levels": ["polite", "rude"]}]},
    "agents in another order": {"agent_specs": ("other", "one", "third")},
    "an agent less": {"agent_specs": ("other",)},
    "problems in another order": {"problem_ids": ("c", "a", "d", "b")},
    "all of it": {
        "factors": [{"name": "tone", "levels": ["rude", "kind", "terse"]}],
        "agent_specs": ("third", "other"),
        "problem_ids": ("d", "b", "a"),
        "replicates": 2,
    },
}
COLUMNS = "id INTEGER PRIMARY KEY, final, run_id, seed, position, replicate, condition_id"


def _planned(**changed: Any) -> Plan:
    return plan(ps.Study.model_validate({**BEFORE, **changed}))


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as store:
        store.execute(f"CREATE TABLE attempt ({COLUMNS}, agent_id, problem_id)")
        yield store


def _keep(store: sqlite3.Connection, made: Plan, *, others: int = 0) -> None:
    """Keep a result of every run, and as many other attempts, some of them with other seeds."""
    for spec in made:
        who = (spec.replicate, spec.condition_id, spec.agent_id, spec.problem_id)
        for final, seed in ((1, spec.seed), *[(0, spec.seed + n) for n in range(others)]):
            row = (final, spec.run_id, seed, spec.position, *who)
            store.execute("INSERT INTO attempt VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", row)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_each_attempt_stands_where_its_run_does(
    connection: sqlite3.Connection, change: dict[str, Any]
) -> None:
    _keep(connection, _planned(), others=2)
    today = _planned(**change)

    moved = moved_in(connection, Path("results"), today)

    planned = {spec.run_id: spec for spec in today}
    for attempt_id, final, run_id, seed, position in connection.execute(
        "SELECT id, final, run_id, seed, position FROM attempt"
    ):
        spec = planned.get(run_id)
        is_there = spec is not None and (final or seed == spec.seed)
        expected = spec.position if is_there and spec is not None else None
        assert moved.get(attempt_id, position) == expected
        assert (attempt_id in moved) is (position != expected)


@pytest.mark.parametrize("change", ["nothing", "a level less", "fewer replicates"])
def test_results_with_other_seeds_are_refused_in_the_plan_or_outside_it(
    connection: sqlite3.Connection, change: str
) -> None:
    _keep(connection, _planned(seed_policy={"base_seed": 7}))

    with pytest.raises(ForeignDirectoryError, match="seed policy"):
        moved_in(connection, Path("results"), _planned(**CHANGES[change]))


def test_runs_whose_ids_are_made_otherwise_are_not_those_of_the_plan(
    connection: sqlite3.Connection,
) -> None:
    made = _planned()
    _keep(connection, made)
    connection.execute("UPDATE attempt SET run_id = 'run-' || id")

    moved = moved_in(connection, Path("results"), made)

    assert moved == dict.fromkeys(range(1, len(made) + 1))

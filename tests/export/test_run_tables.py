"""The tables of runs and events hold what the views of the store say, whatever was answered."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.store.reader import StoreReader
from penstock.store.schema import EVENT_COLUMNS, RUN_COLUMNS
from penstock.store.views import EVENTS_IN_ORDER

ANSWERS: list[Any] = [
    "42",
    "",
    'a "quoted", text\r\nof two lines',
    42,
    2.5,
    True,
    ["a", 1],
    {"text": None},
    {"text": 1e16},
    {"text": {"b": [None, 1.0]}},
    {"text": "é\u2028", "steps": 3},
    {"value": 1.5},
    {"answer": "yes"},
    {"value": float("nan")},
    None,  # it fails: an agent returns its answer
    ps.AgentResult(success=False, error="did not know"),
]
AMOUNTS: list[dict[str, Any]] = [
    {},
    {"cost_usd": None},
    {"cost_usd": 0.0, "input_tokens": None, "output_tokens": 7},
    {"cost_usd": 1e-9, "input_tokens": 5},
]


async def agent(ctx: ps.RunContext) -> Any:
    """Give each answer with each of the amounts, now and then after something it reports."""
    number = ctx.condition["number"]
    if number % 3 == 0:
        ctx.observe("tool_call", "has looked, \n", found=number)

    ctx.record(**AMOUNTS[number % len(AMOUNTS)])
    return ANSWERS[number // len(AMOUNTS)]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    study = ps.Study(
        study_id="varied",
        title="Answers of all kinds",
        factors=[ps.Factor(name="number", levels=list(range(len(ANSWERS) * len(AMOUNTS))))],
        problems=[ps.Problem(problem_id="p")],
        agent_specs=("agent",),
    )
    ps.run_study(
        study,
        agent_bindings={"agent": agent},
        output_dir=folder,
        show_progress=False,
        report=False,
    )
    return folder


def cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.reader(file)]


def in_sql(results: Path, table: str, columns: tuple[str, ...]) -> Iterator[list[str]]:
    with StoreReader(results) as store:
        for row in store.table(f"SELECT {', '.join(columns)} FROM {table}"):
            yield ["" if cell is None else str(cell) for cell in row]


def test_events_are_those_of_the_view(results: Path) -> None:
    header, *rows = cells(results / "events.csv")

    assert header == [*EVENT_COLUMNS]
    assert rows == [*in_sql(results, EVENTS_IN_ORDER, EVENT_COLUMNS)]
    assert len(rows) > len(ANSWERS) * len(AMOUNTS)


def test_runs_are_those_of_the_view_with_0_for_an_amount_that_is_not_known(results: Path) -> None:
    header, *rows = cells(results / "runs.csv")
    amounts = ("cost_usd", "input_tokens", "output_tokens")
    known = tuple(f"coalesce({name}, 0)" if name in amounts else name for name in RUN_COLUMNS)

    assert header == [*RUN_COLUMNS]
    assert rows == [*in_sql(results, "runs", known)]


def test_the_manifest_says_whose_cost_is_not_known(results: Path) -> None:
    said = json.loads((results / "manifest.json").read_text("utf-8"))

    assert said["unpriced_models"] == ["agent"]
    assert said["model_ids"] == []

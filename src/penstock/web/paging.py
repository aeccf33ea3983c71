"""Runs of a study, a page at a time, and one run with its answer.

Which runs belong to a page is known from the counts; the store is asked for the rows of the page
alone, by their positions, which have an index. So a page takes as long in a million runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from penstock._base.json import decode
from penstock.errors import StoreError
from penstock.store.one_run import read_run
from penstock.store.reader import StoreReader
from penstock.web.counting import SUCCEEDED
from penstock.web.saved import Saved

__all__ = ["MOST_ROWS", "chosen_positions", "one_run", "rows_of"]

MOST_ROWS = 200
"""So many rows are a page at most."""

_MOST_CHARACTERS = 200_000
_SHUFFLE = 2_654_435_761
"""Multiplied by it, neighbouring numbers are far apart (Knuth, 6.4)."""

_ROWS = """
SELECT run_id, position, problem_id, replicate, status, number AS attempts, latency_s, cost_usd,
       primary_outcome, error_kind
FROM attempt WHERE final AND position IN ({}) ORDER BY position
"""


def chosen_positions(
    saved: Saved, *, status: int | None, row: int | None, problem: int | None
) -> np.ndarray[Any, Any]:
    """Return the positions of the runs that have ended and are chosen, in plan order.

    While the study is blind no answer can be chosen by its condition, and runs are in another
    order: that of the plan is by condition.

    Args:
        saved: The study.
        status: How they ended (see `Counts.statuses`); any way where not given.
        row: Their row in the matrix; any where not given.
        problem: Their problem likewise.
    """
    statuses, matrix = saved.counts.statuses, saved.matrix
    is_chosen = statuses != 0 if status is None else statuses == status
    if saved.is_blind and row is not None:
        is_chosen &= statuses != SUCCEEDED

    positions = np.flatnonzero(is_chosen)
    if matrix is not None:
        positions = matrix.chosen(positions, row, problem)

    return positions[np.argsort(positions * _SHUFFLE % 2**32)] if saved.is_blind else positions


def rows_of(
    store: StoreReader, saved: Saved, positions: Sequence[int]
) -> list[Mapping[str, Any] | None]:
    """Return the rows of some runs; None where one has gone.

    Args:
        store: The study's store.
        saved: The study.
        positions: Their positions in the plan.
    """
    query = _ROWS.format(", ".join("?" * len(positions)))
    found = {row["position"]: dict(row) for row in store.rows(query, tuple(positions))}
    return [_row(saved, found[each]) if each in found else None for each in positions]


def _row(saved: Saved, row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "id": row["run_id"],
        "order": None if saved.is_blind else row["position"] + 1,
        "problem": row["problem_id"],
        "status": row["status"],
        "error": row["error_kind"] or "",
        "attempts": row["attempts"],
        "seconds": round(row["latency_s"], 2),
        **saved.told_apart(row["position"], row["status"], row["primary_outcome"]),
    }


def one_run(store: StoreReader, saved: Saved, run_id: str) -> Mapping[str, Any]:
    """Return one run: what it was asked, its answer, its attempts and its scores.

    While the study is blind, what tells its condition or its score is left out.

    Args:
        store: The study's store.
        saved: The study.
        run_id: The run.

    Raises:
        StoreError: there is no such run.
    """
    rows = list(store.rows("SELECT 1 FROM attempt WHERE run_id = ? LIMIT 1", (run_id,)))
    if not rows:
        raise StoreError(f"there is no run {run_id!r}")

    one = read_run(store, run_id)
    run = one.run
    hides = saved.is_blind and run["status"] == "success"
    apart = {"condition": "", "value": ""}
    if run.get("position") is not None:
        apart = saved.told_apart(run["position"], run["status"], run["primary_outcome"])

    error = run.get("error_kind") and f"{run['error_kind']}: {run['error_message']}"
    return {
        "id": run_id,
        "problem": run["problem_id"],
        "agent": run["agent_id"] if not hides else "",
        "replicate": run["replicate"],
        "status": run["status"],
        "seed": None if hides else run["seed"],
        "seconds": run["latency_s"],
        "cost_usd": None if hides else run["cost_usd"],
        "attempts": [
            {"number": each["number"], "status": each["status"], "error": each["error_kind"] or ""}
            for each in one.attempts
        ],
        "brief": _brief(saved, run["problem_id"]),
        "answer": "" if error else _text(run["outputs"]),
        "error": error or "",
        "calls": [] if hides else [_call(each) for each in one.calls],
        "scores": []
        if saved.is_blind
        else [
            {
                "evaluator": each["evaluator_id"],
                "metric": each["metric_name"],
                "value": str(each["metric_value"]),
            }
            for each in one.scores
        ],
        **apart,
    }


def _brief(saved: Saved, problem_id: str) -> str:
    problems = () if saved.study is None else saved.study.problems
    return next((each.brief for each in problems if each.problem_id == problem_id), "")


def _call(call: Mapping[str, Any]) -> Mapping[str, Any]:
    messages = decode(call["messages"]) if call["messages"] else []
    return {
        "model": call["model"],
        "role": call["role"],
        "messages": [
            {"role": each["role"], "content": _short(each.get("content"))} for each in messages
        ],
        "answer": _short(call["answer"]),
    }


def _text(outputs: str) -> str:
    found = decode(outputs)
    text = found.get("text") if isinstance(found, dict) and len(found) == 1 else None
    return (text if isinstance(text, str) else outputs)[:_MOST_CHARACTERS]


def _short(content: Any) -> str:
    text = content if isinstance(content, str) else "" if content is None else str(content)
    return text[:_MOST_CHARACTERS]

"""What the live page shows of a study, as one frozen value, and what of it has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock._base.fact import EMPTY, Fact
from penstock.summary import EndpointNow, WorkerNow

__all__ = ["Between", "LiveView", "Newest", "changes_between"]


class Between(Fact):
    """A number that is forecast.

    Args:
        low: The lower end of its 95 % interval.
        likely: The number.
        high: The upper end; None where nothing bounds it.
    """

    low: float
    likely: float
    high: float | None


class Newest(Fact):
    """A run that has ended a short while ago.

    Args:
        id: Its id.
        problem: Its problem.
        status: How it ended.
        text: The beginning of its answer, or its error.
        condition: Its condition; empty while that is withheld.
        value: Its primary outcome; empty likewise.
    """

    id: str
    problem: str
    status: str
    text: str
    condition: str = ""
    value: str = ""


class LiveView(Fact):
    """Where a study stands.

    While the study is blind, nothing in it tells what conditions came to, but for which runs have
    ended and which have failed.

    Args:
        state: `running`, `paused`, `stopping`, how the last session ended, `killed` or
            `not begun`.
        is_running: Whether a process runs the study.
        can_act: Whether that process can be told to do something.
        note: What else there is to say, in a sentence.
        paused: By whom it is paused, since when and why; empty where it is not.
        is_blind: Whether what conditions came to is withheld.
        planned: Runs in the plan.
        succeeded: Runs that succeeded.
        failed: Runs whose last attempt failed.
        skipped: Runs that do not apply.
        left_out: Runs that the session leaves to a later one.
        in_flight: Runs in flight; None where nobody can be asked.
        limit: How many may be; likewise.
        rate_per_s: Runs that end in a second, lately.
        left_s: Seconds until the last run has ended.
        cost_usd: What agents and judges cost, in US dollars.
        cost: The same in words, with what is not known of it.
        most_cost_usd: The budget; None where there is none.
        forecast_usd: What the whole study will cost.
        tokens: Tokens of prompts and answers.
        retried: Attempts that were followed by another one, in this session.
        refused: Attempts that a provider refused as too many (429).
        failures: Class of error -> attempts that ended in it.
        latencies_s: Quantile -> seconds that an attempt took.
        stalls: How often the event loop has stood still, and where it last did.
        endpoints: The gates before endpoints.
        workers: The workers that make runs, where there are any.
        ended: For each cell of the matrix, runs that have ended; row by row.
        failed_in: For each cell, those of them that have failed.
        step_s: The seconds that a number of ``over_time`` stands for.
        over_time: Runs that ended in each stretch of time, the last stretch last.
        newest: Runs that ended last.
        saved_at: When results were last saved, in UTC as ISO 8601; empty where none were.
    """

    state: str
    is_running: bool = False
    can_act: bool = False
    note: str = ""
    paused: str = ""
    is_blind: bool = False
    planned: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    left_out: int = 0
    in_flight: int | None = None
    limit: int | None = None
    rate_per_s: float = 0.0
    left_s: Between | None = None
    cost_usd: float = 0.0
    cost: str = ""
    most_cost_usd: float | None = None
    forecast_usd: Between | None = None
    tokens: int | float = 0
    retried: int = 0
    refused: int = 0
    failures: Mapping[str, int] = EMPTY
    latencies_s: Mapping[str, float] = EMPTY
    stalls: str = ""
    endpoints: tuple[EndpointNow, ...] = ()
    workers: tuple[WorkerNow, ...] = ()
    ended: tuple[int, ...] = ()
    failed_in: tuple[int, ...] = ()
    step_s: int = 1
    over_time: tuple[int, ...] = ()
    newest: tuple[Newest, ...] = ()
    saved_at: str = ""

    def told(self) -> dict[str, Any]:
        """Return it as plain values, as the page reads them."""
        return self.model_dump(mode="json")


_CELLS = ("ended", "failed_in")
"""Fields with a number for each cell of the matrix."""


def changes_between(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have changed; of the matrix, the cells that have.

    Args:
        before: What a browser knows; it has the same fields.
        now: What is so.

    Returns:
        Field -> value; of a field of the matrix, as ``cells``, field -> place, value, place,
        value and so on.
    """
    changed = {name: value for name, value in now.items() if value != before[name]}
    cells = {}
    for name in _CELLS:
        if name in changed and len(changed[name]) == len(before[name]):
            pairs = zip(before[name], changed.pop(name), strict=True)
            cells[name] = [
                number
                for place, (old, new) in enumerate(pairs)
                if old != new
                for number in (place, new)
            ]

    return {**changed, "cells": cells} if cells else changed

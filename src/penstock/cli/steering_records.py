"""What machines read with ``--json`` of a study that is watched, or acted on: an object a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from penstock.cli.records import Record

__all__ = ["Acted", "Watched"]


class Acted(Record):
    """What was done to a study that runs.

    Args:
        event: Which line this is.
        study_id: The study.
        what: What was done: `pause`, `resume`, `stop`, `set` or `unblind`.
        who: Who did.
        reason: Why.
        pid: The process that runs the study; null where none does.
        in_flight: Runs in flight now.
        concurrency: How many may be; null where no process runs the study.
        is_paused: Whether no run is started until somebody resumes.
        settings: What can be set, as it is now: name in the study file and value.
        output_dir: Where results are.
    """

    event: Literal["action"] = "action"
    study_id: str
    what: str
    who: str
    reason: str
    pid: int | None
    in_flight: int
    concurrency: int | None
    is_paused: bool
    settings: Mapping[str, Any]
    output_dir: str


class Watched(Record):
    """Where a study stands while it is watched; runs that are not yet saved are counted.

    Args:
        event: Which line this is.
        study_id: The study.
        state: `running`, `paused`, `stopping`, or how the session ended.
        pid: The process that runs the study; null where none can be reached.
        planned: Runs in the plan.
        succeeded: Runs that succeeded.
        failed: Runs that failed.
        skipped: Runs that do not apply, as their agents said.
        remaining: Runs that have no result yet.
        in_flight: Runs in flight.
        concurrency: How many may be; null where no process can be reached.
        attempts: Attempts that were made.
        cost_usd: What agents and judges cost, where it is known.
        input_tokens: Tokens of their prompts.
        output_tokens: Tokens of their answers.
        output_dir: Where results are.
    """

    event: Literal["watch"] = "watch"
    study_id: str
    state: str
    pid: int | None
    planned: int
    succeeded: int
    failed: int
    skipped: int
    remaining: int
    in_flight: int
    concurrency: int | None
    attempts: int
    cost_usd: float
    input_tokens: int | float
    output_tokens: int | float
    output_dir: str

"""What machines read with ``--json`` of a study that is, or is to be, run: an object a line.

The fields of these shapes, and of those in `penstock.cli.directory_records`, are stable: later
versions may add some, and take none away. The page of the command line is made from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict

from penstock._base.fact import Fact
from penstock.summary import SessionSummary, Spent

__all__ = [
    "NUMBERS",
    "Checked",
    "Done",
    "Forecast",
    "Launched",
    "Previewed",
    "PreviewedCall",
    "Record",
    "Served",
    "Serving",
]


class Record(Fact):
    """One line for machines; its first field says which of these shapes it has."""

    model_config = ConfigDict(ser_json_inf_nan="constants")  # as levels of a factor may be


class Launched(Record):
    """The first line of `run` and `rescore`: the directory is held, and runs begin.

    Args:
        event: Which line this is.
        study_id: The study.
        planned: Runs in the plan.
        restored: Runs that are kept from earlier sessions.
        left_out: Runs without a result that `--limit` or the like leaves to a later session.
        lost_calls: Calls that may have been paid for and have no result.
        concurrency: Runs in flight at once, or where `auto` begins.
        output_dir: Where results go.
        pid: The process.
        dry_run: Whether nothing will be run; then `done` follows at once.
    """

    event: Literal["launch"] = "launch"
    study_id: str
    planned: int
    restored: int
    left_out: int
    lost_calls: int
    concurrency: int
    output_dir: str
    pid: int
    dry_run: bool


class Done(Record):
    """The last line of `run` and `rescore`, however the study ended.

    Numbers are the whole study's, over all its sessions; this session's are in `session`.

    Args:
        event: Which line this is.
        planned: Runs in the plan.
        restored: Runs that were kept from earlier sessions.
        succeeded: Runs of the plan that succeeded.
        failed: Runs of the plan that failed, after their last attempt.
        skipped: Runs of the plan that do not apply, as their agents said.
        remaining: Runs that have no result yet.
        left_out: Runs that `--limit` or the like leaves to a later session.
        attempts: Attempts that were made.
        cost_usd: What agents and judges cost, where it is known.
        input_tokens: Tokens of their prompts.
        output_tokens: Tokens of their answers.
        agents: What agents cost: `cost_usd`, `input_tokens`, `output_tokens`.
        judges: What judges cost.
        uncounted_cost_usd: What calls that broke off may have cost at most beside that.
        uncounted_tokens: The same in tokens.
        unpriced: Attempts whose cost is not known.
        unknown_endings: Answers that ended in a word that is not known.
        lost_calls: Calls that may have been paid for and have no result.
        stopped_because: Why the study was stopped before its end, if it was: `limit` where a
            pilot is over, `selection` where the chosen runs are made, else a sentence.
        session: What this session did: `restored`, `started`, `succeeded`, `failed`, `skipped`,
            `retried`, `rescored`, and what it cost in the same words.
        output_dir: Where results are.
    """

    event: Literal["done"] = "done"
    planned: int
    restored: int
    succeeded: int
    failed: int
    skipped: int
    remaining: int
    left_out: int
    attempts: int
    cost_usd: float
    input_tokens: int | float
    output_tokens: int | float
    agents: Spent
    judges: Spent
    uncounted_cost_usd: float
    uncounted_tokens: int | float
    unpriced: int
    unknown_endings: int | float
    lost_calls: int
    stopped_because: str | None
    session: SessionSummary
    output_dir: str


NUMBERS = (
    "planned",
    "succeeded",
    "failed",
    "skipped",
    "remaining",
    "attempts",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "agents",
    "judges",
    "uncounted_cost_usd",
    "uncounted_tokens",
    "unpriced",
    "unknown_endings",
    "lost_calls",
    "stopped_because",
    "session",
)
"""What lines say of a `StudySummary`, by its names."""


class Checked(Record):
    """What `check` found.

    Args:
        event: Which line this is.
        study_id: The study; null where its file cannot be read.
        is_valid: Whether it can be run.
        errors: What keeps it from being run, a sentence each, with its place.
        warnings: What can be run and is probably not meant, a sentence each.
        planned: Runs in the plan; 0 where there is none.
        done: Runs of the plan that are done already.
        left: Runs that `run` would make.
        output_dir: Where results are, or would go; null where the file cannot be read.
    """

    event: Literal["check"] = "check"
    study_id: str | None = None
    is_valid: bool
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    planned: int = 0
    done: int = 0
    left: int = 0
    output_dir: str | None = None


class Forecast(Fact):
    """What a chat agent or a judge will use: from prompts alone to answers of full length.

    Args:
        who: The agent or evaluator.
        calls: How many calls, where none has to be made again.
        low_tokens: Tokens of all prompts, estimated.
        high_tokens: With answers of `max_tokens` each; null where they have no bound.
        low_usd: What the prompts cost; null where a price is not known.
        high_usd: What they cost with such answers; null where that is not known.
    """

    who: str
    calls: int
    low_tokens: int
    high_tokens: int | None
    low_usd: float | None
    high_usd: float | None


class PreviewedCall(Fact):
    """A call of a chat model in `preview`.

    Args:
        base_url: Where it would be sent.
        body: The request's body, as it would be sent.
        is_judge: Whether it is a judge, whose prompt still lacks the answer.
        forecast: What the call would use.
    """

    base_url: str
    body: Mapping[str, Any]
    is_judge: bool
    forecast: Forecast


class Previewed(Record):
    """What `preview` shows of one run.

    Args:
        event: Which line this is.
        run: The run, as it would be kept.
        assignments: The condition's factors and blocks.
        problem: The problem, as its agent would get it.
        agent: Where the agent comes from: what the study declares of it.
        calls: What chat models would be asked.
    """

    event: Literal["preview"] = "preview"
    run: Mapping[str, Any]
    assignments: Mapping[str, Any]
    problem: Mapping[str, Any]
    agent: Mapping[str, Any]
    calls: tuple[PreviewedCall, ...]


class Serving(Record):
    """The first line of `simulate-model`: it can be used.

    Args:
        event: Which line this is.
        url: Its address, for `base_url`.
        pid: The process.
    """

    event: Literal["serving"] = "serving"
    url: str
    pid: int


class Served(Record):
    """The last line of `simulate-model`.

    Args:
        event: Which line this is.
        requests: How many requests there were.
        max_in_flight: How many there were at once at most.
    """

    event: Literal["served"] = "served"
    requests: int
    max_in_flight: int

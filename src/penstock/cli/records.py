"""What machines read with ``--json``: one JSON object a line, each of one of these shapes.

The fields are stable: later versions may add some, and take none away. The tables on the page of
the command line are made from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict

from penstock._base.fact import Fact

__all__ = [
    "RECORDS",
    "Checked",
    "Diagnosed",
    "Done",
    "Exported",
    "Failure",
    "Forecast",
    "Found",
    "Launched",
    "Planned",
    "PlannedCondition",
    "Record",
    "Session",
    "Standing",
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
        lost_calls: Calls of killed sessions that may have been paid for and have no result.
        concurrency: Runs in flight at once, or where `auto` begins.
        output_dir: Where results go.
        pid: The process.
        dry_run: Whether nothing will be run; then `done` follows at once.
    """

    event: Literal["launch"] = "launch"
    study_id: str
    planned: int
    restored: int
    lost_calls: int
    concurrency: int
    output_dir: str
    pid: int
    dry_run: bool


class Done(Record):
    """The last line of `run` and `rescore`, however the study ended.

    Args:
        event: Which line this is.
        planned: Runs in the plan.
        restored: Runs that were kept from earlier sessions.
        succeeded: Runs that succeeded in this session.
        failed: Runs that failed in this session, after their last attempt.
        skipped: Runs that do not apply, as their agents said in this session.
        remaining: Runs that have no result yet.
        stopped_because: Why the study was stopped before its end, if it was.
        output_dir: Where results are.
    """

    event: Literal["done"] = "done"
    planned: int
    restored: int
    succeeded: int
    failed: int
    skipped: int
    remaining: int
    stopped_because: str | None
    output_dir: str


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


class PlannedCondition(Fact):
    """A condition of a plan.

    Args:
        condition_id: Its id.
        assignments: Factors and blocks, and their values in it.
        runs: How many runs it gets.
    """

    condition_id: str
    assignments: Mapping[str, Any]
    runs: int


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


class Planned(Record):
    """What `plan` shows.

    Args:
        event: Which line this is.
        study_id: The study.
        planned: Runs in the plan.
        done: Runs of the plan that are done already.
        left: Runs that `run` would make.
        unscored: Runs among those left whose answer is kept and only wants scoring.
        conditions: The conditions, each with `condition_id`, `assignments` and `runs`.
        inadmissible: Conditions that constraints leave out.
        agents: Runs of each agent.
        problems: Runs of each problem.
        run_order: The order in which runs are started.
        first_runs: The first runs of the plan, as they are kept.
        chat_models: What chat agents and judges use in the whole plan: see below.
        chat_models_left: What they use in the runs that are left.
        output_dir: Where results are, or would go.
    """

    event: Literal["plan"] = "plan"
    study_id: str
    planned: int
    done: int
    left: int
    unscored: int
    conditions: tuple[PlannedCondition, ...]
    inadmissible: int
    agents: Mapping[str, int]
    problems: Mapping[str, int]
    run_order: str
    first_runs: tuple[Mapping[str, Any], ...]
    chat_models: tuple[Forecast, ...]
    chat_models_left: tuple[Forecast, ...]
    output_dir: str


class Session(Fact):
    """One launch of a study.

    Args:
        id: Its number, from 1.
        started_at: When it began.
        ended_at: When it ended; null while it runs, and where it was killed.
        ending: How it ended; null while it runs, and where it was killed.
        pid: Its process.
        host: Its machine.
        version: Its version of penstock.
        started: Attempts whose agent was, or was about to be, called; null where not counted.
        saved: How many of them were saved.
    """

    id: int
    started_at: str
    ended_at: str | None
    ending: str | None
    pid: int
    host: str
    version: str
    started: int | None = None
    saved: int | None = None


class Failure(Fact):
    """Runs that failed for one reason.

    Args:
        runs: How many.
        stage: In which stage: `problem`, `agent`, `evaluator` or `output`.
        error: What went wrong, in one of them.
    """

    runs: int
    stage: str
    error: str


class Standing(Record):
    """Where a study stands, as `status` shows it.

    Args:
        event: Which line this is.
        study_id: The study.
        title: Its title.
        planned: Runs in the plan of the last session.
        succeeded: Runs that succeeded.
        failed: Runs that failed; `run` makes them again.
        skipped: Runs that do not apply, as their agents said.
        remaining: Runs that have no result yet.
        attempts: Attempts that were made.
        cost_usd: What they cost, where it is known.
        input_tokens: Tokens of prompts.
        output_tokens: Tokens of answers.
        sessions: How often the study was launched.
        state: `running`, `killed`, or how the last session ended.
        lost_calls: Calls of killed sessions that may have been paid for and have no result.
        last_session: The last launch: see below.
        failures: Why runs failed, the most frequent reason first.
        output_dir: Where results are.
    """

    event: Literal["status"] = "status"
    study_id: str
    title: str
    planned: int
    succeeded: int
    failed: int
    skipped: int
    remaining: int
    attempts: int
    cost_usd: float
    input_tokens: int
    output_tokens: int
    sessions: int
    state: str
    lost_calls: int
    last_session: Session
    failures: tuple[Failure, ...]
    output_dir: str


class Exported(Record):
    """What `export` wrote.

    Args:
        event: Which line this is.
        study_id: The study.
        output_dir: Where the study's results are.
        to: Where the files are.
    """

    event: Literal["export"] = "export"
    study_id: str
    output_dir: str
    to: str


class Found(Fact):
    """Something that `doctor` found.

    Args:
        is_wrong: Whether something is damaged; else it is only worth knowing.
        what: What it is.
        advice: What to do; empty where there is nothing to do.
    """

    is_wrong: bool
    what: str
    advice: str


class Diagnosed(Record):
    """What `doctor` found.

    Args:
        event: Which line this is.
        output_dir: The directory.
        is_healthy: Whether nothing is damaged.
        findings: What was found, each with `is_wrong`, `what` and `advice`.
    """

    event: Literal["doctor"] = "doctor"
    output_dir: str
    is_healthy: bool
    findings: tuple[Found, ...]


RECORDS: tuple[type[Fact], ...] = (
    Launched,
    Done,
    Checked,
    Planned,
    PlannedCondition,
    Forecast,
    Standing,
    Session,
    Failure,
    Exported,
    Diagnosed,
    Found,
)
"""Every shape, in the order of the page."""

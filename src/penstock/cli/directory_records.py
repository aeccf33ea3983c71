"""What machines read with ``--json`` of a study's output directory: an object a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from penstock._base.fact import Fact
from penstock.cli.records import NUMBERS, Record
from penstock.store import STORE_FILE
from penstock.store.actions import pause_of
from penstock.store.files.write_ahead_log import held_log_bytes
from penstock.store.ledger import failures, read_ledger
from penstock.store.reader import StoreReader
from penstock.store.scores.score_accounts import lacking_scores
from penstock.summary import Failure, SessionSummary, Spent

__all__ = [
    "Diagnosed",
    "Drawn",
    "Exported",
    "Failure",
    "Found",
    "Initialized",
    "PackedStudy",
    "PurgedStudy",
    "Reported",
    "Session",
    "Standing",
]


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
        started: Attempts whose agent was, or was about to be, called.
        saved: How many of them were saved.
    """

    id: int
    started_at: str
    ended_at: str | None
    ending: str | None
    pid: int
    host: str
    version: str
    started: int
    saved: int


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
        cost_usd: What agents and judges cost, where it is known.
        input_tokens: Tokens of their prompts.
        output_tokens: Tokens of their answers.
        agents: What agents cost: `cost_usd`, `input_tokens`, `output_tokens`.
        judges: What judges cost.
        uncounted_cost_usd: What calls that broke off may have cost at most beside that.
        uncounted_tokens: The same in tokens.
        unpriced: Attempts whose cost is not known.
        unknown_endings: Answers that ended in a word that is not known.
        stopped_because: Why the last session ended early, if it did.
        session: What the last session did, in the words of `done`.
        sessions: How often the study was launched.
        state: `running`, `paused`, `killed`, or how the last session ended.
        paused: Since when it is, by whom and why; empty where it is not.
        lost_calls: Calls that may have been paid for and have no result.
        not_scored: Evaluator -> how many answers it has not scored; `rescore` has it do so.
        last_session: The last launch: see below.
        failures: Why runs failed, the most frequent reason first.
        held_log_bytes: The size of `study.sqlite-wal` where a program that stays in a transaction
            keeps it from being emptied, else 0.
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
    input_tokens: int | float
    output_tokens: int | float
    agents: Spent
    judges: Spent
    uncounted_cost_usd: float
    uncounted_tokens: int | float
    unpriced: int
    unknown_endings: int | float
    stopped_because: str | None
    session: SessionSummary
    sessions: int
    state: str
    paused: str
    lost_calls: int
    not_scored: Mapping[str, int]
    last_session: Session
    failures: tuple[Failure, ...]
    held_log_bytes: int
    output_dir: str

    @classmethod
    def of(cls, store: StoreReader) -> Self:
        """Gather counts of runs, what they have cost, how the last session ended, and failures."""
        ledger = read_ledger(store)
        last = {**ledger.sessions[-1], "saved": ledger.sessions[-1]["attempts"]}
        pause = pause_of(store) if ledger.state == "running" else None
        return cls(
            study_id=ledger.summary.study_id,
            title=store.definition()["title"],
            **{name: getattr(ledger.summary, name) for name in NUMBERS},
            sessions=len(ledger.sessions),
            state=ledger.state if pause is None else "paused",
            paused="" if pause is None else str(pause),
            last_session=Session(**{name: last[name] for name in Session.model_fields}),
            failures=failures(store),
            not_scored=lacking_scores(store),
            held_log_bytes=held_log_bytes(store.directory / STORE_FILE),
            output_dir=str(Path(store.directory).absolute()),
        )


class PackedStudy(Record):
    """What `bundle` packed.

    Args:
        event: Which line this is.
        output_dir: Where the study's results are.
        to: The bundle.
        missing: What it does not hold; null where it holds all.
    """

    event: Literal["bundle"] = "bundle"
    output_dir: str
    to: str
    missing: str | None


class Delivered(Record):
    """What `deliver` told a durable subscriber.

    Args:
        event: Which line this is.
        output_dir: Where the study's results are.
        name: The subscriber's name.
        before: The number of the last event that it had done with before; 0 for none.
        acknowledged: The number of the last one that it has done with now.
    """

    event: Literal["deliver"] = "deliver"
    output_dir: str
    name: str
    before: int
    acknowledged: int


class PurgedStudy(Record):
    """What `purge` took out.

    Args:
        event: Which line this is.
        output_dir: Where the study's results are.
        attempts: Attempts that lost their texts.
        problems: Problems that lost theirs, as declared now and before.
        calls: Calls of chat models that lost theirs.
        cached: Answers that were deleted from the response cache.
        purged: The directories that were purged.
        deleted: Files and directories that were deleted.
    """

    event: Literal["purge"] = "purge"
    output_dir: str
    attempts: int
    problems: int
    calls: int
    cached: int
    purged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


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


class Drawn(Record):
    """What `figures` wrote.

    Args:
        event: Which line this is.
        study_id: The study.
        paths: The files.
        is_blind: Whether what conditions came to is withheld, so that nothing was drawn.
    """

    event: Literal["figures"] = "figures"
    study_id: str
    paths: tuple[str, ...]
    is_blind: bool


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


class Reported(Record):
    """A report that was written.

    Args:
        event: Which line this is.
        study_id: The study.
        path: The file.
        is_blind: Whether what conditions came to is withheld, because runs are left.
    """

    event: Literal["report"] = "report"
    study_id: str
    path: str
    is_blind: bool


class Initialized(Record):
    """A study that was written to begin with.

    Args:
        event: Which line this is.
        template: Which one.
        path: Its folder.
        files: What was written there.
    """

    event: Literal["init"] = "init"
    template: str
    path: str
    files: tuple[str, ...]

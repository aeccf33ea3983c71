"""The tables of ``study.sqlite``; `penstock.store.views` has what is meant for reading.

    study        one row: the study, the plan's fingerprint, when it was made
    session      one row per launch: who, where, when, how it ended, what it did and what it cost
    condition    the conditions of the current plan, in design order
    problem      the problems of the plan, and those as declared before that answers were made to
    agent        likewise the agents: what is declared of each, and the fingerprint of its code
    attempt      every attempt at every run; ``final`` marks the one that is the run's result
    observation  what agents reported, by attempt
    evaluator    what scores were made by: what is declared, the rule's version, the code
    scoring      an evaluator at the answers to a problem; one without ``place`` is of before
    scored       which attempts each scoring has scored, in which session, and what it took
    evaluation   scores, by attempt and scoring
    call         every call of a chat model that is over, by run, session and attempt
    turn         conversations as a tree: a message, and the turn before it
    content      texts by their content: messages, options of requests, each once
    action       what was done to the study while runs were left: who, when, what and why
    announced    what was said of all this, in the order in which it was saved
    delivered    how much of that each durable subscriber has acknowledged

Tables may change from one layout to the next; the views go on showing what they show.
"""

from __future__ import annotations

from penstock.store.announced import ANNOUNCED_TABLES
from penstock.store.calls.call_tables import CALL_TABLES
from penstock.study.run_columns import RUN_COLUMNS

__all__ = [
    "APPLICATION_ID",
    "EVALUATION_COLUMNS",
    "EVENT_COLUMNS",
    "FOLLOWS",
    "OF_BEFORE",
    "RESULT_INDEX",
    "RUN_COLUMNS",
    "SCHEMA_VERSION",
    "SESSION_TABLE",
    "TABLES",
    "UNFINISHED",
    "UNFINISHED_INDEX",
    "UNTOLD",
]

APPLICATION_ID = 0x50454E53
"""``PENS``: marks an SQLite file as ours."""

SCHEMA_VERSION = 6
"""Kept in ``PRAGMA user_version``; `penstock.store.migration` brings older ones here."""

EVENT_COLUMNS = (
    "timestamp",
    "record_id",
    "text",
    "session_id",
    "actor_id",
    "event_type",
    "meta_json",
    "level",
    "study_id",
    "run_id",
    "condition_id",
    "trial_id",
    "step_id",
    "tool_name",
    "evaluation_id",
)
"""The columns of ``events.csv``."""

EVALUATION_COLUMNS = (
    "run_id",
    "evaluator_id",
    "metric_name",
    "metric_value",
    "metric_unit",
    "aggregation_level",
    "notes_json",
)
"""The columns of ``evaluations.csv``."""

_OBSERVED = ", ".join(
    f"{name} TEXT" for name in EVENT_COLUMNS if name not in {"study_id", "run_id", "condition_id"}
)

RESULT_INDEX = "CREATE UNIQUE INDEX result_by_position ON attempt (position) WHERE final;"
FOLLOWS = "primary_outcome_follows"
"""The mark in a stored definition that provenance tells agents' own outcomes from computed ones."""

UNFINISHED = "(NOT final OR status <> 'success')"
"""Attempts that a later session has to look at; in these words, or SQLite uses no index."""

UNFINISHED_INDEX = f"""
CREATE INDEX unfinished_by_position ON attempt (position, final, status, number, error_stage)
WHERE {UNFINISHED};
"""

SESSION_TABLE = """
CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    ending TEXT,                    -- NULL where it was killed
    stopped_because TEXT,
    is_out_of_budget INTEGER NOT NULL DEFAULT 0,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    version TEXT NOT NULL,
    planned INTEGER NOT NULL,       -- runs in the plan
    study_file TEXT,                -- relative to the directory where it lies above it
    restored INTEGER NOT NULL DEFAULT 0,   -- those whose results were kept
    started INTEGER NOT NULL DEFAULT 0,    -- attempts whose agent was, or was to be, called
    attempts INTEGER NOT NULL DEFAULT 0,   -- those of them that are in `attempt`
    succeeded INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,  -- attempts that were given up
    retried INTEGER NOT NULL DEFAULT 0,
    rescored INTEGER NOT NULL DEFAULT 0,   -- kept answers that were scored
    agent_cost_usd REAL NOT NULL DEFAULT 0,
    agent_input_tokens INTEGER NOT NULL DEFAULT 0,
    agent_output_tokens INTEGER NOT NULL DEFAULT 0,
    judge_cost_usd REAL NOT NULL DEFAULT 0,
    judge_input_tokens INTEGER NOT NULL DEFAULT 0,
    judge_output_tokens INTEGER NOT NULL DEFAULT 0,
    uncounted_cost_usd REAL NOT NULL DEFAULT 0,  -- worst cases of calls that broke off
    uncounted_tokens INTEGER NOT NULL DEFAULT 0,
    unpriced INTEGER NOT NULL DEFAULT 0,   -- attempts whose cost is not known
    unknown_endings INTEGER NOT NULL DEFAULT 0    -- answers that ended in a word nobody knows
);
"""

TABLES = f"""
CREATE TABLE study (
    study_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    definition TEXT NOT NULL,       -- the study as JSON
    fingerprint TEXT NOT NULL       -- of the plan that `attempt.position` counts in
);

{SESSION_TABLE}
CREATE TABLE condition (
    position INTEGER PRIMARY KEY,
    condition_id TEXT NOT NULL,
    admissible INTEGER NOT NULL,
    constraint_messages TEXT NOT NULL,
    factors TEXT NOT NULL,
    blocks TEXT NOT NULL,
    metadata TEXT NOT NULL
);
CREATE INDEX condition_by_id ON condition (condition_id);

CREATE TABLE problem (
    id INTEGER PRIMARY KEY,
    position INTEGER,               -- NULL where the study does not declare it so any more
    problem_id TEXT NOT NULL,
    definition TEXT NOT NULL,       -- the problem as JSON
    UNIQUE (problem_id, definition)
);

CREATE TABLE agent (
    id INTEGER PRIMARY KEY,
    is_current INTEGER NOT NULL,    -- 0 where it is not so any more
    agent_id TEXT NOT NULL,
    definition TEXT NOT NULL,       -- as JSON; null where it was given in Python
    source TEXT NOT NULL,           -- the fingerprint of its code; empty where that is not known
    UNIQUE (agent_id, definition, source)
);

CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    position INTEGER,               -- in the plan; NULL where the plan no longer holds the run
    final INTEGER NOT NULL,         -- 1: this attempt is the run's result
    session_id INTEGER NOT NULL,
    rescored_in INTEGER,            -- the session that scored the answer again, where one did
    number INTEGER NOT NULL,        -- of the attempt, from 1
    planned_order INTEGER NOT NULL,
    started_order INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    condition_id TEXT NOT NULL,
    problem_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    replicate INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    status TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    latency_s REAL NOT NULL,
    input_tokens INTEGER,           -- NULL where it is not known, as are the next two
    output_tokens INTEGER,
    cost_usd REAL,
    primary_outcome,
    outputs TEXT NOT NULL,          -- JSON, as are the next three
    metrics TEXT NOT NULL,
    provenance TEXT NOT NULL,
    trace_refs TEXT NOT NULL,
    error_kind TEXT,
    error_message TEXT,
    error_stage TEXT,
    error_retryable INTEGER,
    error_retry_after_s REAL,
    error_http_status INTEGER,
    error_stops_study INTEGER,
    traceback TEXT,
    answer_event_id TEXT,           -- of the event that is the answer, where it is not a row
    problem_made INTEGER,           -- the row of the problem that was answered
    agent_made INTEGER              -- the row of the agent that answered
);
{RESULT_INDEX}
{UNFINISHED_INDEX}
CREATE INDEX attempt_by_run ON attempt (run_id);

CREATE TABLE observation (
    attempt_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    {_OBSERVED},
    PRIMARY KEY (attempt_id, number)
) WITHOUT ROWID;

CREATE TABLE evaluator (
    id INTEGER PRIMARY KEY,
    evaluator_id TEXT NOT NULL,
    declaration TEXT NOT NULL,      -- as JSON
    version INTEGER NOT NULL,       -- of the rule, where penstock brings it
    source TEXT NOT NULL            -- the fingerprint of its code, or of its file
);

CREATE TABLE scoring (
    id INTEGER PRIMARY KEY,
    place INTEGER,                  -- among those of its problem; NULL where it is of before
    problem_id TEXT NOT NULL,
    question TEXT NOT NULL,         -- the fingerprint of the problem
    evaluator INTEGER NOT NULL,
    is_pending INTEGER NOT NULL,    -- kept answers may lack it
    is_ordered INTEGER NOT NULL     -- they are to be scored although it may cost
);

CREATE TABLE scored (
    attempt_id INTEGER NOT NULL,
    scoring_id INTEGER NOT NULL,
    session_id INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    latency_s REAL NOT NULL,
    cost_usd REAL NOT NULL,
    PRIMARY KEY (attempt_id, scoring_id)
) WITHOUT ROWID;

{CALL_TABLES}
{ANNOUNCED_TABLES}
CREATE TABLE action (
    id INTEGER PRIMARY KEY,
    session_id INTEGER,             -- the session then, or the last one before
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,             -- as `penstock.store.actions.Action` says
    old TEXT,                       -- what a value was and is, as JSON
    new TEXT,
    reason TEXT NOT NULL,
    ended INTEGER NOT NULL,         -- runs of the plan that had a result then
    planned INTEGER NOT NULL
);

CREATE TABLE evaluation (
    attempt_id INTEGER NOT NULL,
    scoring_id INTEGER NOT NULL,    -- 0 where nobody told
    number INTEGER NOT NULL,
    evaluator_id TEXT NOT NULL,
    metric_name TEXT NOT NULL,
    metric_value,
    metric_type TEXT,               -- bool, int or nan, where the value is none to SQLite
    metric_unit TEXT NOT NULL,
    aggregation_level TEXT NOT NULL,
    notes_json TEXT NOT NULL,
    PRIMARY KEY (attempt_id, scoring_id, number)
) WITHOUT ROWID;
"""

UNTOLD = (
    "SELECT 0 AS id, 0 AS place, '' AS problem_id, '' AS question, 0 AS evaluator, "
    "0 AS is_pending, 0 AS is_ordered"
)
"""The scoring of scores that nobody says who made."""

OF_BEFORE = -1
"""The scoring of scores from layouts that did not tell what made them."""

"""The layout of ``study.sqlite``, and the views that any SQL tool can read while a study runs.

    study        one row: the study, the plan's fingerprint, when it was made
    session      one row per launch: who, where, when, how it ended
    condition    the conditions of the current plan, in design order
    problem      the problems that the study declares
    attempt      every attempt at every run; ``final`` marks the one that is the run's result
    observation  what agents reported, by attempt
    evaluation   scores, by attempt

The views ``conditions``, ``runs``, ``events``, ``evaluations`` have the rows of the files of the
same names and at least their columns; ``attempts`` shows every attempt with its cost and error,
how long it waited and how long its provider took, and who answered.
A run that did not succeed has an event that says so, after those that its agent reported.
"""

from __future__ import annotations

__all__ = [
    "APPLICATION_ID",
    "ATTEMPTS_VIEW",
    "EVALUATION_COLUMNS",
    "EVENTS_VIEW",
    "EVENT_COLUMNS",
    "RESULT_INDEX",
    "RUN_COLUMNS",
    "SCHEMA",
    "SCHEMA_VERSION",
    "UNFINISHED",
    "UNFINISHED_INDEX",
]

APPLICATION_ID = 0x50454E53
"""``PENS``: marks an SQLite file as ours."""

SCHEMA_VERSION = 3
"""Kept in ``PRAGMA user_version``; `penstock.store.migration` brings older ones here."""

RUN_COLUMNS = (
    "study_id",
    "condition_id",
    "run_id",
    "problem_id",
    "problem_family",
    "agent_id",
    "agent_kind",
    "pattern_name",
    "model_name",
    "seed",
    "replicate",
    "status",
    "start_time",
    "end_time",
    "latency_s",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "primary_outcome",
    "trace_path",
    "manifest_path",
    "error_info",
)
"""The columns of ``runs.csv``."""

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

# SQLite reads no NaN and no infinity, which agents may return: it would stop at the first.
_PROVENANCE = "iif(json_valid(provenance), provenance, '{}')"
_METRICS = "iif(json_valid(metrics), metrics, '{}')"

RESULT_INDEX = "CREATE UNIQUE INDEX result_by_position ON attempt (position) WHERE final;"
UNFINISHED = "(NOT final OR status <> 'success')"
"""Attempts that a later session has to look at; in these words, or SQLite uses no index."""

UNFINISHED_INDEX = f"""
CREATE INDEX unfinished_by_position ON attempt (position, final, status, number, error_stage)
WHERE {UNFINISHED};
"""

ATTEMPTS_VIEW = f"""
CREATE VIEW attempts AS
SELECT run_id, number AS attempt, final, session_id, started_at, ended_at, latency_s,
       {_METRICS} ->> '$.queued_s' AS queued_s,
       {_METRICS} ->> '$.provider_s' AS provider_s,
       status, coalesce(error_kind, 'ok') AS status_class,
       {_METRICS} ->> '$.http_status' AS http_status,
       cost_usd, input_tokens, output_tokens,
       {_METRICS} ->> '$.judge_cost_usd' AS judge_cost_usd,
       {_PROVENANCE} ->> '$.model_name' AS model_name,
       {_PROVENANCE} ->> '$.system_fingerprint' AS system_fingerprint,
       {_PROVENANCE} ->> '$.request_id' AS request_id,
       {_PROVENANCE} ->> '$.is_cached' AS is_cached,
       error_kind, error_message, error_stage, error_retryable
FROM attempt ORDER BY id;
"""  # noqa: S608 - our own names

# Most agents report nothing, and the one event of their runs is the answer: it is no row of its
# own, for all that it says stands in the attempt.
EVENTS_VIEW = """
CREATE VIEW events AS
SELECT o.timestamp, o.record_id,
       coalesce(o.text, a.outputs ->> '$.text', '') AS text,
       coalesce(o.session_id, a.run_id) AS session_id, o.actor_id, o.event_type, o.meta_json,
       o.level, (SELECT study_id FROM study) AS study_id, a.run_id, a.condition_id,
       o.trial_id, o.step_id, o.tool_name, o.evaluation_id,
       a.started_at AS run_start_time, a.position AS position, o.number AS number
FROM attempt a JOIN observation o ON o.attempt_id = a.id
WHERE a.final AND a.position IS NOT NULL
UNION ALL
SELECT ended_at, answer_event_id,
       coalesce(outputs ->> '$.text', ''),
       run_id, 'agent', 'assistant_output', '{"auto_generated":true}',
       'step', (SELECT study_id FROM study), run_id, condition_id,
       NULL, NULL, NULL, NULL,
       started_at, position, 0
FROM attempt
WHERE final AND position IS NOT NULL AND status = 'success' AND answer_event_id IS NOT NULL
ORDER BY position, number;
"""
SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};

CREATE TABLE study (
    study_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    definition TEXT NOT NULL,       -- the study as JSON
    fingerprint TEXT NOT NULL       -- of the plan that `attempt.position` counts in
);

CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    ending TEXT,                    -- NULL where it was killed
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    version TEXT NOT NULL,
    planned INTEGER NOT NULL,       -- runs in the plan
    started INTEGER NOT NULL DEFAULT 0,  -- attempts whose agent was, or was to be, called
    saved INTEGER NOT NULL DEFAULT 0     -- those of them that are in `attempt`
);

CREATE TABLE condition (
    position INTEGER PRIMARY KEY,
    condition_id TEXT NOT NULL,
    admissible INTEGER NOT NULL,
    constraint_messages TEXT NOT NULL,
    factors TEXT NOT NULL,
    blocks TEXT NOT NULL,
    metadata TEXT NOT NULL
);

CREATE TABLE problem (
    position INTEGER PRIMARY KEY,
    problem_id TEXT NOT NULL,
    definition TEXT NOT NULL        -- the problem as JSON
);

CREATE TABLE attempt (
    id INTEGER PRIMARY KEY,
    position INTEGER,               -- in the plan; NULL where the plan no longer holds the run
    final INTEGER NOT NULL,         -- 1: this attempt is the run's result
    session_id INTEGER NOT NULL,
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
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    primary_outcome,
    outputs TEXT NOT NULL,          -- JSON, as are the next three
    metrics TEXT NOT NULL,
    provenance TEXT NOT NULL,
    trace_refs TEXT NOT NULL,
    error_kind TEXT,
    error_message TEXT,
    error_stage TEXT,
    error_retryable INTEGER,
    traceback TEXT,
    answer_event_id TEXT            -- of the answer, where it is the one event of its run
);
{RESULT_INDEX}
{UNFINISHED_INDEX}
CREATE TABLE observation (
    attempt_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    {_OBSERVED},
    PRIMARY KEY (attempt_id, number)
) WITHOUT ROWID;

CREATE TABLE evaluation (
    attempt_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    evaluator_id TEXT NOT NULL,
    metric_name TEXT NOT NULL,
    metric_value,
    metric_unit TEXT NOT NULL,
    aggregation_level TEXT NOT NULL,
    notes_json TEXT NOT NULL,
    PRIMARY KEY (attempt_id, number)
) WITHOUT ROWID;

CREATE VIEW conditions AS
SELECT study.study_id, condition_id, admissible, constraint_messages,
       metadata AS assignment_meta_json, factors, blocks
FROM condition, study ORDER BY position;

CREATE VIEW runs AS
SELECT study.study_id, condition_id, run_id, problem_id,
       coalesce({_PROVENANCE} ->> '$.problem_family', 'unknown') AS problem_family,
       agent_id,
       coalesce({_PROVENANCE} ->> '$.agent_kind', 'unknown') AS agent_kind,
       coalesce({_PROVENANCE} ->> '$.pattern_name', 'unknown') AS pattern_name,
       coalesce({_PROVENANCE} ->> '$.model_name', 'unknown') AS model_name,
       seed, replicate, status, started_at AS start_time, ended_at AS end_time, latency_s,
       input_tokens, output_tokens, cost_usd, primary_outcome,
       coalesce(trace_refs ->> '$[0]', '') AS trace_path,
       'manifest.json' AS manifest_path,
       error_kind || ': ' || error_message AS error_info,
       position, planned_order, started_order, number AS attempts, outputs, metrics
FROM attempt, study WHERE final AND position IS NOT NULL ORDER BY position;

{EVENTS_VIEW}
CREATE VIEW evaluations AS
SELECT a.run_id, e.evaluator_id, e.metric_name, e.metric_value, e.metric_unit,
       e.aggregation_level, e.notes_json
FROM attempt a JOIN evaluation e ON e.attempt_id = a.id
WHERE a.final AND a.position IS NOT NULL ORDER BY a.position, e.number;

{ATTEMPTS_VIEW}"""  # noqa: S608 - our own names


PRAGMA application_id = 1346719315;
PRAGMA user_version = 4;

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
    unpriced INTEGER NOT NULL DEFAULT 0    -- attempts whose cost is not known
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
CREATE INDEX condition_by_id ON condition (condition_id);

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
    answer_event_id TEXT            -- of the event that is the answer, where it is no row
);
CREATE UNIQUE INDEX result_by_position ON attempt (position) WHERE final;

CREATE INDEX unfinished_by_position ON attempt (position, final, status, number, error_stage)
WHERE (NOT final OR status <> 'success');

CREATE INDEX attempt_by_run ON attempt (run_id);

CREATE TABLE observation (
    attempt_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    timestamp TEXT, record_id TEXT, text TEXT, session_id TEXT, actor_id TEXT, event_type TEXT, meta_json TEXT, level TEXT, trial_id TEXT, step_id TEXT, tool_name TEXT, evaluation_id TEXT,
    PRIMARY KEY (attempt_id, number)
) WITHOUT ROWID;

CREATE TABLE evaluation (
    attempt_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    evaluator_id TEXT NOT NULL,
    metric_name TEXT NOT NULL,
    metric_value,
    metric_type TEXT,               -- bool, int or nan, where the value is none to SQLite
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
       coalesce(iif(json_valid(provenance), provenance, '{}') ->> '$.problem_family', 'unknown') AS problem_family,
       agent_id,
       coalesce(iif(json_valid(provenance), provenance, '{}') ->> '$.agent_kind', 'unknown') AS agent_kind,
       coalesce(iif(json_valid(provenance), provenance, '{}') ->> '$.pattern_name', 'unknown') AS pattern_name,
       coalesce(iif(json_valid(provenance), provenance, '{}') ->> '$.model_name', 'unknown') AS model_name,
       seed, replicate, status, started_at AS start_time, ended_at AS end_time, latency_s,
       input_tokens, output_tokens, cost_usd, primary_outcome,
       coalesce(trace_refs ->> '$[0]', '') AS trace_path,
       'manifest.json' AS manifest_path,
       error_kind || ': ' || error_message AS error_info,
       position, planned_order, started_order, number AS attempts, outputs, metrics
FROM attempt, study WHERE final AND position IS NOT NULL ORDER BY position;
CREATE VIEW events AS 
SELECT o.timestamp, o.record_id,
       coalesce(o.text, CASE json_type(outputs, '$.text')
           WHEN 'text' THEN outputs ->> '$.text'
           WHEN 'null' THEN ''
           ELSE coalesce(outputs -> '$.text', '') END) AS text,
       coalesce(o.session_id, a.run_id) AS session_id, o.actor_id, o.event_type, o.meta_json,
       o.level, (SELECT study_id FROM study) AS study_id, a.run_id, a.condition_id,
       o.trial_id, o.step_id, o.tool_name, o.evaluation_id,
       a.started_at AS run_start_time, a.position AS position, o.number AS number
FROM attempt a JOIN observation o ON o.attempt_id = a.id
WHERE a.final AND a.position IS NOT NULL
UNION ALL
SELECT ended_at, answer_event_id,
       CASE json_type(outputs, '$.text')
           WHEN 'text' THEN outputs ->> '$.text'
           WHEN 'null' THEN ''
           ELSE coalesce(outputs -> '$.text', '') END,
       run_id, 'agent', 'assistant_output', '{"auto_generated":true}',
       'step', (SELECT study_id FROM study), run_id, condition_id,
       NULL, NULL, NULL, NULL,
       started_at, position, 4611686018427387903
FROM attempt
WHERE final AND position IS NOT NULL AND status = 'success' AND answer_event_id IS NOT NULL
;
CREATE VIEW evaluations AS
SELECT a.run_id, e.evaluator_id, e.metric_name, e.metric_value, e.metric_unit,
       e.aggregation_level, e.notes_json
FROM attempt a JOIN evaluation e ON e.attempt_id = a.id
WHERE a.final AND a.position IS NOT NULL ORDER BY a.position, e.number;

CREATE VIEW attempts AS
SELECT run_id, number AS attempt, final, session_id, started_at, ended_at, latency_s,
       iif(json_valid(metrics), metrics, '{}') ->> '$.queued_s' AS queued_s,
       iif(json_valid(metrics), metrics, '{}') ->> '$.provider_s' AS provider_s,
       status, coalesce(error_kind, 'ok') AS status_class,
       coalesce(iif(json_valid(metrics), metrics, '{}') ->> '$.http_status', error_http_status) AS http_status,
       cost_usd, input_tokens, output_tokens,
       iif(json_valid(metrics), metrics, '{}') ->> '$.judge_cost_usd' AS judge_cost_usd,
       iif(json_valid(provenance), provenance, '{}') ->> '$.model_name' AS model_name,
       iif(json_valid(provenance), provenance, '{}') ->> '$.system_fingerprint' AS system_fingerprint,
       iif(json_valid(provenance), provenance, '{}') ->> '$.request_id' AS request_id,
       iif(json_valid(provenance), provenance, '{}') ->> '$.is_cached' AS is_cached,
       error_kind, error_message, error_stage, error_retryable
FROM attempt ORDER BY id;

CREATE VIEW sessions AS
SELECT id AS session_id, started_at, ended_at, ending, stopped_because, host, pid, version,
       planned, restored, started, attempts, succeeded, failed, skipped, cancelled, retried,
       rescored,
       agent_cost_usd + judge_cost_usd AS cost_usd,
       agent_input_tokens + judge_input_tokens AS input_tokens,
       agent_output_tokens + judge_output_tokens AS output_tokens,
       agent_cost_usd, agent_input_tokens, agent_output_tokens,
       judge_cost_usd, judge_input_tokens, judge_output_tokens,
       uncounted_cost_usd, uncounted_tokens, unpriced
FROM session ORDER BY id;

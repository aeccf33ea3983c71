
PRAGMA application_id = 1346719315;
PRAGMA user_version = 5;

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


CREATE TABLE content (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,    -- BLAKE2b of the text
    text TEXT NOT NULL              -- JSON
);

CREATE TABLE turn (
    id INTEGER PRIMARY KEY,
    before INTEGER NOT NULL,        -- the turn before it; 0 where a conversation begins
    content INTEGER NOT NULL,       -- its message
    UNIQUE (before, content)
);

CREATE TABLE call (
    run_id TEXT NOT NULL,
    session_id INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    number INTEGER NOT NULL,        -- among the calls of the attempt, from 1
    role TEXT NOT NULL,             -- agent or judge
    evaluator_id TEXT,              -- the judge
    options INTEGER NOT NULL,       -- whom was asked and how, but for messages and seed
    seed INTEGER,
    digest BLOB,                    -- of the whole request; NULL where texts are not kept
    asked INTEGER,                  -- the last turn of what was asked; likewise
    answer INTEGER,                 -- the message that came; likewise
    served INTEGER,                 -- who answered
    reasoning TEXT,
    refusal TEXT,
    logprobs TEXT,
    finish_reason TEXT,
    input_tokens INTEGER,
    cached_input_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    output_tokens INTEGER,
    is_usage_estimated INTEGER,
    cost_usd REAL,                  -- what this call cost; NULL where that is not known
    started_at REAL NOT NULL,       -- seconds since 1970
    queued_s REAL NOT NULL,
    provider_s REAL,
    first_token_s REAL,
    http_status INTEGER,
    request_id TEXT,
    error_kind TEXT,
    error_message TEXT,
    is_cached INTEGER NOT NULL,     -- from the response cache
    is_replayed INTEGER NOT NULL,   -- given again: an attempt that was cut off had made it
    is_redacted INTEGER NOT NULL,
    PRIMARY KEY (run_id, session_id, attempt, number)
) WITHOUT ROWID;

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

INSERT INTO scoring SELECT 0 AS id, 0 AS place, '' AS problem_id, '' AS question, 0 AS evaluator, 0 AS is_pending, 0 AS is_ordered;

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
       position, planned_order, started_order, number AS attempts, outputs, metrics,
       iif(json_valid(provenance), provenance, '{}') ->> '$.finish_reason' AS finish_reason
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
FROM attempt a JOIN evaluation e ON e.attempt_id = a.id JOIN scoring s ON s.id = e.scoring_id
WHERE a.final AND a.position IS NOT NULL AND s.place IS NOT NULL
ORDER BY a.position, s.place, e.number;

CREATE VIEW attempts AS
SELECT run_id, number AS attempt, final, session_id, started_at, ended_at, latency_s,
       iif(json_valid(metrics), metrics, '{}') ->> '$.queued_s' AS queued_s,
       iif(json_valid(metrics), metrics, '{}') ->> '$.provider_s' AS provider_s,
       status, coalesce(error_kind, 'ok') AS status_class,
       coalesce(iif(json_valid(metrics), metrics, '{}') ->> '$.http_status', error_http_status) AS http_status,
       cost_usd, input_tokens, output_tokens,
       iif(json_valid(metrics), metrics, '{}') ->> '$.judge_cost_usd' AS judge_cost_usd,
       iif(json_valid(metrics), metrics, '{}') ->> '$.uncounted_cost_usd' AS uncounted_cost_usd,
       iif(json_valid(metrics), metrics, '{}') ->> '$.cached_input_tokens' AS cached_input_tokens,
       iif(json_valid(metrics), metrics, '{}') ->> '$.reasoning_tokens' AS reasoning_tokens,
       iif(json_valid(provenance), provenance, '{}') ->> '$.finish_reason' AS finish_reason,
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

CREATE VIEW calls AS
SELECT c.run_id, c.session_id, c.attempt, c.number, c.role, c.evaluator_id,
       nullif(options.text ->> '$.name', '') AS model_name,
       options.text ->> '$.endpoint' AS endpoint,
       options.text ->> '$.model' AS model,
       served.text ->> '$.model' AS served_model,
       served.text ->> '$.system_fingerprint' AS system_fingerprint,
       json_remove(options.text, '$.name', '$.endpoint', '$.model') AS options, c.seed,
       iif(c.asked IS NULL, NULL, (
WITH RECURSIVE said(before, content, place) AS (
    SELECT before, content, 0 FROM turn WHERE id = c.asked
    UNION ALL
    SELECT turn.before, turn.content, place + 1 FROM said JOIN turn ON turn.id = said.before
)
SELECT json_group_array(json(text)) FROM (
    SELECT text FROM said JOIN content ON content.id = said.content ORDER BY place DESC
))) AS messages,
       (SELECT said.text ->> '$.content' FROM turn JOIN content AS said ON said.id = turn.content
        WHERE turn.id = c.asked) AS last_message,
       answer.text ->> '$.content' AS answer,
       answer.text -> '$.tool_calls' AS tool_calls,
       c.reasoning, c.refusal, c.logprobs, c.finish_reason,
       c.input_tokens, c.cached_input_tokens, c.cache_write_tokens, c.output_tokens,
       c.reasoning_tokens, c.is_usage_estimated, c.cost_usd,
       strftime('%Y-%m-%dT%H:%M:%fZ', c.started_at, 'unixepoch') AS started_at,
       c.queued_s, c.provider_s, c.first_token_s, c.http_status, c.request_id,
       c.error_kind, c.error_message, c.is_cached, c.is_replayed, c.is_redacted
FROM call c JOIN content AS options ON options.id = c.options
LEFT JOIN content AS served ON served.id = c.served
LEFT JOIN content AS answer ON answer.id = c.answer;

CREATE VIEW actions AS
SELECT who, at, what, old, new, reason, session_id, ended, planned FROM action ORDER BY id;


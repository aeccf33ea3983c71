"""The views of ``study.sqlite``, which any SQL tool can read while a study runs.

``conditions``, ``runs``, ``events`` and ``evaluations`` have the rows of the files of the same
names and at least their columns; ``attempts`` shows every attempt with its cost and error, how
long it waited and how long its provider took, and who answered; ``sessions`` shows what each
launch did and what it cost; ``calls`` shows every call of a chat model, with what was asked and
answered; ``actions`` shows what was done to the study while it ran. A run that did not succeed has
an event that says so, after those that its agent reported.
"""

from __future__ import annotations

from penstock.store.calls.call_tables import CALLS_VIEW
from penstock.store.schema import APPLICATION_ID, SCHEMA_VERSION, TABLES, UNTOLD

__all__ = [
    "ANSWER",
    "EVENTS_IN_ORDER",
    "LAST",
    "REPORTED_IN_ORDER",
    "RUNS_TO_WRITE",
    "SCHEMA",
    "VIEWS",
]

LAST = 1 << 62
"""The number of the event that ends a run which did not succeed: after all it reported."""

ANSWER = LAST - 1
"""The number of the event that is an answer: after all that its agent reported."""

# SQLite reads no NaN and no infinity, which agents may return: it would stop at the first.
_PROVENANCE = "iif(json_valid(provenance), provenance, '{}')"
_METRICS = "iif(json_valid(metrics), metrics, '{}')"

_FINAL = "final AND position IS NOT NULL"

# What `penstock.results.text_of` gives.
_TEXT = """CASE json_type(outputs, '$.text')
           WHEN 'text' THEN outputs ->> '$.text'
           WHEN 'null' THEN ''
           ELSE coalesce(outputs -> '$.text', '') END"""

_CONDITIONS = """
CREATE VIEW conditions AS
SELECT study.study_id, condition_id, admissible, constraint_messages,
       metadata AS assignment_meta_json, factors, blocks
FROM condition, study ORDER BY position;
"""

_OF_A_RUN = f"""
       study.study_id, condition_id, run_id, problem_id,
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
       position, planned_order, started_order, number AS attempts, outputs, metrics,
       {_PROVENANCE} ->> '$.finish_reason' AS finish_reason,
       {_PROVENANCE} ->> '$.worker' AS worker"""
_IN_ORDER = f"FROM attempt, study WHERE {_FINAL} ORDER BY position"
_RUNS = f"CREATE VIEW runs AS SELECT {_OF_A_RUN} {_IN_ORDER};"

_ANSWER_ID = "iif(status = 'success', answer_event_id, NULL) AS answer_event_id"

RUNS_TO_WRITE = f"(SELECT {_OF_A_RUN}, {_ANSWER_ID} {_IN_ORDER})"
"""The rows of the view ``runs``, with the event that is the answer where it is not a row."""

# Most agents report nothing, and the one event of their runs is the answer. It is not a row of its
# own, for all that it says stands in the attempt. There is no ORDER BY, or a question about one
# run would read all of them: whoever wants an order says `ORDER BY position, number`.
_REPORTED = f"""
SELECT o.timestamp, o.record_id,
       coalesce(o.text, {_TEXT}) AS text,
       coalesce(o.session_id, a.run_id) AS session_id, o.actor_id, o.event_type, o.meta_json,
       o.level, (SELECT study_id FROM study) AS study_id, a.run_id, a.condition_id,
       o.trial_id, o.step_id, o.tool_name, o.evaluation_id,
       a.started_at AS run_start_time, a.position AS position, o.number AS number
FROM attempt a JOIN observation o ON o.attempt_id = a.id
WHERE a.final AND a.position IS NOT NULL
"""  # noqa: S608 - our own names
_EVENTS_QUERY = f"""{_REPORTED}
UNION ALL
SELECT ended_at, answer_event_id,
       {_TEXT},
       run_id, 'agent', 'assistant_output', '{{"auto_generated":true}}',
       'step', (SELECT study_id FROM study), run_id, condition_id,
       NULL, NULL, NULL, NULL,
       started_at, position, {ANSWER}
FROM attempt
WHERE {_FINAL} AND status = 'success' AND answer_event_id IS NOT NULL
"""  # noqa: S608 - our own names
_EVENTS = f"CREATE VIEW events AS {_EVENTS_QUERY};"

EVENTS_IN_ORDER = f"({_EVENTS_QUERY} ORDER BY position, number)"
"""The rows of the view ``events`` in plan order, to select from: they come without being sorted."""

REPORTED_IN_ORDER = f"({_REPORTED} ORDER BY position, number)"
"""Likewise those of them that are rows of the store: what agents have reported, and failures."""

_EVALUATIONS = """
CREATE VIEW evaluations AS
SELECT a.run_id, e.evaluator_id, e.metric_name, e.metric_value, e.metric_unit,
       e.aggregation_level, e.notes_json
FROM attempt a JOIN evaluation e ON e.attempt_id = a.id JOIN scoring s ON s.id = e.scoring_id
WHERE a.final AND a.position IS NOT NULL AND s.place IS NOT NULL
ORDER BY a.position, s.place, e.number;
"""

_ATTEMPTS = f"""
CREATE VIEW attempts AS
SELECT run_id, number AS attempt, final, session_id, started_at, ended_at, latency_s,
       {_METRICS} ->> '$.queued_s' AS queued_s,
       {_METRICS} ->> '$.provider_s' AS provider_s,
       status, coalesce(error_kind, 'ok') AS status_class,
       coalesce({_METRICS} ->> '$.http_status', error_http_status) AS http_status,
       cost_usd, input_tokens, output_tokens,
       {_METRICS} ->> '$.judge_cost_usd' AS judge_cost_usd,
       {_METRICS} ->> '$.uncounted_cost_usd' AS uncounted_cost_usd,
       {_METRICS} ->> '$.cached_input_tokens' AS cached_input_tokens,
       {_METRICS} ->> '$.reasoning_tokens' AS reasoning_tokens,
       {_PROVENANCE} ->> '$.finish_reason' AS finish_reason,
       {_PROVENANCE} ->> '$.model_name' AS model_name,
       {_PROVENANCE} ->> '$.system_fingerprint' AS system_fingerprint,
       {_PROVENANCE} ->> '$.request_id' AS request_id,
       {_PROVENANCE} ->> '$.is_cached' AS is_cached,
       error_kind, error_message, error_stage, error_retryable,
       {_PROVENANCE} ->> '$.worker' AS worker
FROM attempt ORDER BY id;
"""  # noqa: S608 - our own names

_SESSIONS = """
CREATE VIEW sessions AS
SELECT id AS session_id, started_at, ended_at, ending, stopped_because, host, pid, version,
       planned, restored, started, attempts, succeeded, failed, skipped, cancelled, retried,
       rescored,
       agent_cost_usd + judge_cost_usd AS cost_usd,
       agent_input_tokens + judge_input_tokens AS input_tokens,
       agent_output_tokens + judge_output_tokens AS output_tokens,
       agent_cost_usd, agent_input_tokens, agent_output_tokens,
       judge_cost_usd, judge_input_tokens, judge_output_tokens,
       uncounted_cost_usd, uncounted_tokens, unpriced, unknown_endings
FROM session ORDER BY id;
"""

_ACTIONS = """
CREATE VIEW actions AS
SELECT who, at, what, old, new, reason, session_id, ended, planned FROM action ORDER BY id;
"""

VIEWS = (_CONDITIONS, _RUNS, _EVENTS, _EVALUATIONS, _ATTEMPTS, _SESSIONS, CALLS_VIEW, _ACTIONS)

SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
{TABLES}
INSERT INTO scoring {UNTOLD};
{"".join(VIEWS)}"""

"""The tables and the view of calls of chat models.

A history of twenty turns is asked twenty times, and a system prompt in every run: a text is kept
once, by its content, and a conversation is a path in a tree of turns. The view ``calls`` puts them
together again.
"""

from __future__ import annotations

__all__ = ["CALLS_VIEW", "CALL_TABLES"]

CALL_TABLES = """
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
    digest BLOB,                    -- of the whole request, where it is needed later
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
"""

_MESSAGES = """
WITH RECURSIVE said(before, content, place) AS (
    SELECT before, content, 0 FROM turn WHERE id = c.asked
    UNION ALL
    SELECT turn.before, turn.content, place + 1 FROM said JOIN turn ON turn.id = said.before
)
SELECT json_group_array(json(text)) FROM (
    SELECT text FROM said JOIN content ON content.id = said.content ORDER BY place DESC
)"""

CALLS_VIEW = f"""
CREATE VIEW calls AS
SELECT c.run_id, c.session_id, c.attempt, c.number, c.role, c.evaluator_id,
       nullif(options.text ->> '$.name', '') AS model_name,
       options.text ->> '$.endpoint' AS endpoint,
       options.text ->> '$.model' AS model,
       served.text ->> '$.model' AS served_model,
       served.text ->> '$.system_fingerprint' AS system_fingerprint,
       json_remove(options.text, '$.name', '$.endpoint', '$.model') AS options, c.seed,
       iif(c.asked IS NULL, NULL, ({_MESSAGES})) AS messages,
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
"""  # noqa: S608 - our own names

"""Older layouts of ``study.sqlite``: shown in the shape of today's, or brought into it.

Both do the same with the same queries. Who only reads sees an older store through temporary views
and writes nothing to it; who runs the study has its tables written anew, and a copy kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from penstock._base.atomic_files import files_aside, set_aside
from penstock.store.announced import ANNOUNCED_TABLES
from penstock.store.calls.call_tables import CALL_TABLES
from penstock.store.files.directory import sync_directory
from penstock.store.schema import OF_BEFORE, SESSION_TABLE, TABLES, UNTOLD
from penstock.store.views import VIEWS

__all__ = ["migrate", "shown_as_today"]

_COUNTS_STARTS = 2
_NAMES_ANSWERS = 3
_TELLS_ENDS = 4
_KEEPS_CALLS = 5
"""The layouts that were the first to do so."""


def _tables(layout: int, old: str) -> dict[str, str]:
    """Return the query that reads each table of an older layout as one of today's.

    Args:
        layout: The older layout.
        old: What stands before the names of its tables.
    """
    answer_id = "answer_event_id" if layout >= _NAMES_ANSWERS else "NULL AS answer_event_id"
    same = {name: f"SELECT * FROM {old}{name}" for name in _UNCHANGED}  # noqa: S608 - our own names
    return {
        **same,
        "session": _told_sessions(old) if layout >= _TELLS_ENDS else _sessions(layout, old),
        "problem": f"""
            SELECT position + 1 AS id, position, problem_id, definition
            FROM {old}problem""",  # noqa: S608 - our own names
        "attempt": f"""
            SELECT id, position, final, session_id, {_end("rescored_in", layout)}, number,
                   planned_order, started_order, run_id, condition_id, problem_id, agent_id,
                   replicate, seed, status, started_at, ended_at, latency_s, input_tokens,
                   output_tokens, cost_usd, primary_outcome, outputs, metrics, provenance,
                   trace_refs, error_kind, error_message, error_stage, error_retryable,
                   {_end("error_retry_after_s", layout)}, {_end("error_http_status", layout)},
                   {_end("error_stops_study", layout, "iif(error_kind IS NULL, NULL, 0)")},
                   traceback, {answer_id}, NULL AS problem_made, NULL AS agent_made
            FROM {old}attempt""",  # noqa: S608 - our own names
        "evaluation": f"""
            SELECT attempt_id, {OF_BEFORE} AS scoring_id, number, evaluator_id, metric_name,
                   metric_value, {_end("metric_type", layout)}, metric_unit, aggregation_level,
                   notes_json
            FROM {old}evaluation""",  # noqa: S608 - our own names
    }


def _told_sessions(old: str) -> str:
    """Read sessions that did not count answers which ended in a word that is not known."""
    return f"SELECT *, 0 AS unknown_endings FROM {old}session"  # noqa: S608 - our own names


def _end(column: str, layout: int, before: str = "NULL") -> str:
    """Read a column that layouts have from the fourth on."""
    return column if layout >= _TELLS_ENDS else f"{before} AS {column}"


_NEW = {
    "agent": "SELECT 0 AS id, 0 AS is_current, '' AS agent_id, '' AS definition, '' AS source "
    "WHERE 0",
    "scoring": f"{UNTOLD} UNION ALL SELECT {OF_BEFORE}, 0, '', '', 0, 0, 0",
    "evaluator": "SELECT 0 AS id, '' AS evaluator_id, '' AS declaration, 0 AS version, "
    "'' AS source WHERE 0",
    "action": "SELECT 0 AS id, NULL AS session_id, '' AS at, '' AS who, '' AS what, NULL AS old, "
    "NULL AS new, '' AS reason, 0 AS ended, 0 AS planned WHERE 0",
    "scored": "SELECT 0 AS attempt_id, 0 AS scoring_id, 0 AS session_id, 0 AS rows, "
    "0 AS latency_s, 0 AS cost_usd WHERE 0",
}
"""Tables that older layouts have not, as one that is only read shows them."""

_ADDED = ANNOUNCED_TABLES
"""Tables that the fifth layout has not."""

_MADE_BY = """
INSERT INTO agent (is_current, agent_id, definition, source)
SELECT 1, each.key, each.value, '' FROM study, json_each(definition, '$.agents') AS each;
UPDATE attempt SET
    problem_made = (SELECT id FROM problem WHERE problem.problem_id = attempt.problem_id),
    agent_made = (SELECT id FROM agent WHERE agent.agent_id = attempt.agent_id);
"""
"""Results were made by what the session before declared: it was refused where that had changed."""

_UNCHANGED = ("study", "condition", "observation")


def _sessions(layout: int, old: str) -> str:
    """Read sessions, each with what its attempts came to: older layouts kept no sums.

    What judges cost when they scored an answer again counts for the session that had made it.
    """
    started = "session.started" if layout >= _COUNTS_STARTS else "coalesce(made.attempts, 0)"
    sums = {
        "agent_cost_usd": "cost_usd",
        "agent_input_tokens": "input_tokens",
        "agent_output_tokens": "output_tokens",
        "judge_cost_usd": "m ->> '$.judge_cost_usd'",
        "judge_input_tokens": "m ->> '$.judge_input_tokens'",
        "judge_output_tokens": "m ->> '$.judge_output_tokens'",
        "uncounted_cost_usd": "m ->> '$.uncounted_cost_usd'",
        "uncounted_tokens": "m ->> '$.uncounted_tokens'",
        "judge_uncounted_cost_usd": "m ->> '$.judge_uncounted_cost_usd'",
        "judge_uncounted_tokens": "m ->> '$.judge_uncounted_tokens'",
    }
    made = ", ".join(f"coalesce(sum({each}), 0) AS {name}" for name, each in sums.items())
    amounts = ", ".join(f"coalesce(made.{name}, 0) AS {name}" for name in [*sums][:6])
    uncounted = ", ".join(
        f"coalesce(made.{name} + made.judge_{name}, 0) AS {name}" for name in [*sums][6:8]
    )
    counts = ", ".join(
        f"coalesce(made.{name}, 0) AS {name}"
        for name in ("attempts", "succeeded", "failed", "skipped", "cancelled", "retried")
    )
    return f"""
        SELECT session.id, started_at, ended_at, ending,
               iif(ending LIKE 'stopped: %', substr(ending, 10), NULL) AS stopped_because,
               coalesce(ending LIKE 'stopped: budget.%', 0) AS is_out_of_budget,
               pid, host, version, planned, NULL AS study_file, 0 AS restored,
               {started} AS started, {counts}, 0 AS rescored, {amounts}, {uncounted}, 0 AS unpriced,
               0 AS unknown_endings
        FROM {old}session AS session LEFT JOIN (
            SELECT session_id, count(*) AS attempts,
                   sum(final AND status = 'success') AS succeeded,
                   sum(final AND status = 'failed') AS failed,
                   sum(final AND status = 'skipped') AS skipped,
                   sum(status = 'cancelled') AS cancelled,
                   sum(NOT final AND status <> 'cancelled') AS retried,
                   {made}
            FROM (SELECT *, iif(json_valid(metrics), metrics, '{{}}') AS m FROM {old}attempt)
            GROUP BY session_id) AS made ON made.session_id = session.id"""  # noqa: S608


def shown_as_today(layout: int) -> str:
    """Write the statements that show an older layout as today's to one connection.

    Args:
        layout: The layout of the store that is open.
    """
    tables, missing = {"session": _told_sessions("main.")}, _ADDED
    if layout < _KEEPS_CALLS:
        tables, missing = {**_tables(layout, "main."), **_NEW}, f"{CALL_TABLES}{_ADDED}"

    made = [f"CREATE TEMP VIEW {name} AS {query};" for name, query in tables.items()]
    made.append(missing.replace("CREATE TABLE", "CREATE TEMP TABLE"))  # of nothing
    views = [view.replace("CREATE VIEW", "CREATE TEMP VIEW") for view in VIEWS]
    return "\n".join(["PRAGMA temp_store = MEMORY;", *made, *views])


def migrate(path: Path, layout: int, wanted: int) -> Path:
    """Migrate a store to a newer layout in one transaction, and keep a copy of it as it was.

    Args:
        path: The store; nobody else writes it.
        layout: Its layout.
        wanted: The layout it is to have.

    Returns:
        Where the copy is.

    Raises:
        sqlite3.Error: it cannot be written; it is as it was.
    """
    copy = path.with_name(f"{path.stem}.layout-{layout}{path.suffix}")
    for left in files_aside(path.parent, of=copy.name):  # by a migration that was killed
        left.unlink()

    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        with set_aside(copy) as aside, closing(sqlite3.connect(aside)) as kept:
            store.backup(kept)

        sync_directory(path.parent)
        steps = "\n".join(_steps(store, layout))
        store.executescript(f"BEGIN IMMEDIATE;{steps}PRAGMA user_version = {wanted:d};COMMIT;")

    return copy


def _steps(store: sqlite3.Connection, layout: int) -> Iterator[str]:
    """Write every table anew: the views and indexes of then make room for those of today.

    The fifth layout only lacks tables, and a count of its sessions: nothing else is written anew.
    """
    if layout >= _KEEPS_CALLS:
        views = store.execute("SELECT name FROM sqlite_master WHERE type = 'view'")
        yield from (f"DROP VIEW {name};" for (name,) in views)
        yield f"ALTER TABLE session RENAME TO old_session; {SESSION_TABLE}"
        yield f"INSERT INTO session {_told_sessions('old_')}; DROP TABLE old_session;"
        yield _ADDED
        yield from VIEWS
        return

    made_of = _tables(layout, "old_")
    for kind, name in store.execute(
        "SELECT type, name FROM sqlite_master WHERE type = 'view' OR type = 'index' AND sql <> ''"
    ):
        yield f"DROP {kind} {name};"

    yield from (f"ALTER TABLE {name} RENAME TO old_{name};" for name in made_of)
    yield TABLES
    yield from (f"INSERT INTO {name} {query};" for name, query in made_of.items())
    yield from (f"DROP TABLE old_{name};" for name in made_of)
    yield f"INSERT INTO scoring {_NEW['scoring']};"
    yield _MADE_BY
    yield from VIEWS

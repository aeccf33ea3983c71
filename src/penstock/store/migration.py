"""Older layouts of ``study.sqlite``: shown in the shape of today's, or brought into it.

Both do the same with the same queries. Who only reads sees an older store through temporary views
and writes nothing to it; who runs the study has its tables written anew, and a copy kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from penstock._base.files import files_aside, set_aside
from penstock.store.directory import sync_directory
from penstock.store.schema import TABLES
from penstock.store.views import VIEWS

__all__ = ["migrate", "shown_as_today"]

_COUNTS_STARTS = 2
_NAMES_ANSWERS = 3
"""The layouts that were the first to do so."""


def _tables(layout: int, old: str) -> dict[str, str]:
    """Give the query that reads each table of an older layout as one of today's.

    Args:
        layout: The older layout.
        old: What stands before the names of its tables.
    """
    answer_id = "answer_event_id" if layout >= _NAMES_ANSWERS else "NULL AS answer_event_id"
    same = {name: f"SELECT * FROM {old}{name}" for name in _UNCHANGED}  # noqa: S608 - our own names
    return {
        **same,
        "session": _sessions(layout, old),
        "attempt": f"""
            SELECT id, position, final, session_id, NULL AS rescored_in, number, planned_order,
                   started_order, run_id, condition_id, problem_id, agent_id, replicate, seed,
                   status, started_at, ended_at, latency_s, input_tokens, output_tokens, cost_usd,
                   primary_outcome, outputs, metrics, provenance, trace_refs, error_kind,
                   error_message, error_stage, error_retryable, NULL AS error_retry_after_s,
                   NULL AS error_http_status, iif(error_kind IS NULL, NULL, 0) AS error_stops_study,
                   traceback, {answer_id}
            FROM {old}attempt""",  # noqa: S608 - our own names
        "evaluation": f"""
            SELECT attempt_id, number, evaluator_id, metric_name, metric_value,
                   NULL AS metric_type, metric_unit, aggregation_level, notes_json
            FROM {old}evaluation""",  # noqa: S608 - our own names
    }


_UNCHANGED = ("study", "condition", "problem", "observation")


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
               {started} AS started, {counts}, 0 AS rescored, {amounts}, {uncounted}, 0 AS unpriced
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
    tables = _tables(layout, "main.")
    made = [f"CREATE TEMP VIEW {name} AS {query};" for name, query in tables.items()]
    views = [view.replace("CREATE VIEW", "CREATE TEMP VIEW") for view in VIEWS]
    return "\n".join(["PRAGMA temp_store = MEMORY;", *made, *views])


def migrate(path: Path, layout: int, wanted: int) -> Path:
    """Bring a store to a newer layout in one transaction, and keep a copy of it as it was.

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
    """Write every table anew: the views and indexes of then make room for those of today."""
    made_of = _tables(layout, "old_")
    for kind, name in store.execute(
        "SELECT type, name FROM sqlite_master WHERE type = 'view' OR type = 'index' AND sql <> ''"
    ):
        yield f"DROP {kind} {name};"

    yield from (f"ALTER TABLE {name} RENAME TO old_{name};" for name in made_of)
    yield TABLES
    yield from (f"INSERT INTO {name} {query};" for name, query in made_of.items())
    yield from (f"DROP TABLE old_{name};" for name in made_of)
    yield from VIEWS

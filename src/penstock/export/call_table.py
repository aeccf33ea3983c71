"""The table of calls: every call of a chat model, with what was said last and what was answered.

A conversation of twenty turns is not written twenty times: what was asked is told by its last
message. All of it is in the view ``calls`` of the store, and `penstock show` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penstock.export.tables import write_csv
from penstock.store.files.ownership import CALLS
from penstock.store.reader import StoreReader

__all__ = ["CALLS_IN_ORDER", "CALL_COLUMNS", "CALL_KINDS", "call_rows", "has_calls", "write_calls"]

CALL_COLUMNS = (
    "run_id",
    "session_id",
    "attempt",
    "number",
    "role",
    "evaluator_id",
    "model_name",
    "endpoint",
    "model",
    "served_model",
    "system_fingerprint",
    "options",
    "seed",
    "last_message",
    "answer",
    "tool_calls",
    "reasoning",
    "refusal",
    "finish_reason",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "is_usage_estimated",
    "cost_usd",
    "started_at",
    "queued_s",
    "provider_s",
    "first_token_s",
    "http_status",
    "request_id",
    "error_kind",
    "error_message",
    "is_cached",
    "is_replayed",
)
"""The columns of ``calls.csv``."""

CALL_KINDS = {
    **dict.fromkeys(("session_id", "attempt", "number", "seed", "http_status"), "int64"),
    **{name: "int64" for name in CALL_COLUMNS if name.endswith("_tokens")},
    **dict.fromkeys(("cost_usd", "queued_s", "provider_s", "first_token_s"), "double"),
    **{name: "flag" for name in CALL_COLUMNS if name.startswith("is_")},
    "started_at": "moment",
}
"""What is not text in ``calls.parquet``."""

_ENDED = "SELECT run_id FROM attempt WHERE final AND position IS NOT NULL ORDER BY position"
CALLS_IN_ORDER = f"""(
SELECT calls.* FROM ({_ENDED}) AS ended CROSS JOIN calls ON calls.run_id = ended.run_id
UNION ALL
SELECT * FROM calls WHERE run_id NOT IN ({_ENDED})
)"""  # noqa: S608 - our own names
"""The rows of the view ``calls`` in plan order; those of runs without a result come last."""


def has_calls(store: StoreReader) -> bool:
    """Return whether any call is kept."""
    return any(store.table("SELECT 1 FROM call LIMIT 1"))


def write_calls(folder: Path, store: StoreReader) -> None:
    """Write ``calls.csv`` into a folder."""
    write_csv(folder / CALLS, CALL_COLUMNS, call_rows(store))


def call_rows(store: StoreReader) -> Iterator[tuple[Any, ...]]:
    """Yield the cells of each call, in the order of the columns."""
    return store.table(f"SELECT {', '.join(CALL_COLUMNS)} FROM {CALLS_IN_ORDER}")  # noqa: S608

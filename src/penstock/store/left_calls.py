"""What an attempt that was cut off was answered: it is given again to the next one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from penstock._base.json import decode
from penstock.models.chat_model import ChatMessage, Completion, ToolCall, Usage
from penstock.models.kept_call import LeftCall

__all__ = ["left_calls"]

_CALLS = """
SELECT call.*, answer.text AS answer_text, served.text AS served_text,
       (SELECT messages FROM calls AS shown
        WHERE (shown.run_id, shown.session_id, shown.attempt, shown.number)
            = (call.run_id, call.session_id, call.attempt, call.number)) AS messages
FROM call JOIN content AS answer ON answer.id = call.answer
LEFT JOIN content AS served ON served.id = call.served
WHERE run_id = ? AND role = 'agent' AND error_kind IS NULL AND call.digest IS NOT NULL
ORDER BY session_id DESC, attempt DESC, number
"""
_ENDED = "SELECT status FROM attempt WHERE run_id = ? AND session_id = ? AND number = ?"


def left_calls(connection: sqlite3.Connection, session_id: int, run_id: str) -> list[LeftCall]:
    """Return the calls of the last attempts at a run that were cut off, in order.

    Of several in a row that were, the one that had come furthest counts. An attempt that ended by
    itself leaves nothing.

    Args:
        connection: The store, whose rows have names.
        session_id: The session under way, whose own calls do not count.
        run_id: The run.
    """
    furthest: list[sqlite3.Row] = []
    rows = (row for row in connection.execute(_CALLS, (run_id,)) if row["session_id"] < session_id)
    for attempt, calls in groupby(rows, lambda row: (row["session_id"], row["attempt"])):
        if not _was_cut_off(connection, run_id, attempt):
            break

        furthest = max(furthest, list(calls), key=len)

    return [
        LeftCall(
            row["digest"].hex(),
            tuple(map(_message, decode(row["messages"]))),
            _completion(row),
        )
        for row in furthest
    ]


def _was_cut_off(connection: sqlite3.Connection, run_id: str, attempt: tuple[int, int]) -> bool:
    """Return whether an attempt has no end, as its session was killed, or was cancelled."""
    ended = connection.execute(_ENDED, (run_id, *attempt)).fetchone()
    return ended is None or ended[0] == "cancelled"


def _message(written: dict[str, Any]) -> ChatMessage:
    return ChatMessage(
        role=written["role"],
        content=written["content"],
        tool_calls=tuple(_tool_calls(written)),
        tool_call_id=written.get("tool_call_id"),
    )


def _completion(row: sqlite3.Row) -> Completion:
    answer, served = decode(row["answer_text"]), decode(row["served_text"] or "{}")
    return Completion(
        text=answer["content"],
        reasoning=row["reasoning"],
        tool_calls=tuple(_tool_calls(answer)),
        refusal=row["refusal"],
        model=served.get("model", ""),
        finish_reason=row["finish_reason"],
        usage=Usage(
            input_tokens=row["input_tokens"],
            output_tokens=row["output_tokens"],
            cached_input_tokens=row["cached_input_tokens"],
            cache_write_tokens=row["cache_write_tokens"],
            reasoning_tokens=row["reasoning_tokens"],
            is_estimated=bool(row["is_usage_estimated"]),
        ),
        system_fingerprint=served.get("system_fingerprint"),
        request_id=row["request_id"],
        logprobs=None if row["logprobs"] is None else decode(row["logprobs"]),
        first_token_s=row["first_token_s"],
        http_status=row["http_status"],
        is_redacted=bool(row["is_redacted"]),
        cost_usd=0.0,
    )


def _tool_calls(answer: dict[str, Any]) -> Iterator[ToolCall]:
    for call in answer.get("tool_calls", ()):
        function = call["function"]
        yield ToolCall(id=call["id"], name=function["name"], arguments=function["arguments"])

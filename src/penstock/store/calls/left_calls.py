"""What a run has asked and need not ask again.

The answers of an attempt that was cut off are given to the next one; so are those of one whose
model, or server of tools, failed in a way that passes. What a provider has refused for good is not
asked again while the request is the same; nor is what the agent had asked before, or it would come
to the same refusal by other answers, and pay for them each time.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

from penstock._base.json import decode
from penstock.models.calls.kept_call import CallError, LeftCall, LeftCalls, Refusal
from penstock.models.chat_model import ChatMessage, Completion, Image, ToolCall, Usage
from penstock.models.conversations.tool_session import ToolServerError
from penstock.models.model_errors import FOR_GOOD, PASSING

__all__ = ["left_calls"]

_CALLS = """
SELECT call.*, answer.text AS answer_text, served.text AS served_text,
       iif(role = 'agent' AND error_kind IS NULL AND call.digest IS NOT NULL, (
           SELECT messages FROM calls AS shown
           WHERE (shown.run_id, shown.session_id, shown.attempt, shown.number)
               = (call.run_id, call.session_id, call.attempt, call.number)), NULL) AS messages
FROM call LEFT JOIN content AS answer ON answer.id = call.answer
LEFT JOIN content AS served ON served.id = call.served
WHERE run_id = ?
ORDER BY session_id DESC, attempt DESC, number
"""
_ENDED = """
SELECT status, error_stage, error_kind FROM attempt
WHERE run_id = ? AND session_id = ? AND number = ?
"""

_LEAVES = ("cut off", "passing")
"""How attempts end that the next one goes on from."""

_Calls = list[sqlite3.Row]
_At = tuple[int, int]
"""An attempt's session and number."""


def left_calls(
    connection: sqlite3.Connection, before: _At, run_id: str, *, asks_again: bool = False
) -> LeftCalls:
    """Return what a run has asked before an attempt and need not ask again.

    Args:
        connection: The store, whose rows have names.
        before: The session and the number of the attempt that goes on.
        run_id: The run.
        asks_again: Whether what was refused for good is asked again.
    """
    groups = groupby(connection.execute(_CALLS, (run_id,)), itemgetter("session_id", "attempt"))
    attempts = [(at, list(calls)) for at, calls in groups if at < before]
    refused = [*_refusals_of_judges(attempts)]
    answers: dict[tuple[str, int], LeftCall] = {}
    for at, calls in attempts:
        own = [row for row in calls if row["role"] == "agent"]
        if not own:
            continue

        ending = _ending(connection, run_id, at, own)
        refused += own
        if ending in _LEAVES or (ending == "refused" and not asks_again):
            answers = {**_answers(connection, own), **answers}

        if ending not in _LEAVES:
            break

    return LeftCalls(answers, {} if asks_again else _refusals(refused))


def _refusals_of_judges(attempts: Iterable[tuple[_At, _Calls]]) -> Iterator[sqlite3.Row]:
    """Yield the calls of each judge when it was asked last."""
    last: dict[str, _At] = {}
    for at, calls in attempts:
        for row in calls:
            if row["role"] != "agent" and last.setdefault(row["evaluator_id"], at) == at:
                yield row


def _refusals(calls: Iterable[sqlite3.Row]) -> dict[str, Refusal]:
    return {
        row["digest"].hex(): Refusal(
            CallError(
                row["error_kind"],
                row["error_message"],
                row["http_status"],
                row["request_id"],
                None,
                None,
            ),
            None if row["answer_text"] is None else _completion(row),
        )
        for row in calls
        if row["error_kind"] in FOR_GOOD and row["digest"] is not None
    }


def _answers(connection: sqlite3.Connection, calls: _Calls) -> dict[tuple[str, int], LeftCall]:
    """Return the answers of an attempt, by request and number among equal ones."""
    counts: Counter[str] = Counter()
    found = {}
    for row in calls:
        if row["digest"] is None:
            continue

        digest = row["digest"].hex()
        if row["error_kind"] is None:
            messages = tuple(_message(connection, each) for each in decode(row["messages"]))
            found[digest, counts[digest]] = LeftCall(digest, messages, _completion(row))
            counts[digest] += 1

    return found


def _ending(
    connection: sqlite3.Connection, run_id: str, at: _At, calls: _Calls
) -> Literal["cut off", "passing", "refused", "by itself"]:
    """Return how an attempt ended.

    One that has no end was cut off, as its session was killed; so was one that was cancelled.
    """
    ended = connection.execute(_ENDED, (run_id, *at)).fetchone()
    if ended is None or ended["status"] == "cancelled":
        return "cut off"

    if ended["status"] != "failed" or ended["error_stage"] != "agent":
        return "by itself"

    last = calls[-1]["error_kind"]
    if last in PASSING or ended["error_kind"] == ToolServerError.__name__:
        return "passing"

    refusals = {row["error_kind"] for row in calls} & FOR_GOOD.keys()
    return "refused" if refusals & {last, ended["error_kind"]} else "by itself"


def _message(connection: sqlite3.Connection, written: dict[str, Any]) -> ChatMessage:
    content = written["content"]
    return ChatMessage(
        role=written["role"],
        content=content if isinstance(content, str) else [_part(connection, p) for p in content],
        tool_calls=tuple(_tool_calls(written)),
        tool_call_id=written.get("tool_call_id"),
        name=written.get("name"),
        is_error=written.get("is_error", False),
        sealed_reasoning=written.get("sealed_reasoning"),
    )


def _part(connection: sqlite3.Connection, part: dict[str, Any]) -> Any:
    if "digest" not in part:
        return part

    digest = bytes.fromhex(part["digest"])
    found = connection.execute("SELECT text FROM content WHERE digest = ?", (digest,)).fetchone()
    return Image(url=decode(found["text"]) if found else "", detail=part.get("detail"))


def _completion(row: sqlite3.Row) -> Completion:
    answer, served = decode(row["answer_text"]), decode(row["served_text"] or "{}")
    return Completion(
        text=answer["content"],
        reasoning=row["reasoning"],
        sealed_reasoning=answer.get("sealed_reasoning"),
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

"""Calls of chat models as rows: each message and each set of options once, by its content."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from penstock._base.json import encode
from penstock._base.text import readable, readable_json
from penstock.models.calls.digests import content_of, digest_of_content, kept_message
from penstock.models.calls.kept_call import KeptCall
from penstock.models.chat_model import ChatMessage, Completion, Usage
from penstock.models.openai.request_body import options_of

__all__ = ["CALL_COLUMNS", "KnownContents", "insert_calls"]

_MOST_KNOWN = 100_000


class KnownContents:
    """What is known to be in the store, so that it need not be looked for."""

    def __init__(self) -> None:
        self.contents: dict[bytes, int] = {}
        self.turns: dict[tuple[int, int], int] = {}

    def forget(self) -> None:
        """Forget all of it: what was written was rolled back."""
        self.contents.clear()
        self.turns.clear()

    def bound(self) -> None:
        """Forget all of it where that is much."""
        if len(self.contents) + len(self.turns) > _MOST_KNOWN:
            self.forget()


def insert_calls(
    connection: sqlite3.Connection,
    session_id: int,
    calls: Sequence[KeptCall],
    known: KnownContents,
    *,
    with_texts: bool,
) -> None:
    """Write calls inside a transaction.

    Args:
        connection: The store.
        session_id: The session that made them.
        calls: The calls.
        known: What is in the store; it is told what is added.
        with_texts: Whether what was said is written too.
    """
    known.bound()
    writer = _Writer(connection, known)
    rows = [_row(writer, session_id, call, with_texts=with_texts) for call in calls]
    connection.executemany(_INSERT, rows)


CALL_COLUMNS = (
    "run_id",
    "session_id",
    "attempt",
    "number",
    "role",
    "evaluator_id",
    "options",
    "seed",
    "digest",
    "asked",
    "answer",
    "served",
    "reasoning",
    "refusal",
    "logprobs",
    "finish_reason",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "output_tokens",
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
    "is_redacted",
)
_INSERT = f"INSERT OR REPLACE INTO call VALUES ({', '.join('?' * len(CALL_COLUMNS))})"  # noqa: S608


class _Writer:
    """Writes texts and turns that are not there yet."""

    def __init__(self, connection: sqlite3.Connection, known: KnownContents) -> None:
        self._connection = connection
        self._known = known

    def content(self, value: Any) -> int:
        """Return the row of a value, written as JSON."""
        text = content_of(value)
        return self._content(digest_of_content(text), text)

    def conversation(self, messages: Sequence[ChatMessage], digests: Sequence[bytes]) -> int:
        """Return the row of a conversation's last turn.

        Args:
            messages: What was said.
            digests: The digest of each of them.
        """
        last = 0
        for message, digest in zip(messages, digests, strict=True):
            content = self._known.contents.get(digest)
            if content is None:
                content = self._content(digest, content_of(kept_message(message)))
                for image in message.images:
                    if image.url.startswith("data:"):
                        self.content(image.url)

            step = (last, content)
            found = self._known.turns.get(step)
            if found is None:
                found = self._found("turn", "before = ? AND content = ?", "before, content", step)
                self._known.turns[step] = found

            last = found

        return last

    def _content(self, digest: bytes, text: str) -> int:
        found = self._known.contents.get(digest)
        if found is None:
            found = self._found("content", "digest = ?", "digest, text", (digest, text))
            self._known.contents[digest] = found

        return found

    def _found(self, table: str, where: str, columns: str, values: tuple[Any, ...]) -> int:
        """Write a row, or find the one that an earlier session wrote."""
        query = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES (?, ?)"  # noqa: S608
        cursor = self._connection.execute(query, values)
        if cursor.rowcount:
            return int(cursor.lastrowid or 0)

        given = values[: where.count("?")]
        ((row_id,),) = self._connection.execute(f"SELECT id FROM {table} WHERE {where}", given)  # noqa: S608
        return int(row_id)


def _row(writer: _Writer, session_id: int, call: KeptCall, *, with_texts: bool) -> tuple[Any, ...]:
    origin, completion, error = call.origin, call.completion, call.error
    asked = {"name": origin.model_name, "endpoint": origin.endpoint, **options_of(call.request)}
    seed = asked.pop("seed", None)
    usage = completion.usage if completion is not None else error and error.usage
    is_new = completion is not None and not (call.is_replayed or completion.is_cached)
    return (
        call.run_id,
        session_id,
        call.attempt,
        call.number,
        origin.role,
        origin.evaluator_id or None,
        writer.content(asked),
        seed,
        bytes.fromhex(call.digest) if call.digest and (with_texts or error) else None,
        writer.conversation(call.request.messages, call.messages) if with_texts else None,
        *_answer_cells(writer, completion, with_texts=with_texts),
        *_usage_cells(usage),
        _cost_usd(call),
        call.started_at.timestamp(),
        call.queued_s,
        completion.provider_s if completion is not None and is_new else None,
        completion.first_token_s if completion is not None else None,
        completion.http_status if completion is not None else error and error.http_status,
        completion.request_id if completion is not None else error and error.request_id,
        None if error is None else error.kind,
        None if error is None else readable(error.message),
        completion is not None and completion.is_cached,
        call.is_replayed,
        completion is not None and completion.is_redacted,
    )


def _answer_cells(
    writer: _Writer, completion: Completion | None, *, with_texts: bool
) -> tuple[Any, ...]:
    """Write the columns from ``answer`` to ``finish_reason``."""
    if completion is None:
        return (None,) * 6

    served = {"model": completion.model, "system_fingerprint": completion.system_fingerprint}
    said: tuple[Any, ...] = (None, None, None)
    if with_texts:
        said = (
            completion.reasoning and readable(completion.reasoning),
            completion.refusal and readable(completion.refusal),
            None if completion.logprobs is None else readable_json(encode(completion.logprobs)),
        )

    return (
        writer.content(kept_message(completion.message)) if with_texts else None,
        writer.content({name: value for name, value in served.items() if value}),
        *said,
        completion.finish_reason,
    )


def _usage_cells(usage: Usage | None) -> tuple[Any, ...]:
    """Write the columns from ``input_tokens`` to ``is_usage_estimated``."""
    if usage is None:
        return (None,) * 6

    return (
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        usage.output_tokens,
        usage.is_estimated,
    )


def _cost_usd(call: KeptCall) -> float | None:
    if call.is_replayed:
        return 0.0

    if call.error is not None:
        return call.error.cost_usd

    return None if call.completion is None else call.completion.cost_usd

"""How runs went: scores with their reasons, attempts with where their time went, conversations.

A page shows them beside a run's answer, for as many runs as it should carry, failures first; of the
others ``penstock show RUN`` prints the same. Texts stand once and are named by their place, and a
call names the messages that the one before it has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from penstock._base.json import decode, encode
from penstock.page.view import Details
from penstock.store.reader import StoreReader
from penstock.store.views import ANSWER

__all__ = ["run_details"]

_MOST_RUNS = 5_000
_CHUNK = 500
_MOST_EVENTS = 50
_LONGEST = 20_000

_REASONS = frozenset({"reply", "reason", "explanation"})
"""Notes of a score that need no name before them."""

_OF_A_CALL = frozenset(
    {
        "model_name",
        "model_provider",
        "request_id",
        "finish_reason",
        "system_fingerprint",
        "is_cached",
    }
)
"""Notes of a judge that stand with its call."""

_ATTEMPTS = """
SELECT run_id, number, started_at, ended_at, latency_s, status, error_kind, metrics, final, id
FROM attempt WHERE run_id IN (SELECT value FROM json_each(?)) ORDER BY id
"""
_CALLS = """
SELECT c.run_id, c.role, c.attempt, c.number, coalesce(c.evaluator_id, c.role) AS who,
       coalesce(served.text ->> '$.model', options.text ->> '$.model') AS model, c.asked, c.answer,
       c.input_tokens, c.output_tokens, c.cost_usd, c.provider_s,
       c.error_kind || ': ' || c.error_message AS error
FROM call c JOIN content AS options ON options.id = c.options
LEFT JOIN content AS served ON served.id = c.served
WHERE c.run_id IN (SELECT value FROM json_each(?))
ORDER BY c.run_id, c.session_id, c.attempt, c.number
"""
_SCORES = """
SELECT e.attempt_id, e.evaluator_id, e.metric_name, e.metric_value, e.notes_json
FROM evaluation e JOIN scoring s ON s.id = e.scoring_id
WHERE e.attempt_id IN (SELECT value FROM json_each(?)) AND s.place IS NOT NULL
ORDER BY e.attempt_id, s.place, e.number
"""
_EVENTS = f"""
SELECT attempt_id, event_type, text, meta_json FROM observation
WHERE attempt_id IN (SELECT value FROM json_each(?)) AND number < {ANSWER}
ORDER BY attempt_id, number
"""  # noqa: S608 - our own names

Place = Callable[[str], int | None]
"""Gives the place of a text in the page; None where the page has no room for it."""


def run_details(
    store: StoreReader, runs: Sequence[str], place_of: Place, *, shows_scores: bool = True
) -> Details:
    """Return how runs went.

    Args:
        store: The study's store.
        runs: Their ids, those that matter most first; of so many that no page should carry them
            the others are left out.
        place_of: Gives the place of a text in the page.
        shows_scores: Whether scores, and what judges said, are not withheld.
    """
    found = _Found(store, place_of, shows_scores=shows_scores)
    for start in range(0, min(len(runs), _MOST_RUNS), _CHUNK):
        if found.is_full:
            break

        found.read(runs[start : start + _CHUNK])

    return Details(words=tuple(found.words), messages=tuple(found.messages), runs=found.runs)


class _Found:
    """What was read so far."""

    def __init__(self, store: StoreReader, place_of: Place, *, shows_scores: bool) -> None:
        self.words: dict[str, int] = {}
        self.messages: list[tuple[int, int]] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.is_full = False
        self._store = store
        self._place_of = place_of
        self._shows_scores = shows_scores
        self._turns: dict[int, tuple[int, int]] = {}
        """Turn -> the turn before it, and the place of its message."""

    def read(self, run_ids: Sequence[str]) -> None:
        """Read some runs; one that no longer fits is left out, with all that follow."""
        attempts = self._grouped(_ATTEMPTS, run_ids, "run_id")
        calls = self._grouped(_CALLS, run_ids, "run_id")
        finals = [each["id"] for rows in attempts.values() for each in rows if each["final"]]
        scores = self._grouped(_SCORES, finals, "attempt_id")
        events = self._grouped(_EVENTS, finals, "attempt_id")
        for run_id in run_ids:
            own = attempts.get(run_id, [])
            last = next((each["id"] for each in own if each["final"]), None)
            details = {
                "attempts": [*self._attempts(own)],
                "calls": [*self._calls(self._shown(calls.get(run_id, [])))],
                "scores": [*self._scores(scores.get(last, []))] if self._shows_scores else [],
                "events": [*self._events(events.get(last, [])[:_MOST_EVENTS])],
            }
            if self.is_full:
                return

            self.runs[run_id] = {name: each for name, each in details.items() if each}

    def _shown(self, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return calls if self._shows_scores else [each for each in calls if each["role"] == "agent"]

    def _grouped(self, query: str, keys: Sequence[Any], by: str) -> dict[Any, list[dict[str, Any]]]:
        grouped: dict[Any, list[dict[str, Any]]] = {}
        for row in self._store.rows(query, (encode(list(keys)),)):
            grouped.setdefault(row[by], []).append(dict(row))

        return grouped

    def _attempts(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Any]]:
        """Yield number, start, gate, provider, agent and judge in seconds, and how it ended."""
        for row in rows:
            metrics = _mapping(row["metrics"])
            gate, provider = _s(metrics, "queued_s"), _s(metrics, "provider_s")
            judge = _s(metrics, "judge_queued_s") + _s(metrics, "judge_provider_s")
            if len(rows) == 1 and not (gate or provider or judge):
                continue  # there is nothing to tell apart

            own = max(0.0, row["latency_s"] - provider)
            yield [
                row["number"],
                round(_seconds_between(rows[0]["started_at"], row["started_at"]), 3),
                *(round(each, 3) for each in (gate, provider, own, judge)),
                self._word(row["error_kind"] or row["status"]),
            ]

    def _calls(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Any]]:
        """Yield attempt, who, model, messages, answer, tool calls, tokens, cost, time, error."""
        before: list[int] = []
        for row in rows:
            asked = self._path(row["asked"])
            shared = 0
            while shared < min(len(asked), len(before)) and asked[shared] == before[shared]:
                shared += 1

            answer = {} if row["answer"] is None else self._content(row["answer"])
            yield [
                row["attempt"],
                self._word(row["who"]),
                self._word(row["model"] or ""),
                shared,
                asked[shared:],
                self._text(_told(answer.get("content"))),
                self._text("\n".join(_tool_calls(answer))),
                row["input_tokens"],
                row["output_tokens"],
                row["cost_usd"],
                None if row["provider_s"] is None else round(row["provider_s"], 3),
                self._text(row["error"] or ""),
            ]
            before = asked

    def _scores(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Any]]:
        """Yield evaluator, metric, value, and the evaluator's reason."""
        for row in rows:
            notes = _mapping(row["notes_json"])
            reason = "\n".join(
                _told(each) if name in _REASONS else f"{name}: {_told(each)}"
                for name, each in notes.items()
                if name not in _OF_A_CALL
            )
            names = self._word(row["evaluator_id"]), self._word(row["metric_name"])
            value = row["metric_value"]
            yield [
                *names,
                value if isinstance(value, (int, float)) else str(value),
                self._text(reason),
            ]

    def _events(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Any]]:
        """Yield what sort of event, and what was said."""
        for row in rows:
            yield [self._word(row["event_type"]), self._text(row["text"] or row["meta_json"])]

    def _path(self, turn: int | None) -> list[int]:
        """Return the places of the messages of a conversation, up to a turn."""
        path = []
        while turn:
            if turn not in self._turns:
                query = "SELECT before, content FROM turn WHERE id = ?"
                ((before, content),) = self._store.rows(query, (turn,))
                self._turns[turn] = before, self._message(content)

            turn, place = self._turns[turn]
            path.append(place)

        return path[::-1]

    def _message(self, content: int) -> int:
        message = self._content(content)
        told = "\n".join(filter(None, [_told(message.get("content")), *_tool_calls(message)]))
        text = self._text(told)
        self.messages.append(
            (self._word(str(message.get("role", ""))), -1 if text is None else text)
        )
        return len(self.messages) - 1

    def _content(self, content: int) -> dict[str, Any]:
        ((text,),) = self._store.rows("SELECT text FROM content WHERE id = ?", (content,))
        return _mapping(text)

    def _text(self, text: str) -> int | None:
        if not text:
            return None

        place = self._place_of(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n[cut]")
        self.is_full = self.is_full or place is None
        return place

    def _word(self, word: str) -> int:
        return self.words.setdefault(word, len(self.words))


def _mapping(text: str | None) -> dict[str, Any]:
    value = decode(text) if text else None
    return value if isinstance(value, dict) else {}


def _told(content: Any) -> str:
    """Write a message's content: of its parts the texts, and of others what they are."""
    if isinstance(content, str):
        return content

    if isinstance(content, list):
        return "\n".join(
            str(part.get("text") or f"[{part.get('type', 'part')}]")
            for part in content
            if isinstance(part, dict)
        )

    return "" if content is None else str(content)


def _tool_calls(message: Mapping[str, Any]) -> Iterator[str]:
    for each in message.get("tool_calls") or ():
        function = each.get("function", {})
        yield f"calls {function.get('name', '?')}({function.get('arguments', '')})"


def _s(metrics: Mapping[str, Any], name: str) -> float:
    value = metrics.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _seconds_between(first: str, then: str) -> float:
    between = datetime.fromisoformat(then) - datetime.fromisoformat(first)
    return max(0.0, between.total_seconds())

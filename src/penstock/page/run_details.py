"""How runs went: scores with their reasons, attempts with where their time went, conversations.

A page shows them beside a run's answer, for as many runs as it should carry, failures first; of the
others ``penstock show RUN`` prints the same. What a run is told by is a list of items, each a kind
and what it says; long texts stand once and are named by their place, and a call has the messages
that the one before it has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from penstock._base.json import encode
from penstock.page.sentences import money_told
from penstock.page.view import ASKED, LINE, NOTE, REPLIES, SAID, TITLE, Details
from penstock.page.waterfall import attempt_items, mapping_of, seconds_told
from penstock.store.reader import StoreReader
from penstock.store.views import ANSWER

__all__ = ["PromptOf", "run_details"]

_MOST_RUNS = 5_000
_CHUNK = 500
_MOST_EVENTS = 50
_LONGEST = 20_000

_TOKENS = ("input_tokens", "output_tokens")

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
SELECT run_id, number, started_at, ended_at, latency_s, status, error_kind, metrics, final, id,
       position
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

PromptOf = Callable[[int], Iterable[tuple[str, str]]]
"""Gives by its place in the plan what a run begins with, by role, where calls were not kept."""

Item = list[Any]


def run_details(
    store: StoreReader,
    runs: Sequence[str],
    place_of: Place,
    *,
    shows_scores: bool = True,
    prompt_of: PromptOf = lambda _: (),
) -> Details:
    """Return how runs went.

    Args:
        store: The study's store.
        runs: Their ids, those that matter most first; of so many that no page should carry them
            the others are left out.
        place_of: Gives the place of a text in the page.
        shows_scores: Whether scores, and what judges said, are not withheld.
        prompt_of: See `PromptOf`.
    """
    found = _Found(store, place_of, prompt_of, shows_scores=shows_scores)
    for start in range(0, min(len(runs), _MOST_RUNS), _CHUNK):
        if found.is_full:
            break

        found.read(runs[start : start + _CHUNK])

    return Details(runs=found.runs)


class _Found:
    """What was read so far."""

    def __init__(
        self, store: StoreReader, place_of: Place, prompt_of: PromptOf, *, shows_scores: bool
    ) -> None:
        self.runs: dict[str, list[Item]] = {}
        self._prompt_of = prompt_of
        self.is_full = False
        self._store = store
        self._place_of = place_of
        self._shows_scores = shows_scores
        self._turns: dict[int, tuple[int, Item]] = {}
        """Turn -> the turn before it, and what was said."""

    def read(self, run_ids: Sequence[str]) -> None:
        """Read some runs; one that no longer fits is left out, with all that follow."""
        attempts = self._grouped(_ATTEMPTS, run_ids, "run_id")
        calls = self._grouped(_CALLS, run_ids, "run_id")
        finals = [each["id"] for rows in attempts.values() for each in rows if each["final"]]
        scores = self._grouped(_SCORES, finals, "attempt_id")
        events = self._grouped(_EVENTS, finals, "attempt_id")
        for run_id in run_ids:
            own = attempts.get(run_id, [])
            final = next((each for each in own if each["final"]), {})
            last = final.get("id")
            asked = self._shown(calls.get(run_id, []))
            told = [
                *(self._scores(scores.get(last, [])) if self._shows_scores else ()),
                *attempt_items(own),
                *self._asked(final.get("position", -1), asked, is_retried=len(own) > 1),
                *self._events(events.get(last, [])[:_MOST_EVENTS]),
            ]
            if self.is_full:
                return

            self.runs[run_id] = told

    def _shown(self, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return calls if self._shows_scores else [each for each in calls if each["role"] == "agent"]

    def _grouped(self, query: str, keys: Sequence[Any], by: str) -> dict[Any, list[dict[str, Any]]]:
        grouped: dict[Any, list[dict[str, Any]]] = {}
        for row in self._store.rows(query, (encode(list(keys)),)):
            grouped.setdefault(row[by], []).append(dict(row))

        return grouped

    def _asked(
        self, position: int, calls: Sequence[Mapping[str, Any]], *, is_retried: bool
    ) -> Iterator[Item]:
        """Yield the conversation; where no call was kept, what the templates say again."""
        if any(each["asked"] is not None and each["role"] == "agent" for each in calls):
            yield [TITLE, ASKED[0]]
            yield from self._calls(calls, is_retried=is_retried)
            return

        prompt = [*self._prompt_of(position)]
        if prompt:
            yield [TITLE, ASKED[1]]
            yield [NOTE, "filled in again from the study: calls were not kept"]
            yield from (self._said(role, text) for role, text in prompt)

        if calls:
            yield [TITLE, "Calls"]
            yield from self._calls(calls, is_retried=is_retried)

    def _calls(self, rows: Sequence[Mapping[str, Any]], *, is_retried: bool) -> Iterator[Item]:
        before: list[Item] = []
        for row in rows:
            asked = self._path(row["asked"])
            shared = 0
            while shared < min(len(asked), len(before)) and asked[shared] is before[shared]:
                shared += 1

            yield [NOTE, " \u00b7 ".join(_facts(row, shared, is_retried=is_retried))]
            yield from asked[shared:]
            answer = {} if row["answer"] is None else self._content(row["answer"])
            said = [_told(answer.get("content")), "\n".join(_tool_calls(answer))]
            if any(said):
                yield self._said(REPLIES[0], *said)

            if row["error"]:
                yield self._said(REPLIES[1], row["error"])

            before = asked

    def _scores(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
        """Yield each score with the evaluator's reason."""
        if rows:
            yield [TITLE, "Scores"]

        for row in rows:
            notes = mapping_of(row["notes_json"])
            reason = "\n".join(
                _told(each) if name in _REASONS else f"{name}: {_told(each)}"
                for name, each in notes.items()
                if name not in _OF_A_CALL
            )
            by, name, value = row["evaluator_id"], row["metric_name"], row["metric_value"]
            name = name if by == name else f"{name}, by {by}"
            value = f"{value:.6g}" if isinstance(value, (int, float)) else value
            yield [LINE, f"{name}: {value}", *self._places(reason)]

    def _events(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
        """Yield what sort of event each was, and what was said."""
        if rows:
            yield [TITLE, "Events"]

        for row in rows:
            yield self._said(row["event_type"], row["text"] or row["meta_json"])

    def _path(self, turn: int | None) -> list[Item]:
        """Return what was said in a conversation, up to a turn."""
        path = []
        while turn:
            if turn not in self._turns:
                query = "SELECT before, content FROM turn WHERE id = ?"
                ((before, content),) = self._store.rows(query, (turn,))
                self._turns[turn] = before, self._message(content)

            turn, said = self._turns[turn]
            path.append(said)

        return path[::-1]

    def _message(self, content: int) -> Item:
        message = self._content(content)
        role = str(message.get("role", ""))
        return self._said(role, _told(message.get("content")), *_tool_calls(message))

    def _said(self, role: str, *texts: str) -> Item:
        return [SAID, role, *self._places("\n".join(filter(None, texts)))]

    def _content(self, content: int) -> dict[str, Any]:
        ((text,),) = self._store.rows("SELECT text FROM content WHERE id = ?", (content,))
        return mapping_of(text)

    def _places(self, text: str) -> list[int]:
        """Return the place of a text; none of an empty one, or where the page is full."""
        if not text:
            return []

        place = self._place_of(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n[cut]")
        self.is_full = self.is_full or place is None
        return [] if place is None else [place]


def _facts(row: Mapping[str, Any], shared: int, *, is_retried: bool) -> Iterator[str]:
    """Yield who asked which model, and what it took."""
    tokens = ("?" if row[each] is None else row[each] for each in _TOKENS)
    yield f"{row['who']} asks {row['model'] or 'a model'}"
    yield "{} \u2192 {} tokens".format(*tokens)
    if row["cost_usd"] is not None:
        yield money_told(row["cost_usd"])

    if row["provider_s"] is not None:
        yield seconds_told(row["provider_s"])

    if is_retried:
        yield f"attempt {row['attempt']}"

    if shared:
        yield f"after {shared} messages from above"


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

"""One run as it went: its attempts, what its models were asked and answered, its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from penstock._base.json import decode
from penstock.errors import StoreError
from penstock.store.reader import StoreReader
from penstock.store.views import ANSWER

__all__ = ["OneRun", "find_run", "list_runs", "read_run"]


class OneRun(NamedTuple):
    """An attempt at a run, with all that belongs to it, each as the row of its view."""

    run: dict[str, Any]
    """The attempt; of one that was cut off by a kill, the little that is known."""

    assignments: dict[str, Any]
    """The factors and blocks of its condition."""

    attempts: Sequence[dict[str, Any]]
    """All attempts that are kept, in their order."""

    calls: Sequence[dict[str, Any]]
    events: Sequence[dict[str, Any]]
    scores: Sequence[dict[str, Any]]


def list_runs(
    store: StoreReader, names: Sequence[str], where: str = "1", values: Sequence[Any] = ()
) -> Iterator[tuple[Any, ...]]:
    """Yield rows of the view ``runs``, in plan order.

    Args:
        store: Where the study is.
        names: The columns.
        where: Which, as SQL over the view's columns.
        values: The values of its parameters.

    Raises:
        sqlite3.Error: it is not SQL.
    """
    columns = ", ".join(names)
    query = f"SELECT {columns} FROM runs WHERE {where}"  # noqa: S608 - a person's own question
    return map(tuple, store.rows(query, tuple(values)))


def find_run(store: StoreReader, named: str) -> str:
    """Return the id of a run that a person named, by its beginning if that is enough.

    Raises:
        StoreError: there is no such run, or there are several.
    """
    start = named if named.startswith("run-") else f"run-{named}"
    query = (
        "SELECT run_id FROM attempt WHERE substr(run_id, 1, ?1) = ?2 "
        "UNION SELECT run_id FROM call WHERE substr(run_id, 1, ?1) = ?2 LIMIT 5"
    )
    found = [row["run_id"] for row in store.rows(query, (len(start), start))]
    if start in found:
        return start

    if not found:
        raise StoreError(f"{store.directory} holds no attempt at a run {named!r}")

    if len(found) > 1:
        raise StoreError(
            f"{named!r} may be any of {', '.join(found)}, or others; write more of the id"
        )

    return str(found[0])


def read_run(store: StoreReader, run_id: str, attempt: int | None = None) -> OneRun:
    """Return one attempt at a run; the last, where none is named.

    Raises:
        StoreError: there is no such attempt.
    """
    attempts = _rows(store, "SELECT * FROM attempt WHERE run_id = ? ORDER BY id", run_id)
    calls = _rows(store, _CALLS, run_id)
    last = _last(attempts, calls, attempt)
    if last is None:
        known = ", ".join(sorted({str(each["attempt"]) for each in calls} | _numbers(attempts)))
        raise StoreError(f"there is no attempt {attempt} at {run_id} (attempts: {known})")

    session_id, number = last
    made = next((each for each in attempts if (each["session_id"], each["number"]) == last), None)
    run = _known(store, run_id, calls) if made is None else made
    condition = _rows(store, _CONDITION, run.get("condition_id"))
    return OneRun(
        {**run, "run_id": run_id, "session_id": session_id, "number": number},
        {
            name: value
            for row in condition
            for part in ("factors", "blocks")
            for name, value in decode(row[part]).items()
        },
        attempts,
        [each for each in calls if _is_of(each, last)],
        [] if made is None else _rows(store, _EVENTS, made["id"]),
        [] if made is None else _rows(store, _SCORES, made["id"]),
    )


_CALLS = "SELECT * FROM calls WHERE run_id = ? ORDER BY session_id, attempt, number"
_CONDITION = "SELECT factors, blocks FROM condition WHERE condition_id = ? LIMIT 1"
_EVENTS = f"SELECT * FROM observation WHERE attempt_id = ? AND number < {ANSWER} ORDER BY number"  # noqa: S608
_SCORES = """
SELECT e.* FROM evaluation e JOIN scoring s ON s.id = e.scoring_id
WHERE attempt_id = ? AND s.place IS NOT NULL ORDER BY s.place, e.number
"""


def _rows(store: StoreReader, query: str, *values: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in store.rows(query, values)]


def _is_of(call: dict[str, Any], attempt: tuple[int, int]) -> bool:
    """Return whether a call belongs to an attempt; a judge may score it in a later session."""
    session_id, number = attempt
    is_later_judge = call["role"] == "judge" and call["session_id"] >= session_id
    is_same = bool(call["session_id"] == session_id or is_later_judge)
    return is_same and call["attempt"] == number


def _numbers(attempts: Sequence[dict[str, Any]]) -> set[str]:
    return {str(each["number"]) for each in attempts}


def _last(
    attempts: Sequence[dict[str, Any]], calls: Sequence[dict[str, Any]], number: int | None
) -> tuple[int, int] | None:
    """Return session and number of the attempt that is meant: the last, or the last so numbered."""
    made = {(each["session_id"], each["number"]) for each in attempts}
    made |= {(each["session_id"], each["attempt"]) for each in calls if each["role"] == "agent"}
    return max((each for each in made if number in (None, each[1])), default=None)


def _known(store: StoreReader, run_id: str, calls: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what is known of an attempt that has no row: it is under way, or was killed."""
    earlier = _rows(store, "SELECT * FROM attempt WHERE run_id = ? LIMIT 1", run_id)
    names = ("condition_id", "problem_id", "agent_id", "replicate", "seed")
    known = {name: earlier[0][name] if earlier else None for name in names}
    costs = [each["cost_usd"] for each in calls]
    return {
        **known,
        "status": "cut off, or under way",
        "cost_usd": sum(each or 0.0 for each in costs),
        "outputs": "{}",
        "latency_s": None,
    }

"""The table of runs: every run as columns, and texts once each, as many as a page should carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Literal

from penstock._base.json import decode
from penstock.page.run_details import PromptOf, run_details
from penstock.page.view import RunTable
from penstock.store.reader import StoreReader

__all__ = ["Texts", "run_table"]

Texts = Literal["all", "failures", "none"]

_MOST_ANSWER_BYTES = 5_500_000
_MOST_BYTES = 6_000_000
"""Of texts, with those of conversations: a page of 50,000 runs stays below 12 MB."""

_RUNS = """
SELECT position, run_id, condition_id, agent_id, problem_id, replicate, status, seed,
       number AS attempts, latency_s, input_tokens, output_tokens, cost_usd, outputs, error_kind,
       error_message, started_at
FROM attempt WHERE final AND position IS NOT NULL AND {} ORDER BY position
"""
_FAILURES_FIRST = ("status <> 'success'", "status = 'success'")
_STATUS = {"success": 0, "failed": 1, "skipped": 2}
_COLUMNS = (
    "id",
    "condition",
    "problem",
    "replicate",
    "status",
    "value",
    "seed",
    "attempts",
    "seconds",
    "tokens_in",
    "tokens_out",
    "cost",
    "text",
    "order",
)


def run_table(
    store: StoreReader,
    conditions: Mapping[tuple[str, str], int],
    problems: Sequence[str],
    values: Sequence[Any],
    *,
    texts: Texts = "all",
    briefs: Mapping[str, str],
    shows_scores: bool = True,
    prompt_of: PromptOf = lambda _: (),
) -> RunTable:
    """Read every run.

    Args:
        store: The study's store.
        conditions: Condition id and agent -> the place of the row that stands for both.
        problems: The problems, in the order that places count in.
        values: The outcome of each run, in the order of the plan; None where it was not scored.
        texts: Whose answers go into the page. Where not all fit, failures come first.
        briefs: Problem -> what it asks.
        shows_scores: Whether scores are not withheld.
        prompt_of: See `PromptOf`.
    """
    place = {problem: at for at, problem in enumerate(problems)}
    kept = _Kept(texts)
    rows = _rows(store, kept)
    told = [row["run_id"] for row in rows if texts == "all" or row["status"] != "success"]
    rows.sort(key=itemgetter("position"))
    by_start = sorted(range(len(rows)), key=lambda at: rows[at]["started_at"])
    order = {at: number for number, at in enumerate(by_start)}
    cells = [
        (
            row["run_id"],
            conditions[row["condition_id"], row["agent_id"]],
            place[row["problem_id"]],
            row["replicate"],
            _STATUS.get(row["status"], 1),
            value if value is None or isinstance(value, str) else float(f"{value:.6g}"),
            row["seed"],
            row["attempts"],
            round(row["latency_s"], 2),
            row["input_tokens"],
            row["output_tokens"],
            None if row["cost_usd"] is None else round(row["cost_usd"], 6),
            row["text"],
            order[at],
        )
        for at, (row, value) in enumerate(zip(rows, values, strict=True))
    ]
    columns = dict(zip(_COLUMNS, zip(*cells, strict=True), strict=True)) if cells else {}
    return RunTable(
        columns=columns,
        details=run_details(
            store,
            () if texts == "none" else told,
            kept.room_for,
            shows_scores=shows_scores,
            prompt_of=prompt_of,
        ),
        texts=tuple(kept.texts),
        briefs=tuple(briefs.get(problem, "") for problem in problems),
        left_out=kept.left_out,
    )


def _rows(store: StoreReader, kept: _Kept) -> list[dict[str, Any]]:
    """Read the runs, those that failed first, each with the place of its text."""
    rows = []
    for which in _FAILURES_FIRST:
        for found in store.rows(_RUNS.format(which)):
            row = dict(found)
            row["text"] = kept.place_of(row)
            del row["outputs"]  # all of them would not fit into memory
            rows.append(row)

    return rows


class _Kept:
    """The texts of the page, each once, up to a number of bytes."""

    def __init__(self, wanted: Texts) -> None:
        self.texts: list[str] = []
        self.left_out = 0
        self._wanted = wanted
        self._places: dict[str, int] = {}
        self._bytes = 0

    def place_of(self, row: Mapping[str, Any]) -> int | None:
        """Return where a run's text stands; None where the page does not hold it."""
        text = _text_of(row)
        if not text or self._wanted == "none":
            return None

        if self._wanted == "failures" and row["status"] == "success":
            return None

        place = self._place(text, _MOST_ANSWER_BYTES)
        self.left_out += place is None
        return place

    def room_for(self, text: str) -> int | None:
        """Return where another text stands; None where the page has no room for it."""
        return self._place(text, _MOST_BYTES)

    def _place(self, text: str, most_bytes: int) -> int | None:
        if text not in self._places:
            size = len(text.encode("utf-8", "backslashreplace"))
            if self._bytes + size > most_bytes:
                return None

            self._bytes += size
            self._places[text] = len(self.texts)
            self.texts.append(text)

        return self._places[text]


def _text_of(row: Mapping[str, Any]) -> str:
    if row["error_kind"] is not None:
        return f"{row['error_kind']}: {row['error_message']}"

    outputs = decode(row["outputs"])
    text = outputs.get("text")
    return text if isinstance(text, str) and len(outputs) == 1 else str(row["outputs"])

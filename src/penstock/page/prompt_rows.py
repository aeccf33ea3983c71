"""Prompts as they were sent: what the first run of each condition was asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from penstock.analysis.sample import Sample
from penstock.page.run_details import PromptOf, run_details
from penstock.page.sections import label_of
from penstock.page.view import ASKED, REPLIES, SAID, TITLE, DesignRow
from penstock.store.reader import StoreReader

__all__ = ["prompt_rows"]

_MOST_CONDITIONS = 24
_LONGEST = 2_000

_FIRST = """
SELECT condition_id, agent_id, run_id, min(position) AS first FROM attempt
WHERE final AND position IS NOT NULL GROUP BY condition_id, agent_id ORDER BY first LIMIT ?
"""


def prompt_rows(
    store: StoreReader,
    places: Mapping[tuple[str, str], int],
    sample: Sample,
    prompt_of: PromptOf,
) -> Iterator[DesignRow]:
    """Yield the messages that the first run of each condition began with.

    Args:
        store: The study's store.
        places: Condition id and agent -> the place of the row that stands for both.
        sample: The runs.
        prompt_of: See `PromptOf`.
    """
    texts: list[str] = []

    def place_of(text: str) -> int:
        texts.append(text)
        return len(texts) - 1

    first: dict[int, str] = {}
    for row in store.rows(_FIRST, (_MOST_CONDITIONS,)):
        first.setdefault(places[row["condition_id"], row["agent_id"]], row["run_id"])

    details = run_details(
        store, list(first.values()), place_of, shows_scores=False, prompt_of=prompt_of
    )
    for arm, run_id in sorted(first.items()):
        said = [*_first_prompt(details.runs.get(run_id, []))]
        if said:
            told = "\n".join(
                f"{role}: {''.join(texts[place] for place in places)}" for role, *places in said
            )
            cut = f"{told[:_LONGEST]}…" if len(told) > _LONGEST else told
            yield DesignRow(name=f"Prompt, {label_of(sample.arms[arm].levels)}", value=cut)


def _first_prompt(items: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """Yield by whom and where what the first call was asked stands; nothing of events."""
    is_asked = False
    for kind, *said in items:
        if kind == TITLE:
            is_asked = said[0] in ASKED
        elif is_asked and kind == SAID:
            if said[0] in REPLIES:
                return

            yield said

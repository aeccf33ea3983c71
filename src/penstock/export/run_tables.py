"""The tables of all runs, and those of the runs that can be analysed, in one pass over the store.

A run is read once, and its answer is read out of JSON once: ``runs.csv``, ``events.csv`` and
``results.csv`` grow side by side.
"""

from __future__ import annotations

from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from penstock._base.atomic_files import share_as_folder
from penstock._base.json import decode
from penstock.agents.metrics import AMOUNTS
from penstock.export.analysable import Analysable, Row
from penstock.export.tables import table, twins
from penstock.export.tidy import TidyTable
from penstock.results import text_of
from penstock.store.files.ownership import TIDY
from penstock.store.reader import StoreReader
from penstock.store.schema import EVALUATION_COLUMNS, EVENT_COLUMNS, RUN_COLUMNS
from penstock.store.views import REPORTED_IN_ORDER, RUNS_TO_WRITE
from penstock.store.wide_rows import WIDE_COLUMNS, by_position, names_in

__all__ = ["Seen", "write_tables"]

_AMOUNTS = [place for place, name in enumerate(RUN_COLUMNS) if name in AMOUNTS]
_amounts = itemgetter(*_AMOUNTS)
_priced = itemgetter(*map(RUN_COLUMNS.index, ("cost_usd", "model_name", "agent_id")))
_of_answer = itemgetter(*map(RUN_COLUMNS.index, ("end_time", "study_id", "run_id", "condition_id")))
_START = RUN_COLUMNS.index("start_time")
_META = '{"auto_generated":true}'


class Seen(NamedTuple):
    """What the manifest says of the runs that were written."""

    models: set[str]
    """Who answered."""

    unpriced: set[str]
    """Those whose cost is not known, where ``runs.csv`` has to say 0: models, or agents."""

    def note(self, cost_usd: float | None, model: str, agent: str) -> None:
        """Note who made a run, and what is known of its cost."""
        self.models.add(model)
        if cost_usd is None:
            self.unpriced.add(agent if model == "unknown" else model)


def write_tables(
    to: Path, store: StoreReader, analysable: Analysable, *, with_results: bool
) -> Seen:
    """Write the tables of all runs, and with them those of the runs that can be analysed.

    Args:
        to: The folder; the others go into the folder ``analysis`` in it.
        store: Where the study is.
        analysable: Says what can be analysed.
        with_results: Whether the tidy table is written too.

    Raises:
        OSError: a file cannot be written.
    """
    (to / "analysis").mkdir(exist_ok=True)
    share_as_folder(to / "analysis")
    seen = Seen(set(), set())
    with ExitStack() as files:
        write_run, write_event = (
            files.enter_context(twins(to, name, columns, is_linked=is_large))
            for name, columns, is_large in (
                ("runs.csv", RUN_COLUMNS, False),
                ("events.csv", EVENT_COLUMNS, True),
            )
        )
        tidy = TidyTable(store, names_in(store))
        write_result = files.enter_context(table(to / TIDY, tidy.header)) if with_results else None
        reported = by_position(store.table(_REPORTED))
        for *known, position, outputs, answer_id, is_kept in store.table(_runs(analysable)):
            text = text_of(decode(outputs))
            seen.note(*_priced(known))
            write_run(*analysable.run_pair(_run_row(known), is_kept=is_kept))
            events: list[Row] = [row for _, *row in reported(position)]
            if answer_id is not None:
                events.append(_answer_row(known, answer_id, text))

            for row in events:
                write_event(*analysable.event_pair(row, known[_START], is_kept=is_kept))

            if write_result is not None:
                write_result(tidy.row(position, known, text))

    with twins(to, "evaluations.csv", EVALUATION_COLUMNS) as write_evaluation:
        for pair in analysable.evaluation_pairs():
            write_evaluation(*pair)

    return seen


def _runs(analysable: Analysable) -> str:
    columns = (*WIDE_COLUMNS, "position", "outputs", "answer_event_id", analysable.condition)
    return f"SELECT {', '.join(columns)} FROM {RUNS_TO_WRITE}"  # noqa: S608 - our own names


_REPORTED = f"SELECT position, {', '.join(EVENT_COLUMNS)} FROM {REPORTED_IN_ORDER}"  # noqa: S608


def _run_row(known: list[Any]) -> Row:
    """Return a row of ``runs.csv``, whose readers want a number where none is known."""
    row = known[: len(RUN_COLUMNS)]
    if None in _amounts(row):
        for place in _AMOUNTS:
            row[place] = 0 if row[place] is None else row[place]

    return row


def _answer_row(known: list[Any], record_id: str, text: str) -> Row:
    """Return the event that is the answer of a run, as the view ``events`` has it."""
    ended_at, *of_run = _of_answer(known)
    session_id = of_run[1]
    said = (ended_at, record_id, text, session_id, "agent", "assistant_output", _META, "step")
    return (*said, *of_run, None, None, None, None)

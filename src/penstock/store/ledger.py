"""The ledger: the one account of what a study came to, read from its store.

Every number about a whole study that is shown, exported or held against a budget is read here, or
is what was read here when a session began plus that session's tally. Counts of runs come from the
indexes of the attempts, amounts from the sums that each session keeps, so that nothing of it takes
longer where a study is larger, but for one pass over the positions of the runs that are done.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from penstock.results import RunStatus
from penstock.store.ended_runs import FAILED
from penstock.store.files.lock import is_held
from penstock.store.reader import StoreReader
from penstock.store.starts import read_spent, read_starts
from penstock.summary import Failure, SessionSummary, Spent, StudySummary

__all__ = ["Ledger", "account_of", "failures", "read_ledger", "unsaved"]

_ROUNDING = 1e-9
"""Sums that are made in another order differ by less than this share of them."""


class Ledger(NamedTuple):
    """What a study came to."""

    summary: StudySummary
    state: str
    """``running``, how the last session ended, or ``killed``."""

    sessions: Sequence[Mapping[str, Any]]
    """The rows of the table ``session``, the last one last."""


def read_ledger(store: StoreReader) -> Ledger:
    """Read what a study came to; it may be running.

    Args:
        store: The study's store.
    """
    sessions = [dict(row) for row in store.rows("SELECT * FROM session ORDER BY id")]
    if not sessions:
        return Ledger(StudySummary(study_id=store.study_id), "created", ())

    last, counts = sessions[-1], store.status_counts()
    state = _state(last, store.directory)
    accounts = [account_of(row) for row in sessions]
    if state == "killed":
        counted_by, cost_usd, tokens = read_spent(store.directory)
        if counted_by == last["id"]:
            accounts[-1] = unsaved(accounts[-1], cost_usd, tokens)

    summary = StudySummary(
        study_id=store.study_id,
        planned=last["planned"],
        succeeded=counts.get(RunStatus.SUCCESS, 0),
        failed=counts.get(RunStatus.FAILED, 0),
        skipped=counts.get(RunStatus.SKIPPED, 0),
        lost_calls=_lost_calls(sessions[:-1] if state == "running" else sessions, store.directory),
        stopped_because=last["stopped_because"],
        is_out_of_budget=bool(last["is_out_of_budget"]),
        session=accounts[-1],
        **_sums(accounts),
    )
    return Ledger(summary, state, sessions)


def failures(store: StoreReader) -> tuple[Failure, ...]:
    """List why runs of the plan failed, the most frequent reason first."""
    rows = store.rows(
        "SELECT count(*) AS runs, error_stage AS stage, "  # noqa: S608 - our own words
        "error_kind || ': ' || substr(min(error_message), 1, 200) AS error FROM attempt "
        f"WHERE {FAILED} GROUP BY error_kind, error_stage ORDER BY runs DESC, error"
    )
    return tuple(Failure(**dict(row)) for row in rows)


def unsaved(account: SessionSummary, cost_usd: float, tokens: int) -> SessionSummary:
    """Set aside what a session may have spent on calls whose results were never saved.

    Args:
        account: What is saved of the session.
        cost_usd: What it may have spent in all, in US dollars.
        tokens: The same in tokens.
    """
    saved_usd, saved_tokens = account.committed
    missing_usd = cost_usd - saved_usd
    if missing_usd <= _ROUNDING * cost_usd:
        missing_usd = 0.0

    more = {
        "uncounted_cost_usd": account.uncounted_cost_usd + missing_usd,
        "uncounted_tokens": account.uncounted_tokens + max(0, tokens - saved_tokens),
    }
    return account.model_copy(update=more)


def account_of(row: Mapping[str, Any]) -> SessionSummary:
    """Return what is saved of a session: a row of the table ``session``."""
    return SessionSummary(
        **{name: row[name] for name in SessionSummary.counts()},
        agents=_spent(row, "agent"),
        judges=_spent(row, "judge"),
    )


def _spent(row: Mapping[str, Any], who: str) -> Spent:
    names = ("cost_usd", "input_tokens", "output_tokens")
    return Spent(**{name: row[f"{who}_{name}"] for name in names})


_SUMMED = (
    "attempts",
    "agents",
    "judges",
    "uncounted_cost_usd",
    "uncounted_tokens",
    "unpriced",
    "unknown_endings",
)


def _sums(accounts: Iterable[SessionSummary]) -> dict[str, Any]:
    """Add sessions up in their order, as a session adds itself to those before it."""
    sums: dict[str, Any] = {}
    for account in accounts:
        for name in _SUMMED:
            amount = getattr(account, name)
            sums[name] = sums[name] + amount if name in sums else amount

    return sums


def _lost_calls(sessions: Iterable[Mapping[str, Any]], directory: Path) -> int:
    """Count calls that have no result, in sessions that are over; they may have been paid for.

    What a session had started when it was killed stands in a file beside the store.
    """
    counted_by, started = read_starts(directory)
    return sum(
        max(
            0,
            max(row["started"], started if row["id"] == counted_by else 0) - row["attempts"],
        )
        for row in sessions
    )


def _state(session: Mapping[str, Any], directory: Path) -> str:
    if session["ended_at"] is not None:
        return str(session["ending"])

    if session["host"] != socket.gethostname():
        return "running"  # as far as can be known from here

    try:
        return "running" if is_held(directory) else "killed"  # its pid may be another's by now
    except OSError:
        return "running"

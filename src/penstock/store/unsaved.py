"""What a session may have spent that no saved result accounts for: calls cut off by its end."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable
from pathlib import Path

from penstock.agents.metrics import AMOUNTS
from penstock.results import RunResult
from penstock.running.tally import amount_of
from penstock.store.continuing.changes import refuse_older_copy
from penstock.store.ledger import account_of, unsaved
from penstock.store.starts import read_spent
from penstock.store.transaction import Statement

__all__ = ["noted", "told_by"]

_CALLED = "provider_s"
"""The metric of runs whose agent's calls were counted as they were made."""

_NOTE = """
UPDATE session SET started = max(started, ?), uncounted_cost_usd = ?, uncounted_tokens = ?
WHERE id = ?
"""


def noted(connection: sqlite3.Connection, path: Path) -> list[Statement]:
    """Record what the last session had begun and may have spent, should it have been killed.

    Args:
        connection: The store.
        path: Its file.

    Raises:
        ForeignDirectoryError: the store is older than what was counted beside it.
    """
    session_id, started = refuse_older_copy(connection, path)
    _, cost_usd, tokens = read_spent(path.parent)
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    query = "SELECT * FROM session WHERE id = ? AND ended_at IS NULL"
    accounts = (
        unsaved(account_of(dict(row)), cost_usd, tokens)
        for row in cursor.execute(query, (session_id,))
    )
    return [
        (_NOTE, [(started, each.uncounted_cost_usd, each.uncounted_tokens, session_id)])
        for each in accounts
    ]


def told_by(results: Iterable[RunResult], counted: Container[int]) -> tuple[float, int]:
    """Add up what agents say that they spent otherwise than by calls that were counted then.

    Args:
        results: Attempts that are about to be saved, each once.
        counted: The positions of those whose answer is saved already.

    Returns:
        US dollars and tokens.
    """
    amounts: dict[str, int | float] = dict.fromkeys(AMOUNTS, 0.0)
    for result in results:
        metrics = result.metrics
        if _CALLED not in metrics and result.spec.position not in counted:
            for name in AMOUNTS:
                if value := metrics.get(name):  # most agents that call no model say 0
                    amounts[name] += amount_of(value)

    return amounts["cost_usd"], int(amounts["input_tokens"] + amounts["output_tokens"])

"""The waterfall: a run's attempts on one clock, what each part took, and the waits between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from penstock._base.json import decode
from penstock.page.view import ATTEMPTS, TITLE

__all__ = ["attempt_items", "mapping_of", "seconds_told"]


def attempt_items(rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Any]]:
    """Yield attempts on one clock: what each part of one took, and the waits between them."""
    attempts = []
    for row in rows:
        metrics = mapping_of(row["metrics"])
        provider = _s(metrics, "provider_s")
        parts = {
            "gate": _s(metrics, "queued_s"),
            "provider": provider,
            "agent": max(0.0, row["latency_s"] - provider),
            "judge": _s(metrics, "judge_queued_s") + _s(metrics, "judge_provider_s"),
        }
        if len(rows) == 1 and not any(took for part, took in parts.items() if part != "agent"):
            return  # there is nothing to tell apart

        attempts.append((row, _seconds_between(rows[0]["started_at"], row["started_at"]), parts))

    end = max((start + sum(parts.values()) for _, start, parts in attempts), default=0) or 1e-6
    if attempts:
        yield [TITLE, "Attempts" if len(attempts) > 1 else "Where its time went"]
        yield [ATTEMPTS, *(_on_one_clock(*each, end) for each in attempts)]


def _on_one_clock(
    row: Mapping[str, Any], start: float, parts: Mapping[str, float], end: float
) -> list[Any]:
    pieces, at = [], start
    for part, took in parts.items():
        if round(took, 3):
            pieces.append([part, round(100 * at / end, 1), round(100 * took / end, 1)])
            at += took

    times = (f"{part} {seconds_told(took)}" for part, took in parts.items() if round(took, 3))
    told = " \u00b7 ".join([row["error_kind"] or row["status"], *times])
    return [row["number"], told, *pieces]


def seconds_told(value: float) -> str:
    """Write a number of seconds."""
    return f"{value:.1f} s" if value >= 1 else f"{value:.3f} s"


def mapping_of(text: str | None) -> dict[str, Any]:
    """Read JSON that should be a mapping; anything else is an empty one."""
    value = decode(text) if text else None
    return value if isinstance(value, dict) else {}


def _s(metrics: Mapping[str, Any], name: str) -> float:
    value = metrics.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _seconds_between(first: str, then: str) -> float:
    between = datetime.fromisoformat(then) - datetime.fromisoformat(first)
    return max(0.0, between.total_seconds())

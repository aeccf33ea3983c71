"""Runs that a provider has refused for good: they are asked again where their request has changed.

A bad request, a prompt that is too long, a filter or a refusal would come to the same again, and
every session would ask, wait and perhaps pay for it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from penstock._base.json import decode
from penstock.models.model_errors import REFUSED_REQUEST
from penstock.planning.plan import Plan, RunSpec
from penstock.running.binding import Bindings
from penstock.store.reader import StoreReader
from penstock.study.conditions import Condition
from penstock.study.problem import Problem

__all__ = ["Foretold", "Refused", "find_refused", "refused_in_last_session"]

_REFUSED = (
    "final AND position IS NOT NULL AND status = 'failed' "
    f"AND instr(provenance, '\"{REFUSED_REQUEST}\"')"
)
_FOUND = f"SELECT id, position, number, error_kind, provenance FROM attempt WHERE {_REFUSED}"  # noqa: S608 - our own words
_IN_LAST_SESSION = (
    f"SELECT count(*) FROM attempt WHERE {_REFUSED} "  # noqa: S608 - our own words
    "AND session_id = (SELECT max(id) FROM session)"
)


@runtime_checkable
class Foretold(Protocol):
    """An agent whose request is known before it is sent."""

    def digest_of(
        self, spec: RunSpec, problem: Problem, condition: Condition, attempt: int
    ) -> str | None:
        """Return what tells a run's request from others; None where it cannot be made."""
        ...


class Refused(NamedTuple):
    """What earlier sessions were refused for good."""

    same: Mapping[int, str]
    """Position -> the class of the error, where the request is what it was."""

    changed: int
    """How many runs were, and have another request now."""

    is_asked_again: bool
    """Whether they are asked all the same."""

    def told(self) -> tuple[str, ...]:
        """Say how many are asked again, and how many are not."""
        total, also = len(self.same), f"{self.changed:,} whose request has changed"
        if not total:
            return (
                (f"runs refused for good before are asked again: {also}",) if self.changed else ()
            )

        kinds = ", ".join(f"{n:,} {kind}" for kind, n in Counter(self.same.values()).items())
        if self.is_asked_again:
            return (f"{total + self.changed:,} runs refused for good before are asked again",)

        said = (
            f"{total:,} runs were refused for good by their provider ({kinds}) and are not asked "
            "again, for their requests are the same: --retry-failed (in Python retry_failed=True) "
            f"asks them; {also} are asked again"
        )
        return (said,)


def find_refused(
    connection: sqlite3.Connection,
    plan: Plan,
    bindings: Bindings,
    *,
    retry_failed: bool,
    moved: Mapping[int, int | None] | None = None,
) -> Refused:
    """Find the runs of a plan that were refused for good, and whether they would be again.

    Args:
        connection: The store.
        plan: The plan of today.
        bindings: What its names stand for.
        retry_failed: Whether they are asked all the same.
        moved: Where the plan is another than that of the session before: attempt -> its position
            in it, where it has another.
    """
    same: dict[int, str] = {}
    changed = 0
    for attempt_id, stored, number, kind, provenance in connection.execute(_FOUND).fetchall():
        position = (moved or {}).get(attempt_id, stored)
        if position is None:
            continue

        now = _digest(plan, bindings, position, number + 1)
        if now == decode(provenance)[REFUSED_REQUEST]:
            same[position] = kind
        else:
            changed += 1

    return Refused(same, changed, retry_failed)


def _digest(plan: Plan, bindings: Bindings, position: int, attempt: int) -> str | None:
    agents: Mapping[str, Any] = bindings.agents
    spec = plan.at(position)
    agent, problem = agents.get(spec.agent_id), bindings.problems.get(spec.problem_id)
    if problem is None or not isinstance(agent, Foretold):
        return None

    return agent.digest_of(spec, problem, plan.condition_of(spec), attempt)


def refused_in_last_session(store: StoreReader) -> int:
    """Count the runs that the last session was refused for good.

    Args:
        store: The study's store.
    """
    ((count,),) = store.table(_IN_LAST_SESSION)
    return int(count)

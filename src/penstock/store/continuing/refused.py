"""Runs that a provider has refused for good: they are asked again where their request has changed.

A bad request, a prompt that is too long, a filter or a refusal would come to the same again, and
every session would ask, wait and perhaps pay for it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from penstock._base.json import decode
from penstock.models.model_errors import FOR_GOOD, REFUSED_REQUEST
from penstock.planning.plan import Plan, RunSpec
from penstock.running.binding import Bindings
from penstock.store.ended_runs import FAILED
from penstock.store.reader import StoreReader
from penstock.study.conditions import Condition
from penstock.study.problem import Problem

__all__ = ["Foretold", "Refused", "RefusedLately", "find_refused", "refused_in_last_session"]

_REFUSED = f"{FAILED} AND instr(provenance, '\"{REFUSED_REQUEST}\"')"
_FOUND = f"SELECT id, position, number, error_kind, provenance FROM attempt WHERE {_REFUSED}"  # noqa: S608 - our own words
_KINDS = ", ".join(f"'{kind}'" for kind in FOR_GOOD)
_REMEMBERED = (
    f"{FAILED} AND error_kind IN ({_KINDS}) AND NOT instr(provenance, '\"{REFUSED_REQUEST}\"')"
)
_OF_RUN = "FROM call WHERE call.run_id = attempt.run_id AND call.error_kind = attempt.error_kind"
_LAST = "(SELECT max(id) FROM session)"
_REMEMBERED_FOUND = (
    f"SELECT id, position FROM attempt WHERE {_REMEMBERED} "  # noqa: S608 - our own words
    f"AND EXISTS (SELECT 1 {_OF_RUN} AND digest IS NOT NULL)"
)
_IN_LAST_SESSION = f"""
SELECT count(*), coalesce(sum(is_again), 0) FROM (
    SELECT 0 AS is_again FROM attempt WHERE {_REFUSED} AND session_id = {_LAST}
    UNION ALL
    SELECT (SELECT max(is_replayed) {_OF_RUN} AND session_id = {_LAST}) FROM attempt
    WHERE {_REMEMBERED}
) WHERE is_again IS NOT NULL
"""  # noqa: S608 - our own words


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

    remembered: int = 0
    """How many runs were whose request is known only when it is made: those of agents in Python
    and of judges. They are made, and what they ask is compared."""

    def told(self) -> Iterator[str]:
        """Describe how many are asked again, and how many are not."""
        total, also = len(self.same), f"{self.changed:,} whose request has changed"
        everyone = total + self.changed + self.remembered
        if self.is_asked_again and everyone > self.changed:
            yield f"{everyone:,} runs refused for good before are asked again"
            return

        if self.remembered:
            yield (
                f"{self.remembered:,} runs whose agent in Python or whose judge was refused for "
                "good are made again, and a request that is the same is not sent: --retry-failed "
                "(in Python retry_failed=True) sends it"
            )

        if not total:
            if self.changed:
                yield f"runs refused for good before are asked again: {also}"

            return

        kinds = ", ".join(f"{n:,} {kind}" for kind, n in Counter(self.same.values()).items())
        yield (
            f"{total:,} runs were refused for good by their provider ({kinds}) and are not asked "
            "again, for their requests are the same: --retry-failed (in Python retry_failed=True) "
            f"asks them; {also} are asked again"
        )


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

    remembered = [
        attempt_id
        for attempt_id, position in connection.execute(_REMEMBERED_FOUND).fetchall()
        if (moved or {}).get(attempt_id, position) is not None
    ]
    return Refused(same, changed, retry_failed, len(remembered))


def _digest(plan: Plan, bindings: Bindings, position: int, attempt: int) -> str | None:
    agents: Mapping[str, Any] = bindings.agents
    spec = plan.at(position)
    agent, problem = agents.get(spec.agent_id), bindings.problems.get(spec.problem_id)
    if problem is None or not isinstance(agent, Foretold):
        return None

    return agent.digest_of(spec, problem, plan.condition_of(spec), attempt)


class RefusedLately(NamedTuple):
    """What the last session was refused for good."""

    runs: int
    """How many runs were."""

    unasked: int
    """How many of them asked what was refused before, and were not sent again."""


def refused_in_last_session(store: StoreReader) -> RefusedLately:
    """Count the runs that the last session was refused for good.

    Args:
        store: The study's store.
    """
    ((runs, unasked),) = store.table(_IN_LAST_SESSION)
    return RefusedLately(int(runs), int(unasked))

"""Kept answers to images whose files hold other images by now.

A prompt names an image by its path, and the path stays the same where the file is replaced. So the
images that a run would show now are held against those that it was asked about.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol, runtime_checkable

from penstock._base.json import decode
from penstock.models.calls.digests import digest_of_image
from penstock.models.prompts.images import ImageError, ImageFile
from penstock.planning.plan import Plan, RunSpec
from penstock.running.binding import Bindings
from penstock.study.conditions import Condition
from penstock.study.problem import Problem

__all__ = ["replaced_images"]

_MOST_RUNS = 2000
_MOST_NAMED = 5

# One run tells for all replicates of its condition and problem.
_KEPT = """
SELECT min(position), run_id, started_at FROM attempt
WHERE final AND position IS NOT NULL AND status = 'success' AND agent_id = ?
GROUP BY condition_id, problem_id ORDER BY 1
"""
_ASKED = """
SELECT messages FROM calls
WHERE run_id = ? AND role = 'agent' AND number = 1 AND messages IS NOT NULL
ORDER BY session_id DESC, attempt DESC LIMIT 1
"""


@runtime_checkable
class Shown(Protocol):
    """An agent that knows which files of images it would show."""

    @property
    def shows_images(self) -> bool:
        """Whether any of its runs may show one."""
        ...

    def images_of(
        self, spec: RunSpec, problem: Problem, condition: Condition
    ) -> tuple[ImageFile, ...]:
        """Return the files that it would show in a run."""
        ...


class _Kept(NamedTuple):
    position: int
    run_id: str
    started_at: str


def replaced_images(
    connection: sqlite3.Connection, plan: Plan, bindings: Bindings
) -> Iterator[str]:
    """Yield which images have been replaced since kept answers were given, in one sentence.

    Only files that have changed since are read. Of each agent up to 2,000 pairs of a condition and
    a problem are looked at, taken evenly.

    Args:
        connection: The store.
        plan: The plan of now.
        bindings: What takes part in it.
    """
    found: Counter[str] = Counter()
    agents: Mapping[str, Any] = bindings.agents
    for agent_id, agent in agents.items():
        if isinstance(agent, Shown) and agent.shows_images:
            rows = connection.execute(_KEPT, (agent_id,)).fetchall()
            for row in rows[:: 1 + len(rows) // _MOST_RUNS]:
                found.update(_replaced(connection, plan, bindings, agent, _Kept(*row)))

    if found:
        more = f" and {len(found) - _MOST_NAMED:,} more" if len(found) > _MOST_NAMED else ""
        told = ", ".join(sorted(found)[:_MOST_NAMED])
        yield (
            f"kept answers were given to other images than those of now: {told}{more}. They stay "
            "as they are, and what is missing is asked about the images of now. To ask all again, "
            "run with fresh (--fresh); to keep both, give the images of now other names"
        )


def _replaced(
    connection: sqlite3.Connection, plan: Plan, bindings: Bindings, agent: Shown, kept: _Kept
) -> Iterator[str]:
    """Yield the images of one run that are others now."""
    if kept.position >= len(plan):
        return

    spec = plan.at(kept.position)
    problem = bindings.problems.get(spec.problem_id)
    if spec.run_id != kept.run_id or problem is None:
        return  # the plan has moved, and the session will hold it at another position

    asked_at_s = datetime.fromisoformat(kept.started_at).timestamp()
    files = agent.images_of(spec, problem, plan.condition_of(spec))
    later = [each for each in files if each.changed_at_s > asked_at_s]
    if not later:
        return

    row = connection.execute(_ASKED, (kept.run_id,)).fetchone()
    known = set() if row is None else set(_digests(decode(row[0])))
    for each in later:
        if known and _digest_of(each) not in known:
            yield each.source


def _digest_of(file: ImageFile) -> str:
    try:
        return digest_of_image(file.url())
    except ImageError:
        return ""  # it can no longer be sent, so it is another


def _digests(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if part.get("type") == "image" and "digest" in part:
                yield part["digest"]

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
from penstock.evaluators.rules import RuledEvaluator
from penstock.models.calls.digests import digest_of_image
from penstock.models.prompts.images import ImageError, ImageFile, ImageFiles
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
WHERE run_id = ? AND evaluator_id IS ? AND messages IS NOT NULL
ORDER BY session_id DESC, attempt DESC, number LIMIT 1
"""

# What agents in Python have shown themselves; see `penstock.models.conversations.showing`.
_SHOWN = """
SELECT started_at, provenance -> '$.image_files' FROM attempt
WHERE final AND position IS NOT NULL AND status = 'success' AND position % ? = 0 AND agent_id = ?
"""


@runtime_checkable
class Shows(Protocol):
    """An agent or a judge that knows which files of images it would show."""

    @property
    def shows_images(self) -> bool:
        """Whether it may show one in any run."""
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
    evaluator_id: str | None
    """The judge that has shown them; None for the agent."""


def replaced_images(
    connection: sqlite3.Connection, plan: Plan, bindings: Bindings
) -> Iterator[str]:
    """Yield which images have been replaced since kept answers were given, in one sentence.

    Agents and judges are held to what they would show now, agents in Python to what they have
    shown. Only files that have changed since are read. Of each agent up to 2,000 pairs of a
    condition and a problem, or runs, are looked at, taken evenly.

    Args:
        connection: The store.
        plan: The plan of now.
        bindings: What takes part in it.
    """
    found: Counter[str] = Counter()
    judges = _judges(bindings)
    agents: Mapping[str, Any] = bindings.agents
    for agent_id, agent in agents.items():
        showing: list[tuple[str | None, Shows]] = list(judges)
        if isinstance(agent, Shows):
            showing += [(None, agent)] if agent.shows_images else []
        elif bindings.models:
            found.update(_shown_by_code(connection, plan, agent_id))

        rows = connection.execute(_KEPT, (agent_id,)).fetchall() if showing else []
        for row in rows[:: 1 + len(rows) // _MOST_RUNS]:
            for evaluator_id, shows in showing:
                kept = _Kept(row[0], row[1], row[2], evaluator_id)
                found.update(_replaced(connection, plan, bindings, shows, kept))

    if found:
        more = f" and {len(found) - _MOST_NAMED:,} more" if len(found) > _MOST_NAMED else ""
        told = ", ".join(sorted(found)[:_MOST_NAMED])
        yield (
            f"kept answers were given to other images than those of now: {told}{more}. They stay "
            "as they are, and what is missing is asked about the images of now. To ask all again, "
            "run with fresh (--fresh); to keep both, give the images of now other names"
        )


def _replaced(
    connection: sqlite3.Connection, plan: Plan, bindings: Bindings, shows: Shows, kept: _Kept
) -> Iterator[str]:
    """Yield the images of one run that are others now."""
    if kept.position >= len(plan):
        return

    spec = plan.at(kept.position)
    problem = bindings.problems.get(spec.problem_id)
    if spec.run_id != kept.run_id or problem is None:
        return  # the plan has moved, and the session will hold it at another position

    asked_at_s = datetime.fromisoformat(kept.started_at).timestamp()
    files = shows.images_of(spec, problem, plan.condition_of(spec))
    later = [each for each in files if each.changed_at_s > asked_at_s]
    if not later:
        return

    row = connection.execute(_ASKED, (kept.run_id, kept.evaluator_id)).fetchone()
    known = set() if row is None else set(_digests(decode(row[0])))
    for each in later:
        if known and _digest_of(each) not in known:
            yield each.source


def _judges(bindings: Bindings) -> list[tuple[str | None, Shows]]:
    """Return the judges that may show images, each once, with their names."""
    ruled = [
        each
        for evaluators in bindings.evaluators.values()
        for each in evaluators
        if isinstance(each, RuledEvaluator)
    ]
    found: dict[str, Any] = {each.rule.evaluator_id: each.evaluate for each in ruled}
    return [
        (name, each)
        for name, each in found.items()
        if isinstance(each, Shows) and each.shows_images
    ]


def _shown_by_code(connection: sqlite3.Connection, plan: Plan, agent_id: str) -> Iterator[str]:
    """Yield the images that an agent in Python has shown, and that are others now."""
    images = ImageFiles(plan.study.resolve)
    step = 1 + len(plan) // _MOST_RUNS
    for started_at, told in connection.execute(_SHOWN, (step, agent_id)):
        asked_at_s = datetime.fromisoformat(started_at).timestamp()
        for source, digest in decode(told or "{}").items():
            file = images.file(source)
            is_later = file is not None and file.changed_at_s > asked_at_s
            if file is not None and is_later and _digest_of(file) != digest:
                yield source


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

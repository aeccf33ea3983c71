"""Arms: what was compared, and what each is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from penstock._base.json import encode
from penstock.planning.plan import AGENT_FACTORS

__all__ = ["AGENT", "Arm", "are_compared", "arm_levels", "arm_names"]

AGENT = "agent"
"""The name of who answers, where several agents do: it is varied like a factor."""


class Arm(NamedTuple):
    """One combination of what was varied: a condition, and the agent where there are several."""

    name: str
    """Its levels, joined by dots; ``all`` where nothing was varied."""

    levels: Mapping[str, Any]
    condition_ids: tuple[str, ...]


def are_compared(agents: Sequence[str], assigned: Iterable[str]) -> bool:
    """Return whether agents are varied beside what a condition assigns: no factor names them."""
    return len(agents) > 1 and not any(name in AGENT_FACTORS for name in assigned)


def arm_levels(
    assigned: Mapping[str, Any], agent: str, agents: Sequence[str], apart: Sequence[str] = ()
) -> Mapping[str, Any]:
    """Return what makes an arm: the levels of a condition, and the agent where several answer.

    Args:
        assigned: The factors and blocks of the condition.
        agent: Who answers.
        agents: Who answers in the plan.
        apart: Factors that are not compared.
    """
    levels = {name: level for name, level in assigned.items() if name not in apart}
    return {**levels, AGENT: agent} if are_compared(agents, assigned) else levels


def arm_names(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what arms are called: their levels, joined by dots, or with their factors.

    ``gpt-4.1`` and 5 is not ``gpt-4`` and 1.5, so where dots do not tell arms apart each level
    stands beside its factor.
    """
    names = [".".join(str(level) for level in levels.values()) or "all" for levels in arms]
    if len(set(names)) == len(names):
        return names

    return [", ".join(f"{name}={encode(level)}" for name, level in each.items()) for each in arms]

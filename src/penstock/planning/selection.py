"""Which runs of a plan a session makes: all of them, a pilot, or those of some names.

What is chosen depends on the plan alone and not on what is done, so a session that is told the same
again makes nothing more: ``limit=20`` means twenty runs in all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice

from pydantic import Field

from penstock._base.fact import Fact
from penstock._base.suggestions import did_you_mean
from penstock.errors import ValidationError
from penstock.planning.order import execution_order
from penstock.planning.plan import Cell, Plan
from penstock.study.policies import RunOrder

__all__ = ["Selection", "choose", "to_make"]


class Selection(Fact):
    """Which runs a session makes; whatever is not said leaves none out.

    Args:
        agents: Names of agents.
        conditions: Ids of conditions, or what they hold: ``tone=warm``, or ``tone=warm,size=3``
            for both at once.
        problems: Ids of problems.
        first_problems: How many problems, the first of the plan, with all their conditions,
            agents and replicates.
        limit: How many runs in all, the first of the execution order. Where runs are started in
            blocks, the last block is made whole.
        is_answered: Only runs whose answer is kept and wants scoring, so that no agent is called.
    """

    agents: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    first_problems: int | None = Field(default=None, ge=1)
    limit: int | None = Field(default=None, ge=1)
    is_answered: bool = False

    @property
    def reason(self) -> str:
        """Why a session that made all of it stopped: by which of these."""
        return "limit" if self.limit or self.first_problems else "selection"


def choose(plan: Plan, selection: Selection) -> bytearray:
    """Mark the runs that a selection names: a byte for each position of the plan.

    Raises:
        ValidationError: it names what is not in the plan; each, and the likely meant one.
    """
    if selection == Selection(is_answered=selection.is_answered):
        return bytearray(b"\x01") * len(plan)

    if errors := list(_unknown(plan, selection)):
        raise ValidationError(errors)

    problems = set(selection.problems or plan.problems())
    if selection.first_problems is not None:
        problems.intersection_update(plan.problems()[: selection.first_problems])

    agents = set(selection.agents or plan.agents())
    chosen = bytearray()
    for cell in plan.cells:
        if not _holds(cell, selection.conditions):
            chosen += bytes(cell.size)
            continue

        once = bytes(
            agent in agents and problem in problems
            for agent in cell.agents
            for problem in cell.problems
        )
        chosen += once * cell.replicates

    return chosen if selection.limit is None else _first(plan, chosen, selection.limit)


def to_make(
    chosen: bytearray, done: bytearray, answered: Collection[int], selection: Selection
) -> bytearray:
    """Mark the runs that a session makes: those that are chosen and not done.

    Args:
        chosen: What `choose` gives.
        done: A byte for each position: whether its run is done.
        answered: Positions whose answer is kept and only wants scoring.
        selection: Whether only those are made.
    """
    made = bytearray(
        is_chosen and not is_done for is_chosen, is_done in zip(chosen, done, strict=True)
    )
    if selection.is_answered:
        only = bytearray(len(made))
        for position in answered:
            only[position] = made[position]

        return only

    return made


def _first(plan: Plan, chosen: bytearray, limit: int) -> bytearray:
    """Keep the first of the chosen runs, in the order in which they are started."""
    first = bytearray(len(chosen))
    order = (position for position in execution_order(plan) if chosen[position])
    last = -1
    for last in islice(order, limit):
        first[last] = 1

    if plan.study.run_order is RunOrder.BLOCKED and last >= 0:
        block = _block_of(plan, last)
        for position in order:
            if _block_of(plan, position) != block:
                break

            first[position] = 1

    return first


def _block_of(plan: Plan, position: int) -> tuple[str, int]:
    spec = plan.at(position)
    return spec.problem_id, spec.replicate


def _holds(cell: Cell, wanted: Iterable[str]) -> bool:
    """Return whether a condition is among those that are wanted, or none is named."""
    condition = cell.condition
    assigned = {**condition.factor_assignments, **condition.block_assignments}
    pairs = {f"{name}={value}" for name, value in assigned.items()}
    every = tuple(wanted)
    return not every or any(
        each == condition.condition_id or pairs.issuperset(each.split(",")) for each in every
    )


def _unknown(plan: Plan, selection: Selection) -> Iterator[str]:
    known: tuple[tuple[str, tuple[str, ...], Callable[[], list[str]]], ...] = (
        ("agent", selection.agents, plan.agents),
        ("problem", selection.problems, plan.problems),
    )
    for kind, names, of_plan in known:
        there = of_plan() if names else []
        for name in (each for each in names if each not in there):
            hint = did_you_mean(name, there, f"; it has: {', '.join(there[:12])}")
            yield f"no {kind} of the plan is named {name!r}{hint}"

    for name in selection.conditions:
        if not any(_holds(cell, [name]) for cell in plan.cells):
            yield (
                f"no condition of the plan is {name!r}; give an id, as `penstock plan` shows them, "
                "or what it holds: factor=value, or several with commas between them"
            )

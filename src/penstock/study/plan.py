"""The plan: every run a study asks for, made when it is asked for.

A position in the plan is a mixed-radix number (condition, replicate, agent, problem), the last
digit fastest, so any run can be made from its position and nothing holds the whole plan.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple, overload

from penstock.errors import ValidationError
from penstock.study.conditions import Condition
from penstock.study.designs import build_design
from penstock.study.fact import Fact
from penstock.study.identity import paired_seed, run_id, run_seed
from penstock.study.model import Study
from penstock.study.policies import SeedPolicy, SeedStrategy

__all__ = ["Cell", "Plan", "RunSpec", "plan"]

AGENT_FACTORS = ("agent_id", "agent", "agent_spec")
PROBLEM_FACTORS = ("problem_id", "problem")


class RunSpec(Fact):
    """One planned run: condition x agent x problem x replicate.

    Args:
        position: Its place in the plan, from 0.
        replicate: Which repetition, from 1.
        seed: The run's own seed, in [0, 2**31 - 1).
        condition_fingerprint: The condition's assignments as canonical JSON.
    """

    position: int
    run_id: str
    study_id: str
    condition_id: str
    problem_id: str
    agent_id: str
    replicate: int
    seed: int
    condition_fingerprint: str = ""

    @property
    def agent_spec_ref(self) -> str:
        """The agent's name in the study."""
        return self.agent_id

    @property
    def problem_spec_ref(self) -> str:
        """The problem's name in the study."""
        return self.problem_id

    @property
    def execution_metadata(self) -> dict[str, Any]:
        """What the run is made of, as a mapping."""
        return {
            "agent_id": self.agent_id,
            "problem_id": self.problem_id,
            "condition_fingerprint": self.condition_fingerprint,
        }


class Cell(NamedTuple):
    """The part of the plan that belongs to one condition."""

    condition: Condition
    agents: tuple[str, ...]
    problems: tuple[str, ...]
    replicates: int

    @property
    def size(self) -> int:
        """How many runs the condition gets."""
        return self.replicates * len(self.agents) * len(self.problems)


class Plan(Sequence[RunSpec]):
    """Every run of a study in plan order: a sequence whose items are made when asked for.

    Plan order is condition by condition, then replicate, agent and problem.
    """

    def __init__(self, study: Study, conditions: Sequence[Condition]) -> None:
        self.study = study
        self.conditions = tuple(conditions)
        self.cells = tuple(
            Cell(
                condition,
                _taking_part(condition, AGENT_FACTORS, study.agent_specs) or ("default-agent",),
                _taking_part(condition, PROBLEM_FACTORS, study.problem_ids) or ("default-problem",),
                study.run_budget.replicates * condition.replicates,
            )
            for condition in conditions
            if condition.admissible
        )
        self.starts = (0, *accumulate(cell.size for cell in self.cells))
        self._seed = _seed_function(study.seed_policy)

    def __len__(self) -> int:
        return self.starts[-1]

    def __iter__(self) -> Iterator[RunSpec]:
        return map(self.at, range(len(self)))

    @overload
    def __getitem__(self, index: int) -> RunSpec: ...
    @overload
    def __getitem__(self, index: slice) -> list[RunSpec]: ...
    def __getitem__(self, index: int | slice) -> RunSpec | list[RunSpec]:
        positions = range(len(self))[index]
        return (
            [self.at(i) for i in positions] if isinstance(positions, range) else self.at(positions)
        )

    def at(self, position: int) -> RunSpec:
        """Make the run at a position of the plan."""
        index = bisect_right(self.starts, position) - 1
        condition, agents, problems, _ = self.cells[index]
        rest, problem = divmod(position - self.starts[index], len(problems))
        replicate, agent = divmod(rest, len(agents))
        run: dict[str, Any] = {
            "study_id": self.study.study_id,
            "condition_id": condition.condition_id,
            "replicate": replicate + 1,
            "agent_id": agents[agent],
            "problem_id": problems[problem],
        }
        return RunSpec(
            position=position,
            run_id=run_id(**run),
            seed=self._seed(**run),
            condition_fingerprint=condition.fingerprint,
            **run,
        )

    def condition_of(self, spec: RunSpec) -> Condition:
        """Give the condition of one of this plan's runs."""
        return self.cells[bisect_right(self.starts, spec.position) - 1].condition

    def agents(self) -> list[str]:
        """List every agent that takes part, first seen first."""
        return list(dict.fromkeys(agent for cell in self.cells for agent in cell.agents))

    def problems(self) -> list[str]:
        """List every problem that takes part, first seen first."""
        by_cell = dict.fromkeys(cell.problems for cell in self.cells)
        return list(dict.fromkeys(problem for problems in by_cell for problem in problems))


def plan(study: Study, conditions: Sequence[Condition] | None = None) -> Plan:
    """Plan a study: a lazy sequence of runs, the same for the same study.

    Args:
        study: The declared study.
        conditions: Conditions to use in place of those the study's design makes.

    Raises:
        ValidationError: the design cannot be built, or the plan holds no run or too many.
    """
    made = Plan(study, build_design(study) if conditions is None else conditions)
    if not made.cells:
        raise ValidationError(["No admissible conditions are available to execute."])

    max_runs = study.run_budget.max_runs
    if max_runs is not None and len(made) > max_runs:
        excess = f"Planned runs ({len(made)}) exceed run budget max_runs ({max_runs})"
        advice = "raise it, or plan fewer conditions, agents, problems or replicates."
        raise ValidationError([f"{excess}; {advice}"])

    return made


def _seed_function(policy: SeedPolicy) -> Callable[..., int]:
    hashed: dict[str, Any] = {
        "base_seed": policy.base_seed,
        "per_run_offset": policy.per_run_offset,
    }
    if policy.strategy is SeedStrategy.PAIRED:
        return partial(paired_seed, **hashed)

    return partial(run_seed, strategy=policy.strategy.value, **hashed)


def _taking_part(
    condition: Condition, factors: tuple[str, ...], declared: tuple[str, ...]
) -> tuple[str, ...]:
    assignments: Mapping[str, Any] = condition.factor_assignments
    for factor in factors:
        if factor in assignments:
            return (str(assignments[factor]),)

    return declared

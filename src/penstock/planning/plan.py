"""The plan: every run a study asks for, made when it is asked for.

A position in the plan is a mixed-radix number (condition, replicate, agent, problem), the last
digit fastest, so any run can be made from its position and nothing holds the whole plan.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple, overload

from penstock._base.fact import unchecked
from penstock._base.html import html_block, html_table
from penstock.designs import build_design
from penstock.errors import ValidationError
from penstock.planning.run_spec import RunSpec
from penstock.study.conditions import Condition
from penstock.study.given import refuse_other_conditions, refuse_other_study
from penstock.study.identity import paired_seed, run_id, run_numbers, run_seed
from penstock.study.model import Study
from penstock.study.policies import SeedPolicy, SeedStrategy

__all__ = ["COMPARED_AT_ONCE", "MOST_RUNS", "Cell", "Plan", "RunSpec", "plan", "refuse_collisions"]

MOST_RUNS = 1_000_000_000
"""What is kept of each run in memory, a few bytes, is a few gigabytes then."""

COMPARED_AT_ONCE = 2**16
"""The ids of a plan of up to so many runs are compared when it is made, those of a larger one
before its first session."""

AGENT_FACTORS = ("agent_id", "agent", "agent_spec")
PROBLEM_FACTORS = ("problem_id", "problem")


_planned = unchecked(RunSpec)


class Cell(NamedTuple):
    """The part of the plan that belongs to one condition."""

    condition: Condition
    agents: tuple[str, ...]
    problems: tuple[str, ...]
    replicates: int
    fingerprint: str
    """The condition's, which is written once and not for every run."""

    @property
    def size(self) -> int:
        """How many runs the condition gets."""
        return self.replicates * len(self.agents) * len(self.problems)


class Plan(Sequence[RunSpec]):
    """Every run of a study in plan order: a sequence whose items are made when asked for.

    Plan order is condition by condition, then replicate, agent and problem. Where a condition
    runner does the runs (``standalone``), agent and problem are null in ids and seeds.
    """

    def __init__(
        self, study: Study, conditions: Sequence[Condition], *, standalone: bool = False
    ) -> None:
        self.study = study
        self.conditions = tuple(conditions)
        self.cells = tuple(
            Cell(
                condition,
                *(_NOBODY if standalone else _who_and_what(study, condition)),
                study.replicates * condition.replicates,
                condition.fingerprint,
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

    def _repr_html_(self) -> str:
        title = f"{self.study.study_id}: {len(self):,} runs planned"
        rows = [
            (cell.condition.condition_id, _levels(cell.condition), f"{cell.size:,}")
            for cell in self.cells
        ]
        return html_block(title, html_table(("condition", "levels", "runs"), rows))

    def at(self, position: int) -> RunSpec:
        """Make the run at a position of the plan."""
        index = bisect_right(self.starts, position) - 1
        condition, agents, problems, _, fingerprint = self.cells[index]
        rest, problem = divmod(position - self.starts[index], len(problems))
        replicate, agent = divmod(rest, len(agents))
        study_id, condition_id = self.study.study_id, condition.condition_id
        agent_id, problem_id = agents[agent], problems[problem]
        hashed = (study_id, condition_id, replicate + 1, agent_id or None, problem_id or None)
        return _planned(
            position=position,
            run_id=run_id(*hashed),
            study_id=study_id,
            condition_id=condition_id,
            problem_id=problem_id,
            agent_id=agent_id,
            replicate=replicate + 1,
            seed=self._seed(*hashed),
            condition_fingerprint=fingerprint,
        )

    def condition_of(self, spec: RunSpec) -> Condition:
        """Return the condition of one of this plan's runs."""
        return self.cells[bisect_right(self.starts, spec.position) - 1].condition

    def seed_of(
        self, condition_id: str, replicate: int, agent_id: str, problem_id: str
    ) -> int | None:
        """Return the seed of a run, in the plan or not; None where seeds are not derived."""
        who = (agent_id or None, problem_id or None)
        return self._seed(self.study.study_id, condition_id, replicate, *who)

    def agents(self) -> list[str]:
        """List every agent that takes part, first seen first."""
        return list(dict.fromkeys(agent for cell in self.cells for agent in cell.agents))

    def problems(self) -> list[str]:
        """List every problem that takes part, first seen first."""
        by_cell = dict.fromkeys(cell.problems for cell in self.cells)
        return list(dict.fromkeys(problem for problems in by_cell for problem in problems))


def _levels(condition: Condition) -> str:
    assigned = {**condition.factor_assignments, **condition.block_assignments}
    return ", ".join(f"{name}={value}" for name, value in assigned.items())


def plan(
    study: Study, conditions: Sequence[Condition] | None = None, *, standalone: bool = False
) -> Plan:
    """Plan a study: a lazy sequence of runs, the same for the same study.

    Args:
        study: The declared study.
        conditions: Conditions to use in place of those the study's design makes.
        standalone: Plan one run for each condition and replicate, without agents and problems.

    Raises:
        ValidationError: the design cannot be built, the plan holds no run or too many, or two
            runs could not be told apart.
    """
    refuse_other_study(study)
    if conditions is not None:
        refuse_other_conditions(conditions)

    given = build_design(study) if conditions is None else conditions
    made = Plan(study, given, standalone=standalone)
    if not made.cells:
        raise ValidationError(["No admissible conditions are available to execute."])

    runs, max_runs = made.starts[-1], study.max_runs
    advice = "plan fewer conditions, agents, problems or replicates."
    if max_runs is not None and runs > max_runs:
        excess = f"Planned runs ({runs}) exceed run budget max_runs ({max_runs})"
        raise ValidationError([f"{excess}; raise it, or {advice}"])

    if runs > MOST_RUNS:
        excess = f"Planned runs ({runs:,}) exceed {MOST_RUNS:,}, the most that a study may have"
        raise ValidationError([f"{excess}; {advice}"])

    if errors := list(_indistinct(made)):
        raise ValidationError(errors)

    if len(made) <= COMPARED_AT_ONCE:
        refuse_collisions(made)

    return made


def _indistinct(made: Plan) -> Iterator[str]:
    """List what is in a plan twice, and what the formula of seeds cannot tell apart."""
    for name in _repeated(condition.condition_id for condition in made.conditions):
        yield f"Two conditions have the id {name!r}; each condition is given once."

    study = made.study
    for kind, names in (("agent_specs", study.agent_specs), ("problem_ids", study.problem_ids)):
        for name in _repeated(names):
            yield f"Duplicate {kind} name detected: '{name}'."

    if study.seed_policy.strategy is SeedStrategy.CONDITION_REPLICATE:
        # Thousands of cells may share one list of agents and one of problems.
        lists = {(id(cell.agents), id(cell.problems)): cell for cell in made.cells}
        for cell in lists.values():
            yield from _shared_seeds(cell.agents, cell.problems)


def _shared_seeds(agents: Sequence[str], problems: Sequence[str]) -> Iterator[str]:
    """List names whose colons make two runs share a seed, which is made from ``agent:problem``."""
    for agent, other in _prefixes(agents):
        rest = agent.removeprefix(f"{other}:")
        for problem in problems if other in agents else ():
            if f"{rest}:{problem}" in problems:
                yield (
                    f"Agent '{agent}' with problem '{problem}' would have the seed of agent "
                    f"'{other}' with problem '{rest}:{problem}'; rename one of them."
                )


def _prefixes(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        yield from ((name, name[:place]) for place, sign in enumerate(name) if sign == ":")


def refuse_collisions(made: Plan) -> None:
    """Find different runs under one id: 48 bits of a hash may be the same by chance.

    It takes half a microsecond and eight bytes for each run.

    Raises:
        ValidationError: there are some; it names them.
    """
    import numpy as np  # noqa: PLC0415 - 80 ms that `--help` need not wait

    ids = np.fromiter(_run_numbers(made), np.uint64, len(made))
    ids.sort()
    shared = {int(number) for number in ids[1:][ids[1:] == ids[:-1]]}
    if not shared:
        return

    raise ValidationError(
        [
            f"Two runs have the id {spec.run_id} by chance: one is replicate {spec.replicate} of "
            f"{spec.condition_id} with agent {spec.agent_id!r} and problem {spec.problem_id!r}; "
            "choose another study_id."
            for spec in made
            if int(spec.run_id[4:], 16) in shared
        ]
    )


def _run_numbers(made: Plan) -> Iterator[int]:
    """Yield the ids of all runs as whole numbers, in any order."""
    study_id = made.study.study_id
    for condition, agents, problems, replicates, _ in made.cells:
        for agent in agents:
            for problem in problems:
                who = (agent or None, problem or None)
                yield from run_numbers(study_id, condition.condition_id, replicates, *who)


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _seed_function(policy: SeedPolicy) -> Callable[..., int]:
    hashed: dict[str, Any] = {
        "base_seed": policy.base_seed,
        "per_run_offset": policy.per_run_offset,
    }
    if policy.strategy is SeedStrategy.PAIRED:
        return partial(paired_seed, **hashed)

    return partial(run_seed, strategy=policy.strategy.value, **hashed)


_NOBODY = (("",), ("",))
"""The agents and problems of a run that has neither."""


def _who_and_what(study: Study, condition: Condition) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        _taking_part(condition, AGENT_FACTORS, study.agent_specs) or ("default-agent",),
        _taking_part(condition, PROBLEM_FACTORS, study.problem_ids) or ("default-problem",),
    )


def _taking_part(
    condition: Condition, factors: tuple[str, ...], declared: tuple[str, ...]
) -> tuple[str, ...]:
    assignments: Mapping[str, Any] = condition.factor_assignments
    for factor in factors:
        if factor in assignments:
            return (str(assignments[factor]),)

    return declared

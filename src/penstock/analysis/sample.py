"""The sample: the values of one outcome, arranged by what was varied and by problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from penstock._base.fact import EMPTY
from penstock._base.json import encode
from penstock.analysis.arms import AGENT, Arm, are_compared, arm_levels, arm_names

__all__ = [
    "ALL_RUNS",
    "WITHIN_PROBLEMS",
    "Chosen",
    "Floats",
    "Run",
    "Sample",
    "Weights",
    "arrange",
    "weighted",
]

_LARGEST = 1e75
_ROUNDING = 1e-14
"""What sums of so many parts of a value are off by."""

Floats = npt.NDArray[np.float64]

Weights = Mapping[int, float]
"""Arm -> its weight in a contrast; those above 0 are the left side, those below the right one."""

WITHIN_PROBLEMS = "replicate within problem"
"""The unit where nothing is said of other problems than those that were run."""


class Chosen(NamedTuple):
    """Which runs an analysis plan looks at, where its filters leave some out."""

    told: str = ""
    sql: str = ""
    """The same as a condition on a row of the view ``runs``."""

    share_of_problems: float = 1.0


ALL_RUNS = Chosen()


class Run(NamedTuple):
    """One planned run as the analysis sees it."""

    arm: int
    problem: str
    replicate: int
    status: str | None
    """How it ended; None while it has no result."""

    value: Any
    """What the outcome came to: a number, a text, or None where it was not scored."""

    started_order: int | None = None
    error: str | None = None
    """Why it has no value: the class of what it failed with."""

    covariates: Mapping[str, tuple[str, Any]] = EMPTY
    """What it is adjusted for -> where that stands, and its value."""


class Sample:
    """The runs of a study with the values of one outcome.

    Args:
        arms: What was compared, in the order of the design.
        problems: The problems, in the order of the plan.
        runs: Every planned run. Where some values are numbers, a text is none, and said to be.
        is_of_these_problems: Whether these problems are meant and no others. Else they are what is
            generalised over; where there is one problem only, or none, it is its replicates.
        called: Factor -> what its levels may be called beside what is shown of them -> that.
        value_sql: What gives the outcome's value of a row of the view ``runs``; empty where the
            runs come from no store.
        compares_agents: Whether agents are among what was varied.
        chosen: Which runs these are, where they are not all.
    """

    def __init__(
        self,
        arms: Sequence[Arm],
        problems: Sequence[str],
        runs: Sequence[Run],
        *,
        is_of_these_problems: bool = False,
        called: Mapping[str, Mapping[str, Any]] = EMPTY,
        value_sql: str = "",
        compares_agents: bool = False,
        chosen: Chosen = ALL_RUNS,
    ) -> None:
        self.chosen = chosen
        self._called = called
        self._compares_agents = compares_agents
        self.value_sql = value_sql
        self.arms = tuple(arms)
        self.problems = tuple(problems)
        self.runs = _of_one_kind(runs)
        self.texts = sorted({run.value for run in self.runs if isinstance(run.value, str)})
        self.covariates = tuple(self.runs[0].covariates) if self.runs else ()
        self._scored = _scored(self.runs, len(arms), self.problems)
        self._cells = [
            [np.array([float(run.value) for run in cell]) for cell in cells]
            for cells in self._scored
        ]
        self.unit = "problem" if len(self.problems) > 1 else "replicate"
        if is_of_these_problems and self.unit == "problem":
            self.unit = WITHIN_PROBLEMS

    @property
    def is_binary(self) -> bool:
        """Whether every scored value is 0 or 1, and there is one."""
        values = self.values()
        return bool(len(values)) and bool(np.isin(values, (0.0, 1.0)).all())

    @property
    def is_single_shot(self) -> bool:
        """Whether no problem was scored twice in an arm."""
        return all(len(cell) <= 1 for cells in self._cells for cell in cells)

    def values(self, arm: int | None = None) -> Floats:
        """Return all scored numbers, of one arm or of all."""
        chosen = self._cells if arm is None else [self._cells[arm]]
        cells = [cell for each in chosen for cell in each]
        return np.concatenate(cells) if cells else np.empty(0)

    def cell(self, arm: int, problem: int) -> Floats:
        """Return the scored values of one problem in one arm."""
        return self._cells[arm][problem]

    def scored(self, arm: int, problem: int) -> Sequence[Run]:
        """Return the scored runs of one problem in one arm, in the order of `cell`."""
        return self._scored[arm][problem]

    def means(self, arm: int) -> Floats:
        """Return a value for each unit, shape (units,): not a number where none was scored.

        Where the problem is the unit it is the mean of the problem's scored runs, so that every
        problem weighs the same, however many of its runs were scored.
        """
        if self.unit == "replicate":
            return self.values(arm)

        return np.array([cell.mean() if len(cell) else np.nan for cell in self._cells[arm]])

    def level_of(self, arm: int, factor: str) -> Any:
        """Return an arm's level of a factor; None where it has none."""
        return self.arms[arm].levels.get(factor)

    def agent_of(self, arm: int) -> str | None:
        """Return who answers in an arm; None where one agent does in all of them."""
        agent = self.level_of(arm, AGENT) if self._compares_agents else None
        return None if agent is None else str(agent)

    def level_called(self, factor: str, text: str) -> Any | None:
        """Return the level of a factor that was run and that a text names; None for none."""
        levels = self.factors().get(factor, [])
        shown = {str(level): level for level in levels}
        named = self._called.get(factor, EMPTY).get(text)
        return named if named in levels else shown.get(text)

    def factors(self) -> dict[str, list[Any]]:
        """Return what was varied: each factor with its levels, in the order of the design."""
        found: dict[str, list[Any]] = {}
        for arm in self.arms:
            for name, level in arm.levels.items():
                if level not in found.setdefault(name, []):
                    found[name].append(level)

        return {name: levels for name, levels in found.items() if len(levels) > 1}


def _of_one_kind(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return runs whose values are numbers or texts: a text among numbers is not a value.

    Nor is a number so large that its fourth power is none, for degrees of freedom are made of
    those; where all are so small that theirs is 0, none is one.
    """
    numbers = [abs(run.value) for run in runs if isinstance(run.value, (int, float))]
    if not numbers:
        return tuple(runs)

    is_tiny = 0 < max(numbers) < 1 / _LARGEST
    return tuple(_valued(run, is_tiny=is_tiny) for run in runs)


def _valued(run: Run, *, is_tiny: bool) -> Run:
    value = run.value
    if isinstance(value, str):
        return run._replace(value=None, error=f"{value[:40]!r} is not a number")

    if value is not None and (is_tiny or abs(value) > _LARGEST):
        size = "small" if is_tiny else "large"
        return run._replace(value=None, error=f"a number too {size} to compute with")

    return run


def _scored(runs: Sequence[Run], arms: int, problems: Sequence[str]) -> list[list[list[Run]]]:
    place = {problem: at for at, problem in enumerate(problems)}
    found: list[list[list[Run]]] = [[[] for _ in problems] for _ in range(arms)]
    for run in sorted(runs, key=lambda run: run.replicate):
        if isinstance(run.value, (int, float)):
            found[run.arm][place[run.problem]].append(run)

    return found


def arrange(
    assignments: Mapping[str, Mapping[str, Any]],
    rows: Iterable[Mapping[str, Any]],
    *,
    apart: Sequence[str] = (),
    agents: Sequence[str] = (),
    is_of_these_problems: bool = False,
    called: Mapping[str, Mapping[str, Any]] = EMPTY,
    value_sql: str = "",
    chosen: Chosen = ALL_RUNS,
) -> Sample:
    """Arrange rows of runs into a sample.

    Args:
        assignments: Condition id -> its factors and blocks, in the order of the design.
        rows: Mappings with ``condition_id``, ``agent_id``, ``problem_id``, ``replicate``,
            ``status``, ``value``, and ``started_order``, ``error`` and ``covariates`` where they
            are known.
        apart: Factors that are not compared: those that choose the problem.
        agents: Who answers in the plan; those of the rows where not given.
        is_of_these_problems: Whether these problems are meant and no others.
        called: See `Sample`.
        value_sql: See `Sample`.
        chosen: See `Sample`.
    """
    rows = list(rows)
    agents = agents or list(dict.fromkeys(row["agent_id"] for row in rows))
    arms: dict[str, tuple[Mapping[str, Any], dict[str, None]]] = {}
    arm_of: dict[tuple[str, str], int] = {}
    for condition_id, assigned in assignments.items():
        for agent in agents:
            own = arm_levels(assigned, agent, agents, apart)
            _, ids = arms.setdefault(encode(own), (own, {}))
            ids[condition_id] = None
            arm_of[condition_id, agent] = list(arms).index(encode(own))

    taking_part = {arm_of[row["condition_id"], row["agent_id"]] for row in rows}
    kept = {old: new for new, old in enumerate(sorted(taking_part))}
    names = arm_names([levels for levels, _ in arms.values()])
    made = [
        Arm(name, levels, tuple(ids))
        for name, (levels, ids) in zip(names, arms.values(), strict=True)
    ]
    return Sample(
        [made[old] for old in kept],
        list(dict.fromkeys(row["problem_id"] for row in rows)),
        [
            Run(
                kept[arm_of[row["condition_id"], row["agent_id"]]],
                row["problem_id"],
                row["replicate"],
                row.get("status"),
                row.get("value"),
                row.get("started_order"),
                row.get("error"),
                row.get("covariates", EMPTY),
            )
            for row in rows
        ],
        is_of_these_problems=is_of_these_problems,
        called=called,
        value_sql=value_sql,
        compares_agents=any(are_compared(agents, each) for each in assignments.values()),
        chosen=chosen,
    )


def weighted(weights: Floats, means: Floats) -> Floats:
    """Return a weighted sum for each problem, 0 where rounding alone leaves something of it.

    Args:
        weights: A weight for each arm, shape (arms,).
        means: Shape (arms, problems).
    """
    sums: Floats = weights @ means
    sums[np.abs(sums) <= _ROUNDING * (np.abs(weights) @ np.abs(means))] = 0.0  # and not -0.0
    return sums

"""Runs that all fail alike: what an agent and model that never succeeds has left is not made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from penstock.planning.plan import Plan, RunSpec
from penstock.results import RunResult, RunStatus
from penstock.running.binding import Bindings
from penstock.study.conditions import Condition
from penstock.study.problem import Problem

__all__ = ["AlikeWatch", "Asked", "NamesModel"]

_LEAST_PROBLEMS = 3
"""What fails over fewer problems may fail because of them."""


@runtime_checkable
class NamesModel(Protocol):
    """An agent that knows which model a run asks; any other is watched as a whole."""

    @property
    def fixed_model(self) -> str | None:
        """The model's name, where it is the same in every run."""
        ...

    def model_of(self, spec: RunSpec, problem: Problem, condition: Condition) -> str | None:
        """Return the name of the model that a run asks; None where it cannot be told."""
        ...


class Asked(NamedTuple):
    """Who answers a run.

    Args:
        agent_id: The agent.
        model: The model that it asks, where it tells.
    """

    agent_id: str
    model: str | None = None

    def __str__(self) -> str:
        if not self.agent_id:
            return "the condition runner"

        model = "" if self.model is None else f" with model {self.model!r}"
        return f"agent {self.agent_id!r}{model}"


@dataclass(slots=True)
class _Course:
    """How the runs of an agent and model have gone in this session."""

    started: int = 0
    first: set[str] = field(default_factory=set)
    """The first runs that are under way: what fails may end sooner than what succeeds."""

    failed: int = 0
    kinds: set[str] = field(default_factory=set)
    problems: set[str] = field(default_factory=set)
    last: RunResult | None = None
    has_other: bool = False
    """Whether a run has ended otherwise."""

    is_left: bool = False
    """Whether a run of theirs was not made."""


class AlikeWatch:
    """Lets runs begin until the first of their agent and model have all failed with one class.

    Args:
        first: How many of them; 0 to let all runs begin.
        plan: The plan.
        bindings: What its names stand for.
        leave: Called with who is left and why, when the first run of theirs is not made.
        stop_for_good: Called with why, when nobody's runs are worth making.
    """

    def __init__(
        self,
        first: int,
        plan: Plan,
        bindings: Bindings,
        *,
        leave: Callable[[Asked, str], None],
        stop_for_good: Callable[[str], None],
    ) -> None:
        self._first = first
        self._plan = plan
        self._problems = bindings.problems
        self._known: dict[str, Asked] = {}
        self._varying: dict[str, NamesModel] = {}
        agents: Mapping[str, Any] = bindings.agents
        for name, agent in agents.items():
            model = agent.fixed_model if isinstance(agent, NamesModel) else None
            if isinstance(agent, NamesModel) and model is None:
                self._varying[name] = agent
            else:
                self._known[name] = Asked(name, model)

        self._least_problems = min(_LEAST_PROBLEMS, len(bindings.problems))
        self._leave = leave
        self._stop_for_good = stop_for_good
        self._courses: dict[Asked, _Course] = {}
        self._let_go: set[str] = set()  # agents of whom a run has ended otherwise
        self._under_way: dict[str, Asked] = {}

    def lets_begin(self, spec: RunSpec) -> bool:
        """Return whether a run, or another attempt at it, is to be made."""
        if not self._first or spec.agent_id in self._let_go:
            return True

        asked = self._under_way.get(spec.run_id) or self._asked(spec)
        course = self._course(asked)
        if self._is_hopeless(course):
            self._under_way.pop(spec.run_id, None)
            self._leave_once(asked, course)
            return False

        if spec.agent_id in self._varying:  # whose model a template tells
            self._under_way[spec.run_id] = asked

        if course.started < self._first:
            course.first.add(spec.run_id)

        course.started += 1
        return True

    def note(self, spec: RunSpec, result: RunResult | None) -> None:
        """Note how a run has ended; without a result where it was given up."""
        if not self._first or spec.agent_id in self._let_go:
            return

        asked = self._under_way.pop(spec.run_id, None) or self._asked(spec)
        course = self._course(asked)
        if course.has_other:
            return

        course.first.discard(spec.run_id)
        if result is None:
            return

        if result.status is not RunStatus.FAILED or result.error is None:
            course.has_other = True
            if spec.agent_id in self._known:
                self._let_go.add(spec.agent_id)
        elif not course.has_other:
            course.failed += 1
            course.kinds.add(result.error.kind)
            course.problems.add(spec.problem_id)
            course.last = result

    def conclude(self) -> None:
        """Stop for good, when no run is left to begin, where no agent's runs could be made."""
        if self._courses and all(course.is_left for course in self._courses.values()):
            self._stop_for_good(self._why_nobody())

    def _course(self, asked: Asked) -> _Course:
        course = self._courses.get(asked)
        if course is None:
            course = self._courses[asked] = _Course()

        return course

    def _asked(self, spec: RunSpec) -> Asked:
        agent = self._varying.get(spec.agent_id)
        if agent is None:
            return self._known[spec.agent_id]

        problem, condition = self._problems[spec.problem_id], self._plan.condition_of(spec)
        return Asked(spec.agent_id, agent.model_of(spec, problem, condition))

    def _is_hopeless(self, course: _Course) -> bool:
        return (
            course.failed >= self._first
            and not course.has_other
            and not course.first
            and len(course.kinds) == 1
            and len(course.problems) >= self._least_problems
        )

    def _leave_once(self, asked: Asked, course: _Course) -> None:
        if course.is_left:
            return

        course.is_left = True
        self._leave(asked, self._why(asked, course))
        hopeless = {each for each, seen in self._courses.items() if self._is_hopeless(seen)}
        if not self._varying and hopeless.issuperset(self._known.values()):
            self._stop_for_good(self._why_nobody())

    def _why(self, asked: Asked, course: _Course) -> str:
        last = course.last
        told = "" if last is None else f". The last one: {last.run_id}: {last.error}"
        return (
            f"the first {course.failed:,} runs of {asked} all failed with "
            f"{', '.join(course.kinds)}, and none succeeded; its other runs are left to a later "
            f"session (stop_alike={self._first}; 0 makes them all the same){told}"
        )

    def _why_nobody(self) -> str:
        return "; ".join(
            self._why(asked, course)
            for asked, course in self._courses.items()
            if self._is_hopeless(course)
        )

"""Binding a study to what it names: its agents, problems and evaluators, all before any run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import anyio

from penstock.agents import BoundAgent, bind_agent
from penstock.errors import BindingError, PenstockError, ValidationError
from penstock.evaluators import BoundEvaluator, bind_evaluator, built_in_evaluator
from penstock.siblings import find_agent, find_problem, where_else_agents, where_else_problems
from penstock.study.conditions import Condition
from penstock.study.model import Study
from penstock.study.plan import Plan, plan
from penstock.study.problem import Problem
from penstock.study.references import load_reference
from penstock.study.validation import declaration_errors

__all__ = ["Bindings", "bind_study", "plan_and_bind"]

Found = TypeVar("Found")


class Bindings(NamedTuple):
    """What a study's names stand for, ready to be called."""

    agents: Mapping[str, BoundAgent]
    problems: Mapping[str, Problem]
    evaluators: Mapping[str, tuple[BoundEvaluator, ...]]
    """The evaluators of each problem, the problem's own first."""


def plan_and_bind(
    study: Study,
    conditions: Sequence[Condition] | None = None,
    *,
    agents: Mapping[str, Any] | None = None,
    problems: Mapping[str, Any] | None = None,
    isolate_random: bool = True,
) -> tuple[Plan, Bindings]:
    """Plan a study and bind what it names.

    Raises:
        ValidationError: everything that is wrong with either, at once.
    """
    errors = declaration_errors(study)
    try:
        made = plan(study, conditions)
        bindings = bind_study(made, agents=agents, problems=problems, isolate_random=isolate_random)
    except ValidationError as error:
        raise ValidationError([*errors, *error.errors]) from error

    if errors:
        raise ValidationError(errors)

    return made, bindings


def bind_study(
    plan: Plan,
    *,
    agents: Mapping[str, Any] | None = None,
    problems: Mapping[str, Any] | None = None,
    isolate_random: bool = True,
) -> Bindings:
    """Bind every agent, problem and evaluator that a plan uses.

    Args:
        plan: The plan.
        agents: Agents by name; they come before those the study declares.
        problems: Problems by id; they come before those the study declares.
        isolate_random: Whether runs have global random generators of their own.

    Raises:
        ValidationError: everything that cannot be bound, at once.
    """
    study = plan.study
    errors: list[str] = []
    # The scheduler bounds runs in flight, and so threads: anyio's own bound of 40 must not.
    threads = anyio.CapacityLimiter(math.inf)
    processes = anyio.CapacityLimiter(os.cpu_count() or 1)

    def bound_agent(name: str) -> BoundAgent:
        target = _agent(study, agents or {}, name)
        return bind_agent(name, target, threads, processes, isolate_random=isolate_random)

    known = {**{problem.problem_id: problem for problem in study.problems}, **(problems or {})}
    found_problems = _gather(plan.problems(), lambda name: _problem(known, name), errors)
    bindings = Bindings(
        agents=_gather(plan.agents(), bound_agent, errors),
        problems=found_problems,
        evaluators=_evaluators(study, found_problems, errors),
    )
    if errors:
        raise ValidationError(errors)

    return bindings


def _gather(
    names: Iterable[str], find: Callable[[str], Found], errors: list[str]
) -> dict[str, Found]:
    """Find everything that is named; what cannot be found is an error each, not the first only."""
    found = {}
    for name in names:
        try:
            found[name] = find(name)
        except (PenstockError, ImportError, AttributeError) as error:
            errors.append(str(error))
        except Exception as error:  # noqa: BLE001 - importing a user's module may raise anything
            errors.append(f"{name!r} cannot be loaded: {type(error).__name__}: {error}")

    return found


def _agent(study: Study, bound: Mapping[str, Any], name: str) -> Any:
    if name in bound:
        return bound[name]

    declared = study.agents.get(name)
    if declared is None or declared.call is None:
        packaged = find_agent(name)
        if packaged is not None:
            return packaged

        known = ", ".join({**bound, **study.agents}) or "none"
        raise BindingError(
            f"no agent is named {name!r} (known: {known}); declare it under `agents:` or pass "
            f"agent_bindings={{{name!r}: ...}}; {where_else_agents()}"
        )

    try:
        return load_reference(declared.call, study.base_dir)
    except (ImportError, AttributeError) as error:
        raise BindingError(f"agent {name!r}: {error}") from error


def _problem(known: Mapping[str, Any], name: str) -> Problem:
    found = known.get(name)
    if isinstance(found, Problem):
        return found

    if isinstance(found, Mapping):
        return Problem(**{"problem_id": name, **found})

    if hasattr(found, "problem_id") and hasattr(found, "payload"):
        fields = {field: getattr(found, field, None) for field in Problem.model_fields}
        return Problem(**{field: value for field, value in fields.items() if value is not None})

    if name in known:
        raise BindingError(
            f"problem {name!r} is {found!r}; pass a Problem, or a mapping with the fields of one"
        )

    packaged = find_problem(name)
    if packaged is not None:
        return packaged

    if not known:
        return Problem(problem_id=name)  # the name says it all: agents know what it means

    raise BindingError(
        f"no problem is named {name!r}; declare it under `problems:` or pass "
        f"problem_registry={{{name!r}: Problem(...)}}; {where_else_problems()}"
    )


def _evaluators(
    study: Study, problems: Mapping[str, Problem], errors: list[str]
) -> dict[str, tuple[BoundEvaluator, ...]]:
    shared = _gather(study.evaluators, lambda name: _declared_evaluator(study, name), errors)
    return {
        name: (*own, *shared.values())
        for name, own in _gather(
            problems, lambda name: _own_evaluator(study, problems[name]), errors
        ).items()
    }


def _declared_evaluator(study: Study, name: str) -> BoundEvaluator:
    declared = study.evaluators[name]
    if declared.call is None:
        return built_in_evaluator(name, declared)

    try:
        return bind_evaluator(name, load_reference(declared.call, study.base_dir))
    except (ImportError, AttributeError) as error:
        raise BindingError(f"evaluator {name!r}: {error}") from error


def _own_evaluator(study: Study, problem: Problem) -> tuple[BoundEvaluator, ...]:
    evaluator = problem.evaluator
    if evaluator is None:
        return ()

    if isinstance(evaluator, str):
        evaluator = load_reference(evaluator, study.base_dir)

    return (bind_evaluator("problem_evaluator", evaluator),)

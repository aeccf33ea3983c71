"""Binding a study to what it names: its agents, problems and evaluators, all before any run."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import anyio

from penstock._base.extras import load_extra
from penstock._base.loop import calling_later
from penstock.agents.condition_runner import NO_PROBLEM, ConditionRunner, bind_condition_runner
from penstock.agents.shapes import BoundAgent, bind_agent
from penstock.errors import BindingError, PenstockError, ValidationError
from penstock.evaluators import BoundEvaluator, bind_evaluator, built_in_evaluator
from penstock.models.session import Resource, Session
from penstock.planning.estimability import estimability_errors
from penstock.planning.plan import AGENT_FACTORS, PROBLEM_FACTORS, Plan, plan
from penstock.planning.validation import declaration_errors
from penstock.running.problems import find_named_problem
from penstock.siblings import find_agent, where_else_agents
from penstock.study.chat import Budget
from penstock.study.conditions import Condition
from penstock.study.model import Study
from penstock.study.problem import Problem
from penstock.study.references import load_reference

if TYPE_CHECKING:
    from penstock.models.declared import DeclaredModels

__all__ = ["Bindings", "plan_and_bind"]

Found = TypeVar("Found")


class Bindings(NamedTuple):
    """What a study's names stand for, ready to be called."""

    agents: Mapping[str, BoundAgent]
    problems: Mapping[str, Problem]
    evaluators: Mapping[str, tuple[BoundEvaluator, ...]]
    """The evaluators of each problem, the problem's own first."""

    resources: tuple[Resource, ...] = ()
    """What agents and evaluators share, and what is open only while a session runs."""

    budget: Budget = Budget()

    @asynccontextmanager
    async def open(self, session: Session) -> AsyncIterator[None]:
        """Be ready to be called inside ``async with``; the session ends in time."""
        most_s = self.budget.max_duration_s
        async with AsyncExitStack() as stack:
            for resource in self.resources:
                await stack.enter_async_context(resource.open(session))

            if most_s is not None:
                said = (
                    f"budget.max_duration_s is exhausted: the session has taken {most_s:g} seconds"
                )
                stack.enter_context(calling_later(most_s, session.out_of_budget, said))

            yield


def plan_and_bind(
    study: Study,
    conditions: Sequence[Condition] | None = None,
    *,
    agents: Mapping[str, Any] | None = None,
    problems: Mapping[str, Any] | None = None,
    condition_runner: ConditionRunner | None = None,
    isolate_random: bool = True,
) -> tuple[Plan, Bindings]:
    """Plan a study and bind what it names, or the condition runner that takes its place.

    Args:
        study: The declared study.
        conditions: Conditions to use in place of those the study's design makes.
        agents: Agents by name; they come before those the study declares.
        problems: Problems by id; they come before those the study declares.
        condition_runner: Runs a condition as a whole, without agents and problems.
        isolate_random: Whether runs have global random generators of their own.

    Raises:
        ValidationError: everything that is wrong with either, at once.
    """
    standalone = condition_runner is not None
    errors = declaration_errors(study, standalone=standalone)
    made = None
    try:
        made = plan(study, conditions, standalone=standalone)
        errors += estimability_errors(study, made.conditions)
    except ValidationError as error:
        errors += error.errors

    if standalone:
        bindings = _bind_standalone(study, condition_runner, errors, isolate_random=isolate_random)
    else:
        bindings = _bind(
            study, made, errors, agents or {}, problems or {}, isolate_random=isolate_random
        )

    if errors or made is None:
        raise ValidationError(errors)

    return made, bindings


def _bind(
    study: Study,
    plan: Plan | None,
    errors: list[str],
    agents: Mapping[str, Any],
    problems: Mapping[str, Any],
    *,
    isolate_random: bool,
) -> Bindings:
    """Bind what a plan uses, or, where there is none, what the study says takes part."""
    # The scheduler bounds runs in flight, and so threads: anyio's own bound of 40 must not.
    threads = anyio.CapacityLimiter(math.inf)
    processes = anyio.CapacityLimiter(os.cpu_count() or 1)
    models = _models(study, errors)

    def bound_agent(name: str) -> BoundAgent:
        declared = study.agents.get(name)
        if declared and declared.chat and name not in agents:
            if models is None:
                raise ValidationError([])  # why, is told already

            return models.agent(name, declared.chat)

        target = _agent(study, agents, name)
        return bind_agent(name, target, threads, processes, isolate_random=isolate_random)

    known = {**{problem.problem_id: problem for problem in study.problems}, **problems}
    agent_names, problem_names = _taking_part(study, plan)
    found_problems = _gather(problem_names, lambda name: find_named_problem(known, name), errors)
    bindings = Bindings(
        agents=_gather(agent_names, bound_agent, errors),
        problems=found_problems,
        evaluators=_evaluators(study, found_problems, models, errors),
        resources=() if models is None else (models,),
        budget=study.budget,
    )
    if models is not None and plan is not None:
        errors += models.errors(plan, found_problems)

    return bindings


def _bind_standalone(
    study: Study, runner: Any, errors: list[str], *, isolate_random: bool
) -> Bindings:
    found = _gather(
        [""], lambda _: bind_condition_runner(runner, isolate_random=isolate_random), errors
    )
    return Bindings(found, {"": NO_PROBLEM}, {"": ()}, budget=study.budget)


def _models(study: Study, errors: list[str]) -> DeclaredModels | None:
    """Load what chat models need, where the study declares one."""
    declared = [f"agent {name!r}" for name, each in study.agents.items() if each.chat]
    declared += [f"evaluator {name!r}" for name, each in study.evaluators.items() if each.judge]
    if not declared:
        errors += [f"limits: {name!r} limits no chat model of this study" for name in study.limits]
        return None

    try:
        module = load_extra("penstock.models.declared", extra="models", what=declared[0])
    except ValidationError as error:
        errors += error.errors
        return None

    models: DeclaredModels = module.DeclaredModels(study)
    return models


def _taking_part(study: Study, plan: Plan | None) -> tuple[Sequence[str], Sequence[str]]:
    if plan is not None:
        return plan.agents(), plan.problems()

    factors = {factor.name for factor in study.factors}
    return (
        () if factors.intersection(AGENT_FACTORS) else study.agent_specs,
        () if factors.intersection(PROBLEM_FACTORS) else study.problem_ids,
    )


def _gather(
    names: Iterable[str], find: Callable[[str], Found], errors: list[str]
) -> dict[str, Found]:
    """Find everything that is named; what cannot be found is an error each, not the first only."""
    found = {}
    for name in names:
        try:
            found[name] = find(name)
        except ValidationError as error:
            errors += error.errors
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


def _evaluators(
    study: Study,
    problems: Mapping[str, Problem],
    models: DeclaredModels | None,
    errors: list[str],
) -> dict[str, tuple[BoundEvaluator, ...]]:
    def declared(name: str) -> BoundEvaluator:
        judge = study.evaluators[name].judge
        if judge is not None:
            if models is None:
                raise ValidationError([])  # why, is told already

            return models.judge(name, judge)

        return _declared_evaluator(study, name)

    shared = _gather(study.evaluators, declared, errors)
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

"""Binding: what a study's names stand for, made ready to be called before any run."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from penstock._base.extras import load_extra
from penstock._base.fact import EMPTY
from penstock._base.threads import WorkerThreads
from penstock.agents.condition_runner import NO_PROBLEM, bind_condition_runner
from penstock.agents.context import RunContext
from penstock.agents.shapes import BoundAgent, bind_agent
from penstock.agents.thread_draws import ThreadDraws
from penstock.errors import ValidationError
from penstock.evaluators.builtin import pattern_doubts
from penstock.evaluators.port import BoundEvaluator
from penstock.evaluators.rules import Rule, RuledEvaluator
from penstock.events.bus import Subscriber
from penstock.models.calls.elsewhere import CallsElsewhere, ModelCaller
from penstock.models.conversations.in_hand import ModelInHand
from penstock.models.session import Resource, Session
from penstock.planning.plan import AGENT_FACTORS, PROBLEM_FACTORS, Plan
from penstock.running.bound_evaluators import bind_evaluators, taking_long
from penstock.running.lookup import (
    find_agent,
    find_all,
    find_problem,
    find_subscriber,
    load_named,
)
from penstock.running.outcomes import outcome_errors
from penstock.running.time_limits import Deadline
from penstock.study.chat import ChatOptions
from penstock.study.declarations import declared_chats
from penstock.study.fingerprints import agent_fingerprint
from penstock.study.model import Study
from penstock.study.problem import Problem

if TYPE_CHECKING:
    from penstock.models.declared import DeclaredModels

__all__ = ["Bindings", "bind", "bind_standalone", "bind_subscribers"]


class Bindings(NamedTuple):
    """What a study's names stand for, ready to be called."""

    agents: Mapping[str, BoundAgent]
    problems: Mapping[str, Problem]
    evaluators: Mapping[str, tuple[BoundEvaluator, ...]]
    """The evaluators of each problem, the problem's own first."""

    take_long: frozenset[str] = frozenset()
    """The problems that some evaluator may take long with: a judge, or a function."""

    resources: tuple[Resource, ...] = ()
    """What agents and evaluators share, and what is open only while a session runs."""

    models: Mapping[str, Callable[[RunContext], ModelInHand]] = EMPTY
    """What gives a run each model that the study declares by name."""

    callers: Mapping[str, ModelCaller] = EMPTY
    """Who calls models, by a name that is the same wherever the study is loaded."""

    subscribers: tuple[Subscriber, ...] = ()
    """Those that the study names, in its order."""

    sources: Mapping[str, str] = EMPTY
    """The fingerprint of the code of each agent that is code."""

    doubts: tuple[str, ...] = ()
    """What can be run as it is declared and is probably not meant, a sentence each."""

    def rules(self, problem_id: str) -> tuple[Rule, ...]:
        """Return what the scores of answers to a problem are made by, in their order."""
        evaluators = self.evaluators.get(problem_id, ())
        return tuple(each.rule for each in evaluators if isinstance(each, RuledEvaluator))

    @asynccontextmanager
    async def open(self, session: Session) -> AsyncIterator[None]:
        """Be ready to be called inside ``async with``; the session ends in time."""
        async with AsyncExitStack() as stack:
            for resource in self.resources:
                await stack.enter_async_context(resource.open(session))

            session.follow(stack.enter_context(Deadline(session.out_of_budget)).follow)
            yield


def bind(
    study: Study,
    plan: Plan | None,
    *,
    agents: Mapping[str, Any],
    problems: Mapping[str, Any],
    isolate_random: bool,
    elsewhere: CallsElsewhere | None = None,
) -> tuple[Bindings, list[str]]:
    """Bind what a plan uses, or, where there is none, what the study says takes part.

    Args:
        study: The declared study.
        plan: Its plan; None where it cannot be planned, so that all faults are found at once.
        agents: Agents by name; they come before those the study declares.
        problems: Problems by id; they come before those the study declares.
        isolate_random: Whether runs have global random generators of their own.
        elsewhere: Has calls of models made by another process, where this one is a worker.

    Returns:
        What could be bound, and what is wrong with the rest.
    """
    errors: list[str] = []
    models = _declared_models(study, errors, elsewhere)
    agent_names, problem_names = _taking_part(study, plan)
    known = {**{problem.problem_id: problem for problem in study.problems}, **problems}
    in_hand = {} if models is None else find_all(study.models, models.in_hand, errors)
    found = find_all(problem_names, lambda name: find_problem(known, name), errors)
    bound, sources = _bind_agents(
        study, agent_names, agents, models, errors, isolate_random=isolate_random
    )
    bindings = Bindings(
        agents=bound,
        sources=sources,
        problems=found,
        evaluators=bind_evaluators(study, found, models, errors),
        take_long=taking_long(study, found.values()),
        resources=() if models is None or elsewhere is not None else (models,),
        models=in_hand,
        callers=EMPTY if models is None else models.callers,
    )
    errors += outcome_errors(study, found.values())
    doubts = [said for each in study.evaluators.items() for said in pattern_doubts(*each)]
    if models is not None and plan is not None:
        errors += models.errors(plan, found)
        doubts += models.doubts(plan, found)

    return bindings._replace(doubts=tuple(doubts)), errors


def bind_standalone(runner: Any, *, isolate_random: bool) -> tuple[Bindings, list[str]]:
    """Bind a condition runner, which takes the place of agents, problems and evaluators."""
    errors: list[str] = []
    found = find_all(
        [""], lambda _: bind_condition_runner(runner, isolate_random=isolate_random), errors
    )
    return Bindings(found, {"": NO_PROBLEM}, {"": ()}), errors


def bind_subscribers(study: Study) -> tuple[tuple[Subscriber, ...], list[str]]:
    """Find the subscribers that a study names, and what is wrong with the others."""
    errors: list[str] = []
    found = find_all(study.subscribers, lambda name: find_subscriber(study, name), errors)
    return tuple(found.values()), errors


def _declared_models(
    study: Study, errors: list[str], elsewhere: CallsElsewhere | None
) -> DeclaredModels | None:
    """Load what chat models need, where the study declares one."""
    declared = [
        f"{kind.removesuffix('s')} {name!r}"
        for (kind, name, _), _ in declared_chats(study.agents, study.evaluators)
    ]
    declared += [f"model {name!r}" for name in study.models]
    if not declared:
        errors += [f"limits: {name!r} limits no chat model of this study" for name in study.limits]
        return None

    try:
        module = load_extra("penstock.models.declared", extra="models", what=declared[0])
    except ValidationError as error:
        errors += error.errors
        return None

    models: DeclaredModels = module.DeclaredModels(study, elsewhere)
    return models


def _taking_part(study: Study, plan: Plan | None) -> tuple[Sequence[str], Sequence[str]]:
    if plan is not None:
        return plan.agents(), plan.problems()

    factors = {factor.name for factor in study.factors}
    return (
        () if factors.intersection(AGENT_FACTORS) else study.agent_specs,
        () if factors.intersection(PROBLEM_FACTORS) else study.problem_ids,
    )


def _bind_agents(
    study: Study,
    names: Sequence[str],
    bound: Mapping[str, Any],
    models: DeclaredModels | None,
    errors: list[str],
    *,
    isolate_random: bool,
) -> tuple[dict[str, BoundAgent], dict[str, str]]:
    """Bind agents; return them with the fingerprints of their code."""
    threads = WorkerThreads()  # the scheduler bounds runs in flight, and so threads
    processes = anyio.CapacityLimiter(os.cpu_count() or 1)
    draws = ThreadDraws() if isolate_random else None
    chats = {
        name: declared.chat
        for name in names
        if name not in bound and (declared := study.agents.get(name)) and declared.chat
    }

    def bind_code(name: str) -> tuple[BoundAgent, str]:
        target = find_agent(study, bound, name)
        source = agent_fingerprint(target, study.base_dir, study.models)
        agent = bind_agent(
            name, target, threads, processes, isolate_random=isolate_random, draws=draws
        )
        return agent, source

    code = find_all((name for name in names if name not in chats), bind_code, errors)
    found = {name: agent for name, (agent, _) in code.items()}
    sources = {name: source for name, (_, source) in code.items()}
    if models is not None:  # else why they cannot be bound is told already
        tools = find_all(chats, lambda name: _tools(study, name, chats[name]), errors)
        sources |= {
            name: "+".join(map(models.fingerprint, functions))
            for name, functions in tools.items()
            if functions
        }
        found |= find_all(tools, lambda name: models.agent(name, chats[name], tools[name]), errors)

    return found, sources


def _tools(study: Study, name: str, options: ChatOptions) -> tuple[Any, ...]:
    """Load the functions that the model of a chat agent may call, and give the servers."""
    return tuple(load_named(study, "a tool of agent", name, each) for each in options.tools)

"""Agents and problems by their references, called one at a time and outside a study."""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import anyio

from penstock._base.json import encode
from penstock._base.threads import WorkerThreads
from penstock.agents.answers import as_agent_result
from penstock.agents.context import RunContext
from penstock.agents.shapes import BoundAgent, bind_agent
from penstock.compat.runs import Observation, RunSpec
from penstock.compat.studies import by_name, is_builder
from penstock.errors import AgentReportedFailure, BindingError, ValidationError
from penstock.evaluators.functions import bind_problem_evaluator
from penstock.planning import plan
from penstock.results import answer_of
from penstock.running.lookup import find_problem
from penstock.study import resolvers
from penstock.study.conditions import Condition
from penstock.study.problem import Problem

__all__ = [
    "AgentExecution",
    "evaluate_problem",
    "execute_agent",
    "resolve_agent",
    "resolve_problem",
    "sample_problem_packets",
]


class AgentExecution(NamedTuple):
    """What one call of an agent gave."""

    output: dict[str, Any]
    metrics: dict[str, Any]
    events: list[Observation]
    trace_refs: list[str]
    metadata: dict[str, Any]


class _ReferenceError(BindingError, ValidationError):
    """A reference that cannot be resolved; those who moved over catch a ValidationError."""


def resolve_agent(
    agent_spec_ref: Any,
    *,
    condition: Condition,
    agent_bindings: Mapping[str, Any] | None = None,
) -> Any:
    """Return the agent that a reference stands for, built for a condition where it is built.

    Args:
        agent_spec_ref: A name, or the agent itself, which is returned as it is.
        condition: What a binding that builds agents is called with.
        agent_bindings: Agents by name; a name that is not among them is looked up in installed
            packages, and a class found there is instantiated.

    Raises:
        ValidationError: nothing has that name.
    """
    if not isinstance(agent_spec_ref, str):
        return agent_spec_ref

    if agent_spec_ref in (agent_bindings or {}):
        bound = (agent_bindings or {})[agent_spec_ref]
        return bound(condition) if is_builder(bound) else bound

    found = resolvers.find_agent(agent_spec_ref)
    if found is None:
        known = ", ".join(agent_bindings or ()) or "none"
        where = resolvers.where_else("agent", agent_spec_ref)
        raise _ReferenceError(
            [f"no agent is named {agent_spec_ref!r} (known: {known}); pass agent_bindings; {where}"]
        )

    return found() if inspect.isclass(found) else found


def execute_agent(
    *,
    agent_spec_ref: Any,
    run_spec: plan.RunSpec,
    condition: Condition,
    problem_packet: Problem,
    agent_bindings: Mapping[str, Any] | None = None,
) -> AgentExecution:
    """Call an agent once, as a run of a study calls it, and keep nothing.

    Args:
        agent_spec_ref: See `resolve_agent`.
        run_spec: The run.
        condition: Its condition.
        problem_packet: What the agent is to solve.
        agent_bindings: See `resolve_agent`.

    Raises:
        ValidationError: there is no such agent, or it cannot be called.
        AgentReportedFailure: the agent returned a result that says it failed.
        OutputError: it returned what cannot be an answer.
        RuntimeError: an event loop is running; use `penstock.arun_study` there.
    """
    agent = resolve_agent(agent_spec_ref, condition=condition, agent_bindings=agent_bindings)
    name = agent_spec_ref if isinstance(agent_spec_ref, str) else "agent"
    try:
        bound = bind_agent(name, by_name(agent), WorkerThreads())
    except BindingError as error:
        raise _ReferenceError([str(error)]) from error

    return anyio.run(_execute, bound, RunContext(run_spec, problem_packet, condition))


async def _execute(agent: BoundAgent, ctx: RunContext) -> AgentExecution:
    answer = as_agent_result(await agent(ctx))
    if not answer.success:
        raise AgentReportedFailure(answer.error)

    ctx.record(**answer.metrics)
    for event in answer.events:
        ctx.observe_mapping(event)

    written = encode(answer.outputs)
    seen = [*ctx.observations] or [answer_of(ctx.spec, written, datetime.now(UTC))]
    return AgentExecution(
        output=answer.outputs,
        metrics=dict(ctx.metrics),
        events=[Observation(**each.model_dump()) for each in seen],
        trace_refs=[*answer.trace_refs],
        metadata={**ctx.provenance, **answer.metadata},
    )


def resolve_problem(problem_spec_ref: Any, *, registry: Mapping[str, Any] | None = None) -> Problem:
    """Find the problem that something stands for, as it is found when a study is bound.

    Args:
        problem_spec_ref: A problem, a mapping with the fields of one, or a name.
        registry: Problems by name; a name that is not in it is looked up in installed packages.

    Raises:
        ValidationError: nothing is known by that name, or it is not a problem.
    """
    known = dict(registry or {})
    name = problem_spec_ref
    if not isinstance(name, str):
        about = problem_spec_ref if isinstance(problem_spec_ref, Mapping) else {}
        name = about.get("problem_id", "problem")
        known[name] = problem_spec_ref

    try:
        # An empty registry means to a study that a name says it all; here it is asked about.
        found = find_problem(known, name) if known else resolvers.find_problem(name)
    except BindingError as error:
        raise _ReferenceError([str(error)]) from error

    if found is None:
        where = resolvers.where_else("problem", name)
        raise _ReferenceError([f"no problem is named {name!r}, and registry is empty; {where}"])

    return found


def evaluate_problem(packet: Problem, run_output: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Score an output with the evaluator that comes with a problem.

    Args:
        packet: The problem; one without an evaluator gives no rows.
        run_output: What an agent returned for it.

    Returns:
        Rows of ``evaluations.csv`` without a run.

    Raises:
        BindingError: the evaluator cannot be called, or returned what is not a score.
        RuntimeError: an event loop is running; use `penstock.arun_study` there.
    """
    if packet.evaluator is None:
        return []

    if isinstance(packet.evaluator, str):
        named = f"the evaluator of problem {packet.problem_id!r} is {packet.evaluator!r}"
        raise _ReferenceError([f"{named}, which is loaded by a study; pass the function itself"])

    evaluate = bind_problem_evaluator(packet.evaluator, WorkerThreads())
    nowhere = {"run_id": "", "study_id": "", "condition_id": "", "replicate": 1, "seed": 0}
    spec = RunSpec(**nowhere, problem_id=packet.problem_id)
    condition = Condition(condition_id="", factor_assignments={})
    scores = anyio.run(evaluate, RunContext(spec, packet, condition), run_output)
    return [
        {**row.model_dump(exclude={"run_id"}), "notes_json": json.loads(row.notes_json)}
        for row in scores
    ]


def sample_problem_packets(
    problem_refs: Sequence[Any],
    *,
    registry: Mapping[str, Any] | None = None,
    sample_size: int | None = None,
    seed: int = 0,
    balanced_by_family: bool = False,
) -> list[Problem]:
    """Resolve problems, and draw some of them.

    Args:
        problem_refs: See `resolve_problem`.
        registry: See `resolve_problem`.
        sample_size: How many; all of them, in their order, if not given or too large.
        seed: Of the draw.
        balanced_by_family: Whether families take turns, so that each has about as many.

    Raises:
        ValidationError: a reference stands for no problem.
    """
    found = [resolve_problem(each, registry=registry) for each in problem_refs]
    if sample_size is None or sample_size >= len(found):
        return found

    draw = random.Random(seed)  # noqa: S311 - a draw, not a secret
    if not balanced_by_family:
        return draw.sample(found, sample_size)

    families: dict[str, list[Problem]] = {}
    for problem in found:
        families.setdefault(problem.family, []).append(problem)

    for members in families.values():
        draw.shuffle(members)

    return [*_in_turns([*families.values()])][:sample_size]


def _in_turns(groups: Sequence[Sequence[Problem]]) -> Iterator[Problem]:
    for place in range(max(map(len, groups))):
        yield from (group[place] for group in groups if place < len(group))

"""What several tests build: studies, runs under way, results, and events."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any

import anyio.from_thread

from penstock.agents.context import RunContext
from penstock.errors import StopStudy
from penstock.events import Event
from penstock.planning.plan import Plan, RunSpec, plan
from penstock.results import (
    Evaluation,
    Observation,
    RunError,
    RunResult,
    RunStatus,
)
from penstock.study.factors import Factor, Level
from penstock.study.model import Study
from penstock.study.policies import RunBudget, SeedPolicy
from penstock.study.problem import Problem

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
Agent = Callable[[Any], Awaitable[Any]]
BASIC_METRICS = {"cost_usd": 0.0, "input_tokens": 0, "output_tokens": 0}


def make_study(
    levels: Sequence[Any] = ("a", "b"), *, replicates: int = 1, base_seed: int = 0, **fields: Any
) -> Study:
    """A study of one factor, ``tone``, one agent and one problem."""
    tone = Factor(
        name="tone",
        description="how it is said",
        levels=tuple(Level(name=f"level-{i}", value=value) for i, value in enumerate(levels)),
    )
    given: dict[str, Any] = {
        "study_id": "tested",
        "title": "A study under test",
        "factors": (tone,),
        "problems": (Problem(problem_id="p1", brief="What is 6 x 7?", payload={"expected": "42"}),),
        "agent_specs": ("agent-a",),
        "run_budget": RunBudget(replicates=replicates),
        "seed_policy": SeedPolicy(base_seed=base_seed),
    }
    return Study(**(given | fields))


def make_plan(levels: Sequence[Any] = ("a", "b"), **fields: Any) -> Plan:
    """The plan of `make_study`."""
    return plan(make_study(levels, **fields))


def make_context(
    *,
    problem: Problem | None = None,
    attempt: int = 1,
    levels: Sequence[Any] = ("a",),
    **options: Any,
) -> RunContext:
    """The first run of a plan, under way."""
    made = make_plan(levels)
    spec = made[0]
    return RunContext(
        spec,
        problem or made.study.problems[0],
        made.condition_of(spec),
        attempt,
        **options,
    )


def let_time_run_out(ctx: RunContext) -> None:
    """End the time of an attempt now, from the thread of its agent, whatever the clock says."""
    scope = ctx.timeout_scope
    assert scope is not None
    anyio.from_thread.run_sync(scope.__setattr__, "deadline", -inf)


def make_result(
    spec: RunSpec,
    *,
    outputs_json: str = '{"text":"42"}',
    error: RunError | None = None,
    metrics: Mapping[str, Any] | None = None,
    scores: Mapping[str, Any] | None = None,
    **fields: Any,
) -> RunResult:
    """A result of a run: a success, or a failure where an error is given."""
    given: dict[str, Any] = {
        "spec": spec,
        "status": RunStatus.SUCCESS if error is None else RunStatus.FAILED,
        "attempt": 1,
        "started_at": NOW,
        "ended_at": NOW,
        "latency_s": 0.25,
        "outputs_json": outputs_json if error is None else "{}",
        "metrics": BASIC_METRICS | dict(metrics or {}),
        "evaluations": tuple(
            Evaluation(run_id=spec.run_id, metric_name=name, metric_value=value)
            for name, value in (scores or {}).items()
        ),
        "provenance": {"problem_family": "unknown"},
        "error": error,
    }
    return RunResult(**(given | fields))


def stopping_after(runs: int, agent: Agent) -> Agent:
    """An agent that answers as another does, and ends the study after so many runs."""
    calls = 0

    async def stops(ctx: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > runs:
            raise StopStudy("enough")

        return await agent(ctx)

    return stops


def make_error(**fields: Any) -> RunError:
    """A failure of an agent that is worth another attempt."""
    given = {"kind": "ValueError", "message": "no", "stage": "agent", "retryable": True}
    return RunError(**(given | fields))


def make_observation(spec: RunSpec, **fields: Any) -> Observation:
    """Something that an agent reported."""
    given = {
        "timestamp": "2026-01-02T03:04:05.678901+00:00",
        "record_id": "evt-1",
        "text": "said",
        "session_id": spec.run_id,
        "actor_id": "agent",
        "event_type": "step",
        "meta_json": "{}",
        "study_id": spec.study_id,
        "run_id": spec.run_id,
        "condition_id": spec.condition_id,
    }
    return Observation(**(given | fields))


_numbers = itertools.count(1)


def make_event(kind: type[Event], **fields: Any) -> Event:
    """An event with the fields that every event has filled in."""
    return kind(**({"seq": next(_numbers), "at": NOW, "study_id": "tested"} | fields))


class Announced:
    """Says events to nobody and remembers them: a fake of the runner's announcer."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, kind: type[Event], **fields: Any) -> None:
        self.events.append(make_event(kind, **fields))

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of one class."""
        return [event for event in self.events if isinstance(event, kind)]

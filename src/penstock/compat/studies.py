"""The names of the older runner's module, on the engine of today."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple, Unpack

from penstock import run
from penstock.agents.condition_runner import ConditionRunner
from penstock.agents.shapes import PARAMETERS, is_async, per_condition
from penstock.compat.runs import RunResult
from penstock.options import RunnerOptions
from penstock.planning.validation import planned_or_errors
from penstock.study.conditions import Condition
from penstock.study.model import Study

__all__ = [
    "DryRunReport",
    "Results",
    "agent_result",
    "as_they_were",
    "by_name",
    "dry_run_validate",
    "is_builder",
    "reproducible_seed",
    "resume_study",
    "run_study",
]


def agent_result(
    output: Mapping[str, Any] | str | None = None,
    *,
    metrics: Mapping[str, Any] | None = None,
    events: Iterable[Mapping[str, Any]] | None = None,
    metadata: Mapping[str, Any] | None = None,
    trace_refs: Iterable[Any] | None = None,
) -> dict[str, Any]:
    """Build the mapping that an agent may return; `penstock.AgentResult` says the same.

    Args:
        output: The answer; text becomes ``{"text": output}``.
        metrics: What was measured.
        events: What happened inside, as mappings with the columns of ``events.csv``.
        metadata: Who answered.
        trace_refs: Files with the agent's own traces.
    """
    return {
        "output": {"text": output} if isinstance(output, str) else dict(output or {}),
        "metrics": dict(metrics or {}),
        "events": [dict(event) for event in events or ()],
        "metadata": dict(metadata or {}),
        "trace_refs": [str(ref) for ref in trace_refs or ()],
    }


class Results(run.StudyResult):
    """The results of a study in plan order; equal to a list of the same results."""

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and [*self] == [*other]

    def _read(self, start: int, stop: int) -> Iterator[RunResult]:
        return map(RunResult.of, super()._read(start, stop))


def run_study(
    study: Study,
    *,
    dry_run: bool = False,
    resume: bool | None = None,
    include_sqlite: bool = False,
    **options: Unpack[RunnerOptions],
) -> Results:
    """Run a study to its end: `penstock.run_study`, with agents and results as they were.

    A binding that takes one argument of a name that no agent can ask for builds an agent for
    each condition, as it did; one that takes two such arguments is given the problem and the seed.

    Raises:
        ValidationError: the study cannot be run as declared; everything that is wrong.
    """
    options["agent_bindings"] = as_they_were(options.get("agent_bindings"))
    made = run.run_study(
        study, dry_run=dry_run, resume=resume, include_sqlite=include_sqlite, **options
    )
    return Results(made.output_dir, made.summary, dry_run=dry_run)


def resume_study(
    study: Study, *, include_sqlite: bool = False, **options: Unpack[RunnerOptions]
) -> Results:
    """Resume a study: the same as `run_study`, which always goes on from where it stands."""
    return run_study(study, include_sqlite=include_sqlite, **options)


def as_they_were(bindings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return bindings as penstock takes them: what had no mark or name of its own has one."""
    return {
        name: per_condition(bound) if is_builder(bound) else by_name(bound)
        for name, bound in (bindings or {}).items()
    }


def by_name(agent: Any) -> Any:
    """Return an agent as it is, or one of two other parameters as one that asks by name."""
    if not _takes_others(agent, 2):
        return agent

    def answer(problem_packet: Any, seed: int) -> Any:
        return agent(problem_packet, seed)

    # What it wraps tells an edited agent; its parameters are not those of what it wraps.
    parameters = inspect.signature(answer)
    wrapped: Any = wraps(agent)(answer)
    wrapped.__signature__ = parameters
    return wrapped


def is_builder(bound: Any) -> bool:
    """Return whether a binding takes one argument of a name that no agent can ask for."""
    return _takes_others(bound, 1)


def _takes_others(bound: Any, count: int) -> bool:
    """Return whether a plain function takes so many arguments, none of which it can ask for."""
    if not callable(bound) or callable(getattr(bound, "run", None)) or is_async(bound):
        return False

    try:
        parameters = [*inspect.signature(bound).parameters.values()]
    except (TypeError, ValueError):
        return False

    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [each for each in parameters if each.default is each.empty]
    return len(required) == count and all(  # *args and **kwargs have no default either
        each.kind in by_position and each.name not in PARAMETERS for each in required
    )


class DryRunReport(NamedTuple):
    """What is wrong with a study, and how many runs it plans."""

    errors: list[str]
    planned_runs: int


def dry_run_validate(
    study: Study,
    *,
    conditions: Sequence[Condition] | None = None,
    condition_runner: ConditionRunner | None = None,
) -> DryRunReport:
    """Plan a study and list what is wrong with it; nothing that it names is loaded.

    Args:
        study: The study.
        conditions: Its conditions; those of its design if not given.
        condition_runner: Does the runs in place of agents and problems.
    """
    standalone = condition_runner is not None
    planned, errors = planned_or_errors(study, conditions, standalone=standalone)
    return DryRunReport([*dict.fromkeys(errors)], 0 if planned is None else len(planned))


@contextmanager
def reproducible_seed(seed: int) -> Iterator[None]:
    """Seed the global generators of ``random`` and NumPy inside ``with``, and give them back.

    They belong to the whole process: what else draws from them meanwhile takes part. The runs of
    a study have generators of their own and need none of this.
    """
    import numpy as np  # noqa: PLC0415 - slow to import

    before, numpy_before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)

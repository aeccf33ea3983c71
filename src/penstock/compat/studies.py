"""The names of the older runner's module, on the engine of today."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    "dry_run_validate",
    "reproducible_seed",
    "resume_study",
    "run_study",
    "with_builders",
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
    each condition, as it did.

    Raises:
        ValidationError: the study cannot be run as declared; everything that is wrong.
    """
    options["agent_bindings"] = with_builders(options.get("agent_bindings"))
    made = run.run_study(
        study, dry_run=dry_run, resume=resume, include_sqlite=include_sqlite, **options
    )
    return Results(made.output_dir, made.summary, dry_run=dry_run)


def resume_study(
    study: Study, *, include_sqlite: bool = False, **options: Unpack[RunnerOptions]
) -> Results:
    """Go on with a study: the same as `run_study`, which always goes on from where it stands."""
    return run_study(study, include_sqlite=include_sqlite, **options)


def with_builders(bindings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Mark the bindings that build an agent for each condition, which had no mark."""
    return {
        name: per_condition(bound) if _is_builder(bound) else bound
        for name, bound in (bindings or {}).items()
    }


def _is_builder(bound: Any) -> bool:
    if not callable(bound) or callable(getattr(bound, "run", None)) or is_async(bound):
        return False

    try:
        parameters = [*inspect.signature(bound).parameters.values()]
    except (TypeError, ValueError):
        return False

    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [each for each in parameters if each.default is each.empty]
    return (
        len(required) == 1  # *args and **kwargs have no default either
        and required[0].kind in by_position
        and required[0].name not in PARAMETERS
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

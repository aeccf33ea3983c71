"""Functions of the older runner's modules beside its public names, for scripts that use them.

What has no counterpart here says so when it is called, and what takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from penstock._base.frozen import frozen_json
from penstock.compat.subclasses import AnalysisPlan, DesignSpec, Hypothesis, OutcomeSpec
from penstock.errors import ExpressionError, PenstockError, ValidationError
from penstock.results import Observation
from penstock.study.conditions import Condition
from penstock.study.expressions import compile_expression
from penstock.study.references import load_reference

__all__ = [
    "ProvenanceMetadata",
    "canonical_artifact_paths",
    "checkpoint_run_result",
    "coerce_analysis_plan",
    "coerce_design_spec",
    "coerce_hypothesis",
    "coerce_outcome",
    "compose_metrics",
    "counterbalance_conditions",
    "derive_process_metrics",
    "evaluate_constraint_expression",
    "evaluation_rows_from_mapping",
    "initialize_artifact_layout",
    "load_callable",
    "resolve_git_sha",
    "to_jsonable",
    "validate_hypothesis_bindings",
]


def coerce_design_spec(value: DesignSpec | Mapping[str, Any]) -> DesignSpec:
    """Return a design spec, made of a mapping where it is not one."""
    return value if isinstance(value, DesignSpec) else DesignSpec(**value)


def coerce_hypothesis(value: Hypothesis | Mapping[str, Any]) -> Hypothesis:
    """Return a hypothesis, made of a mapping where it is not one."""
    return value if isinstance(value, Hypothesis) else Hypothesis(**value)


def coerce_outcome(value: OutcomeSpec | Mapping[str, Any]) -> OutcomeSpec:
    """Return an outcome, made of a mapping where it is not one."""
    return value if isinstance(value, OutcomeSpec) else OutcomeSpec(**value)


def coerce_analysis_plan(value: AnalysisPlan | Mapping[str, Any]) -> AnalysisPlan:
    """Return an analysis plan, made of a mapping where it is not one."""
    return value if isinstance(value, AnalysisPlan) else AnalysisPlan(**value)


def validate_hypothesis_bindings(
    hypotheses: Iterable[Hypothesis], *, factor_names: Sequence[str], outcome_names: Sequence[str]
) -> list[str]:
    """List the variables of hypotheses that are neither a factor nor an outcome."""
    errors = []
    for hypothesis in hypotheses:
        label = f"Hypothesis '{hypothesis.hypothesis_id}' references unknown"
        errors += [
            f"{label} independent variable '{name}'."
            for name in hypothesis.independent_vars
            if name not in factor_names
        ]
        errors += [
            f"{label} dependent variable '{name}'."
            for name in hypothesis.dependent_vars
            if name not in outcome_names
        ]

    return errors


def evaluate_constraint_expression(expression: str, context: Mapping[str, Any]) -> bool:
    """Return what a constraint's expression comes to.

    Raises:
        ValidationError: it is not a constraint, or cannot be evaluated.
    """
    try:
        return compile_expression(expression)(context)
    except ExpressionError as error:
        raise ValidationError(str(error)) from error


def counterbalance_conditions(conditions: Sequence[Condition]) -> list[Condition]:
    """Return conditions interleaved with their reverse."""
    return [*conditions[::2], *reversed(conditions[1::2])]


def derive_process_metrics(observations: Iterable[Observation]) -> dict[str, int]:
    """Count the tool calls, steps and actors of a run's observations."""
    kinds = [(each.event_type, each.actor_id) for each in observations]
    return {
        "tool_call_count": sum(kind == "tool_call" for kind, _ in kinds),
        "step_event_count": sum(kind in _STEPS for kind, _ in kinds),
        "unique_actor_count": len({actor for _, actor in kinds}),
    }


_STEPS = frozenset({"step", "tool_call", "assistant_output"})


def compose_metrics(
    *,
    agent_metrics: Mapping[str, Any],
    evaluation_rows: Sequence[Mapping[str, Any]],
    observations: Iterable[Observation],
    latency_s: float,
    cost_usd: float,
) -> dict[str, Any]:
    """Combine a run's metrics; the primary outcome is the agent's, else the first score."""
    metrics = {
        **agent_metrics,
        **derive_process_metrics(observations),
        "latency_s": latency_s,
        "cost_usd": cost_usd,
    }
    for name in ("input_tokens", "output_tokens"):
        given = metrics.get(name)
        metrics[name] = given if isinstance(given, (int, float)) else 0.0

    if evaluation_rows:
        metrics.setdefault("primary_outcome", evaluation_rows[0].get("metric_value"))

    return metrics


def evaluation_rows_from_mapping(
    *,
    run_id: str,
    evaluator_id: str,
    metrics: Mapping[str, Any],
    notes_json: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return a row of ``evaluations.csv`` for each metric."""
    return [
        {
            "run_id": run_id,
            "evaluator_id": evaluator_id,
            "metric_name": name,
            "metric_value": value,
            "metric_unit": "unitless",
            "aggregation_level": "run",
            "notes_json": dict(notes_json or {}),
        }
        for name, value in metrics.items()
    ]


def to_jsonable(value: Any) -> Any:
    """Return a value as plain JSON values.

    Raises:
        UnstableValueError: a part of it has no stable JSON form.
    """
    return frozen_json(value)


def load_callable(reference: str) -> Callable[..., Any]:
    """Import the function that ``module:attr`` names.

    Raises:
        ValidationError: there is none.
    """
    try:
        found = load_reference(reference)
    except (ImportError, AttributeError) as error:
        raise ValidationError(str(error)) from error

    if not callable(found):
        raise ValidationError(f"Reference '{reference}' does not resolve to a callable.")

    function: Callable[..., Any] = found
    return function


def _gone(name: str, instead: str) -> Callable[..., NoReturn]:
    def call(*_args: Any, **_fields: Any) -> NoReturn:
        raise PenstockError(f"{name} has no counterpart in penstock: {instead}")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"Raise PenstockError: {instead}."
    return call


_KEPT = "study.sqlite keeps every result as it comes; run_study goes on from it"
_FILES = "export_analysis_tables writes the files of a study and returns their paths"
_PROVENANCE = "manifest.json of every study has its provenance"

ProvenanceMetadata = _gone("ProvenanceMetadata", _PROVENANCE)
canonical_artifact_paths = _gone("canonical_artifact_paths", _FILES)
checkpoint_run_result = _gone("checkpoint_run_result", _KEPT)
initialize_artifact_layout = _gone("initialize_artifact_layout", _FILES)
resolve_git_sha = _gone("resolve_git_sha", _PROVENANCE)

"""What an attempt leaves behind, as far as it can be stored.

An agent may have put anything into its context, and a thread of it that was left behind may still
do so. So all of it is copied and looked at once, when the attempt ends: what cannot be stored is a
failure of this attempt, and of no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from penstock._base.fact import EMPTY
from penstock._base.json import Parts, decode, encode, encode_parts
from penstock._base.secrets import without_secrets
from penstock.agents.context import RunContext
from penstock.agents.metrics import plain_metric
from penstock.errors import OutputError
from penstock.evaluators.port import answer_key
from penstock.results import OWN_OUTCOME, Evaluation, Observation
from penstock.study.hypotheses import Outcome

__all__ = [
    "PRIMARY",
    "Gathered",
    "gather",
    "kept_outputs",
    "metrics_of",
    "primary_outcome",
    "primary_rule",
    "provenance_of",
]

_PLAIN = frozenset({str, int, float, bool, type(None)})
PRIMARY = "primary_outcome"
_STEP_EVENTS = frozenset({"step", "tool_call", "assistant_output"})


class Gathered(NamedTuple):
    """What an agent recorded, observed, and said of who answered."""

    metrics: Mapping[str, Any] = EMPTY
    observations: tuple[Observation, ...] = ()
    provenance: Mapping[str, Any] = EMPTY


def gather(ctx: RunContext, refuse: Callable[[BaseException], None]) -> Gathered:
    """Copy what an agent has left in its context.

    Args:
        ctx: The run; it has ended.
        refuse: Called for each part that cannot be stored, and is left out.
    """
    metrics: dict[str, Any] = {}
    for name, value in ctx.metrics.copy().items():
        try:
            metrics[str(name)] = plain_metric(str(name), value)
        except BaseException as error:  # noqa: BLE001 - a value of the agent's may raise anything
            refuse(error)

    observations = tuple(ctx.observations)
    if observations and any(type(each) is not Observation for each in observations):
        refuse(OutputError("observations", "it was not made by ctx.observe"))
        observations = tuple(each for each in observations if type(each) is Observation)

    if ctx.calls.counted and ctx.calls.are_recorded_again(metrics):
        ctx.provenance["is_counted_twice"] = True
        ctx.log.warning(
            "run.counted_twice",
            what_to_do="the agent records what its calls through ctx.model cost, which is counted "
            "already, and both are in the sums; take its own record of it out",
        )

    return Gathered(metrics, observations, _provenance(ctx, refuse) if ctx.provenance else EMPTY)


def _provenance(ctx: RunContext, refuse: Callable[[BaseException], None]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in ctx.provenance.copy().items():
        try:
            is_plain = type(value) in _PLAIN
            kept[str(name)] = value if is_plain else decode(encode(value, f"provenance.{name}"))
        except BaseException as error:  # noqa: BLE001 - a value of the agent's may raise anything
            refuse(error)

    return without_secrets(kept)


def kept_outputs(
    outputs: Mapping[str, Any], refuse: Callable[[BaseException], None]
) -> tuple[Parts, Mapping[str, Any]]:
    """Return what of an agent's outputs can be stored, as JSON and as it is.

    Args:
        outputs: What the agent returned.
        refuse: Called for each output beside the answer that cannot be stored, and is left out.

    Raises:
        OutputError: the answer itself cannot be stored.
    """
    written = encode_parts(outputs, "output")
    if not written.refused:
        return written, outputs

    kept = {name: value for name, value in outputs.items() if name not in written.refused}
    if not kept or answer_key(outputs) in written.refused:
        raise next(iter(written.refused.values()))

    for error in written.refused.values():
        refuse(error)

    return written, kept


def metrics_of(
    gathered: Gathered,
    latency_s: float,
    evaluations: Sequence[Evaluation],
    outcomes: Sequence[Outcome],
) -> dict[str, Any]:
    """Return the metrics of a run: what was recorded, and those that every run has."""
    metrics = {
        **(_counts(gathered.observations) if gathered.observations else _ANSWER_ALONE),
        "latency_s": latency_s,
        "cost_usd": 0.0,
        "input_tokens": 0,
        "output_tokens": 0,
        **gathered.metrics,
    }
    if "primary_outcome" not in metrics and (evaluations or outcomes):
        primary = primary_outcome(evaluations, metrics, outcomes)
        if primary is not None:
            metrics["primary_outcome"] = primary

    return metrics


def _counts(observations: Sequence[Observation]) -> dict[str, int]:
    events = [observation.event_type for observation in observations]
    return {
        "tool_call_count": events.count("tool_call"),
        "step_event_count": sum(event in _STEP_EVENTS for event in events),
        "unique_actor_count": len({each.actor_id for each in observations}),
    }


_ANSWER_ALONE = {"tool_call_count": 0, "step_event_count": 1, "unique_actor_count": 1}
"""The counts of a run whose agent has reported nothing."""


def primary_outcome(
    evaluations: Sequence[Evaluation], metrics: Mapping[str, Any], outcomes: Iterable[Outcome]
) -> Any:
    """Return the value of the declared primary outcome; where none is declared, the first score.

    What the agent recorded as ``primary_outcome`` comes before it: whoever asks has looked.
    """
    table, column = primary_rule(outcomes)
    if column == PRIMARY:
        return evaluations[0].metric_value if evaluations else None

    if table == "evaluations":
        return next((row.metric_value for row in evaluations if row.metric_name == column), None)

    return metrics.get(column)


def provenance_of(
    gathered: Gathered, family: str | None, metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Return who answered what, and whether the agent measured its primary outcome itself.

    Args:
        gathered: What the agent has left in its context.
        family: The family of the problem; None where a condition runner has done the run.
        metadata: What the answer said of who answered.
    """
    what = _OF_A_CONDITION if family is None else {"problem_family": family}
    own = OWN_OUTCOME if PRIMARY in gathered.metrics else EMPTY
    return {**gathered.provenance, **what, **metadata, **own}


_OF_A_CONDITION = {"execution_mode": "condition_runner"}


def primary_rule(outcomes: Iterable[Outcome]) -> tuple[str, str]:
    """Return the table and the column that the primary outcome comes from.

    Where none is declared it is the contract's, which may be declared as well: the column
    ``primary_outcome`` of ``runs``, which is what the agent recorded so, else the first score.
    """
    declared = next((outcome for outcome in outcomes if outcome.primary), None)
    return ("runs", PRIMARY) if declared is None else (declared.source_table, declared.column)

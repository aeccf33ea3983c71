"""What came of runs: results, observations and evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

import orjson

from penstock._base.fact import EMPTY, Fact
from penstock._base.json import decode, encode, is_plain_json
from penstock.planning.run_spec import RunSpec
from penstock.study.identity import answer_event_id

__all__ = [
    "JUDGE_AMOUNTS",
    "OWN_OUTCOME",
    "Evaluation",
    "Observation",
    "ObservationLevel",
    "RunError",
    "RunResult",
    "RunStage",
    "RunStatus",
    "Scored",
    "answer_of",
    "known_to_be_plain",
    "says_answer",
    "text_of",
    "timestamp",
]


JUDGE_AMOUNTS = frozenset(
    {
        "judge_cost_usd",
        "judge_known_cost_usd",
        "judge_input_tokens",
        "judge_output_tokens",
        "judge_provider_s",
        "judge_queued_s",
        "judge_uncounted_cost_usd",
        "judge_uncounted_tokens",
        "judge_unknown_endings",
    }
)
"""Metrics of what judges took to score an answer, kept apart from what the agent took."""


OWN_OUTCOME = {"primary_outcome_from": "agent"}
"""Stands in the provenance of a run whose agent measured its primary outcome itself."""


class RunStatus(StrEnum):
    """How a run ended."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    """An attempt that the study gave up; never the result of a run, which runs again."""

    SCORING = "scoring"
    """An attempt whose answer is there while its evaluators are at work; it is saved, so
    that a study which is killed meanwhile does not pay for it again. Never the result of a run."""


class RunStage(StrEnum):
    """In which part of a run it failed."""

    PROBLEM = "problem"
    AGENT = "agent"
    OUTPUT = "output"
    EVALUATOR = "evaluator"


class ObservationLevel(StrEnum):
    """What an observation is about."""

    STUDY = "study"
    RUN = "run"
    TRIAL = "trial"
    STEP = "step"
    TOOL_CALL = "tool-call"
    EVALUATION = "evaluation"


class RunError(Fact):
    """Why an attempt failed.

    Args:
        kind: The error's class.
        message: What it said.
        stage: In which part of the run it was raised.
        retryable: Whether the study's `Retry` would try again after it.
        retry_after_s: How long the other side asked to wait before another attempt, in seconds.
        http_status: The status of the response that said so, where the error tells it.
        stops_study: Whether no other run can succeed either, so that the study stops.
        is_passing: Whether a declared model has failed in a way that passes by itself.
        is_known: Whether a request was not sent because it had been refused for good before.
        traceback: Where it was raised; kept in the store, not in the artifacts.
    """

    kind: str
    message: str
    stage: RunStage
    retryable: bool = False
    retry_after_s: float | None = None
    http_status: int | None = None
    stops_study: bool = False
    is_passing: bool = False
    is_known: bool = False
    traceback: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class Observation(Fact):
    """Something an agent did inside a run: a row of ``events.csv``."""

    timestamp: str
    record_id: str
    text: str | None
    session_id: str
    actor_id: str
    event_type: str
    meta_json: str
    level: ObservationLevel = ObservationLevel.STEP
    study_id: str
    run_id: str
    condition_id: str
    trial_id: str | None = None
    step_id: str | None = None
    tool_name: str | None = None
    evaluation_id: str | None = None


class Evaluation(Fact):
    """One score of one run: a row of ``evaluations.csv``."""

    run_id: str
    evaluator_id: str = "problem_evaluator"
    metric_name: str = "score"
    metric_value: float | int | bool | str | None = None
    metric_unit: str = "unitless"
    aggregation_level: str = "run"
    notes_json: str = "{}"


class Scored(Fact):
    """That an evaluator has scored an answer.

    Args:
        evaluator: The evaluator's name in the study.
        rows: How many scores it gave.
        latency_s: How long it took, in seconds.
        cost_usd: What it recorded as its cost, in US dollars.
    """

    evaluator: str
    rows: int
    latency_s: float = 0.0
    cost_usd: float = 0.0


class RunResult(Fact):
    """A run that is over, or one failed attempt of a run that is tried again.

    Args:
        spec: The run as it was planned.
        attempt: Which try this was, from 1.
        planned_order: The run's place in the order in which runs were to be started, from 0.
        started_order: Its place among the attempts of its session as they started, from 1.
        outputs_json: What the agent returned, as the JSON text that is stored.
        metrics: What was measured, by name.
        reported: What the agent reported; its answer is not among it.
        cost_usd: What the attempt cost, in US dollars.
        latency_s: How long the attempt took, in seconds of a monotonic clock.
        is_rescored: Whether the answer is an earlier one that was scored again: it cost nothing.
        provenance: Who answered: the model's name and provider, ids of the provider's requests.
        scored: Which evaluators have scored the answer; ``evaluations`` has their rows in order.
    """

    spec: RunSpec
    status: RunStatus
    attempt: int
    planned_order: int = 0
    started_order: int = 0
    started_at: datetime
    ended_at: datetime
    latency_s: float
    outputs_json: str = "{}"
    metrics: dict[str, Any] = EMPTY
    evaluations: tuple[Evaluation, ...] = ()
    reported: tuple[Observation, ...] = ()
    trace_refs: tuple[str, ...] = ()
    provenance: dict[str, Any] = EMPTY
    error: RunError | None = None
    is_rescored: bool = False
    scored: tuple[Scored, ...] = ()

    @cached_property
    def outputs(self) -> Mapping[str, Any]:
        """What the agent returned, as it is stored."""
        outputs: Mapping[str, Any] = decode(self.outputs_json)
        return outputs

    @cached_property
    def is_plain(self) -> bool:
        """Whether SQL can read what the agent returned."""
        return is_plain_json(self.outputs_json)

    @property
    def observations(self) -> tuple[Observation, ...]:
        """What the agent reported; where it reported nothing and has answered, its answer."""
        if self.reported or self.status not in _HAVE_ANSWERED:
            return self.reported

        return (answer_of(self.spec, self.outputs_json, self.ended_at),)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.spec.run_id

    @property
    def cost_usd(self) -> float:
        """What the attempt cost, in US dollars."""
        return float(self.metrics.get("cost_usd") or 0.0)

    @property
    def error_info(self) -> str | None:
        """What went wrong, as ``Class: message``."""
        return None if self.error is None else str(self.error)

    @property
    def primary_outcome(self) -> Any:
        """The value of the study's primary outcome in this run."""
        return self.metrics.get("primary_outcome")


def known_to_be_plain(result: RunResult) -> RunResult:
    """Return a result of which it need not be looked for whether SQL can read it."""
    vars(result)["is_plain"] = True  # where the property keeps what it has found
    return result


_HAVE_ANSWERED = (RunStatus.SUCCESS, RunStatus.SCORING)


def answer_of(spec: RunSpec, outputs_json: str, ended_at: datetime) -> Observation:
    """Make the event that is a run's answer, for an agent that has reported nothing.

    Args:
        spec: The run.
        outputs_json: What it answered.
        ended_at: When.
    """
    return Observation(
        timestamp=timestamp(ended_at),
        record_id=answer_event_id(spec.run_id),
        text=text_of(decode(outputs_json)),
        session_id=spec.run_id,
        actor_id="agent",
        event_type="assistant_output",
        meta_json='{"auto_generated":true}',
        study_id=spec.study_id,
        run_id=spec.run_id,
        condition_id=spec.condition_id,
    )


def says_answer(result: RunResult) -> bool:
    """Return whether an agent has reported its answer itself, so that it needs no event of its own.

    Every other answer has one, in the tables of events, after all that its agent reported.
    """
    return any(
        each.event_type == "assistant_output" and each.text == text_of(result.outputs)
        for each in result.reported
    )


def text_of(outputs: Mapping[str, Any]) -> str:
    """Return the text of an answer: its ``text``, as JSON where that is something else."""
    text = outputs.get("text")
    if type(text) is str:
        return text

    written = "null" if text is None else encode(text)
    plain = decode(written)
    return plain if isinstance(plain, str) else written if plain is not None else ""


def timestamp(at: datetime | None = None) -> str:
    """Write a moment (now, where none is given) in UTC as ISO 8601 with microseconds."""
    at = datetime.now(UTC) if at is None else at
    if at.tzinfo is UTC and at.microsecond:
        return orjson.dumps(at)[1:-1].decode()  # the same as below, in a third of the time

    return at.astimezone(UTC).isoformat(timespec="microseconds")

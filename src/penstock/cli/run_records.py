"""What machines read of single runs with ``show --json``: an object a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from penstock._base.fact import Fact
from penstock.cli.records import Record

__all__ = ["ListedRun", "ShownCall", "ShownRun"]


class ListedRun(Record):
    """One run in a list of `show`.

    Args:
        event: Which line this is.
        run_id: The run.
        status: How it ended.
        condition_id: Its condition.
        problem_id: Its problem.
        agent_id: Its agent.
        replicate: Which replicate it is.
        attempts: How often it was tried.
        primary_outcome: Its primary outcome.
        cost_usd: What its last attempt cost, in US dollars; null where that is not known.
        latency_s: How long its last attempt took, in seconds.
        error: Why it failed.
    """

    event: Literal["run"] = "run"
    run_id: str
    status: str
    condition_id: str
    problem_id: str | None
    agent_id: str | None
    replicate: int
    attempts: int
    primary_outcome: Any
    cost_usd: float | None
    latency_s: float
    error: str | None


class ShownCall(Fact):
    """One call of a chat model in `show`.

    Args:
        number: Its place among the calls of the attempt.
        role: Who called: an agent or a judge.
        evaluator_id: The judge.
        model: The model that was asked for.
        served_model: The model that answered.
        messages: What was asked; null where texts are not kept.
        answer: What was answered.
        tool_calls: The tools that the model wanted to have called.
        reasoning: What it wrote for itself.
        finish_reason: Why the answer ended.
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer.
        cost_usd: What the call cost, in US dollars; null where that is not known.
        provider_s: How long the provider took, in seconds; null where it was not asked.
        error: Why there is no answer.
        is_cached: Whether the answer came from the response cache.
        is_replayed: Whether an attempt that was cut off had made the call.
    """

    number: int
    role: str
    evaluator_id: str | None
    model: str
    served_model: str | None
    messages: tuple[Mapping[str, Any], ...] | None
    answer: str | None
    tool_calls: tuple[Mapping[str, Any], ...]
    reasoning: str | None
    finish_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    provider_s: float | None
    error: str | None
    is_cached: bool
    is_replayed: bool


class ShownRun(Record):
    """One attempt at a run, as `show` prints it.

    Args:
        event: Which line this is.
        run_id: The run.
        attempt: Which try it is.
        attempts: How many are kept.
        status: How it ended.
        assignments: The factors and blocks of its condition.
        problem_id: Its problem; null where it was cut off and no other attempt is kept.
        agent_id: Its agent; likewise.
        replicate: Which replicate it is; likewise.
        seed: Its seed; likewise.
        cost_usd: What it cost, in US dollars; null where that is not known.
        latency_s: How long it took, in seconds.
        calls: The calls of chat models.
        events: What its agent reported.
        scores: Its scores, by evaluator and metric.
        outputs: What it answered.
        error: Why it failed.
    """

    event: Literal["shown_run"] = "shown_run"
    run_id: str
    attempt: int
    attempts: int
    status: str
    assignments: Mapping[str, Any]
    problem_id: str | None
    agent_id: str | None
    replicate: int | None
    seed: int | None
    cost_usd: float | None
    latency_s: float | None
    calls: tuple[ShownCall, ...]
    events: tuple[Mapping[str, Any], ...]
    scores: tuple[Mapping[str, Any], ...]
    outputs: Mapping[str, Any]
    error: str | None

"""How a simulated provider behaves."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from penstock._base.fact import Fact
from penstock.simulator.dialects import DIALECTS
from penstock.simulator.faults import TRANSIENT, Fault, RetryAfterForm

__all__ = ["SimulatorOptions"]

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=1)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]

_FAULTS = frozenset(Fault)


class SimulatorOptions(Fact):
    """How a simulated provider behaves; all randomness comes from ``seed``.

    Args:
        host: The address to listen at; every other than loopback can be reached by others.
        port: The port; 0 takes a free one.
        seed: Another seed gives other answers, latencies and faults.
        latency_s: How long an answer takes, in seconds; its mean where it varies.
        jitter_s: Half the width of a uniform latency; the standard deviation of a lognormal one.
        latency_distribution: How it varies.
        tokens_per_second: How fast an answer's tokens come after ``latency_s``; at once if None.
        dialect: Whose words it uses for why answers end, for reasoning, usage and errors under 200.
        reasoning: What it writes for itself before it answers, where the request has a
            ``reasoning_effort``.
        answers: The answers to draw from; without them, and without a replay, they are made up.
        served_model: The model's name in responses; if None the name that was asked for.
        input_usd_per_million: Price of a million tokens of prompts.
        output_usd_per_million: Price of a million tokens of answers.
        context_tokens: A prompt with more tokens is too long.
        api_key_env: The environment variable with the key that requests must bear; if None any.
        echoes_key: Whether errors repeat the key that was sent, as some providers do.
        faults: How often each fault happens, as a share of requests.
        error_rate: A share of requests that is spread evenly over transient faults.
        faults_at: Faults of the n-th request to arrive, counted from 1.
        fault_attempts: Only the first so many attempts at the same request may go wrong.
        retry_after: How a fault of 429 says how long to wait.
        retry_after_s: How long it says, in seconds.
        stall_s: How long a stall lasts, in seconds.
        drip_s: How long a slow body takes, in seconds.
        requests_per_minute: Requests taken in any window; those refused do not count.
        tokens_per_minute: Tokens, of prompts and answers, in any window.
        window_s: The window of both, in seconds; a test may want a short one.
        max_in_flight: Requests at once; 503 beyond them.
        replay: JSON lines of recorded answers.
        replay_key: The field of a recording that identifies its problem.
        replay_answer: The field that holds the answer; if None one with a usual name.
        replay_pattern: Finds the problem's id in a prompt: its first group, if it has one.
        replay_problems: JSON lines with ids and texts of problems, to be found in prompts.
        log: A file that gets a line of JSON for each request.
        kept_requests: How many requests the log in memory holds.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    seed: int = 0
    latency_s: Seconds = 0.2
    jitter_s: Seconds = 0.0
    latency_distribution: Literal["constant", "uniform", "lognormal"] = "uniform"
    tokens_per_second: Annotated[float, Field(gt=0)] | None = None
    dialect: str = "openai"
    reasoning: str = ""
    answers: tuple[str, ...] = ()
    served_model: str | None = None
    input_usd_per_million: Price = 0.0
    output_usd_per_million: Price = 0.0
    context_tokens: Count | None = None
    api_key_env: str | None = None
    echoes_key: bool = False
    faults: Mapping[Fault, Rate] = Field(default_factory=dict)
    error_rate: Rate = 0.0
    faults_at: Mapping[Count, Fault] = Field(default_factory=dict)
    fault_attempts: Count | None = None
    retry_after: RetryAfterForm = RetryAfterForm.SECONDS
    retry_after_s: Seconds = 1.0
    stall_s: Seconds = 3600.0
    drip_s: Seconds = 5.0
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    window_s: Annotated[float, Field(gt=0)] = 60.0
    max_in_flight: Count | None = None
    replay: Path | None = None
    replay_key: str = "problem_id"
    replay_answer: str | None = None
    replay_pattern: str | None = None
    replay_problems: Path | None = None
    log: Path | None = None
    kept_requests: Count = 1_000_000

    @field_validator("dialect")
    @classmethod
    def _is_spoken(cls, dialect: str) -> str:
        if dialect not in DIALECTS:
            raise ValueError(f"{dialect!r} is not a dialect; there are {', '.join(DIALECTS)}")

        return dialect

    @field_validator("faults", "faults_at", mode="before")
    @classmethod
    def _names_are_known(cls, given: object, info: ValidationInfo) -> object:
        if not isinstance(given, Mapping):
            return given

        named = given if info.field_name == "faults" else given.values()
        unknown = [name for name in named if name not in _FAULTS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a fault; there are {', '.join(Fault)}")

        return given

    @model_validator(mode="after")
    def _fits_together(self) -> SimulatorOptions:
        total = sum(self.fault_rates.values())
        if total > 1 + 1e-9:
            raise ValueError(f"the rates of all faults add up to {total:g}, which is more than 1")

        if self.replay is None and (self.replay_pattern or self.replay_problems):
            raise ValueError("replay_pattern and replay_problems say nothing without a replay")

        return self

    @property
    def fault_rates(self) -> dict[Fault, float]:
        """The rate of each fault, its part of ``error_rate`` included."""
        each = self.error_rate / len(TRANSIENT)
        shared = dict.fromkeys(TRANSIENT, each) if each else {}
        return {
            fault: self.faults.get(fault, 0.0) + shared.get(fault, 0.0)
            for fault in Fault
            if fault in self.faults or fault in shared
        }

    def latency_at(self, place: float) -> float:
        """Return the latency at a place of its distribution, in seconds.

        Args:
            place: The place, between 0 and 1: at 0.5 is the median.
        """
        mean_s, jitter_s = self.latency_s, self.jitter_s
        if not mean_s or not jitter_s or self.latency_distribution == "constant":
            return mean_s

        if self.latency_distribution == "uniform":
            return max(0.0, mean_s + (2 * place - 1) * jitter_s)

        variance = log(1 + (jitter_s / mean_s) ** 2)
        normal = NormalDist(log(mean_s) - variance / 2, sqrt(variance))
        return exp(normal.inv_cdf(min(max(place, 1e-12), 1 - 1e-12)))

"""The metrics of a study, as OpenTelemetry's conventions want them (extra ``otel``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from penstock.results import RunResult
from penstock.subscribers.spans import call_attributes
from penstock.summary import StudySummary

__all__ = ["Instruments"]

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(4**power for power in range(14))
_COUNTS = ("planned", "succeeded", "failed", "skipped", "remaining", "lost_calls", "cost_usd")


class Instruments:
    """What is measured of a study.

    Args:
        provider: Where measurements go: the host's, with its readers.
        study_id: The study, an attribute of each measurement.
    """

    def __init__(self, provider: MeterProvider, study_id: str) -> None:
        meter = provider.get_meter("penstock", version("penstock"))
        self._of_study = {"penstock.study.id": study_id}
        self._summary: StudySummary | None = None
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens of prompts and answers of each call.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._calls_s = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="How long each call took.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._attempts_s = meter.create_histogram(
            "penstock.attempt.duration",
            unit="s",
            description="How long each attempt at a run took, by how it ended.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        for name in _COUNTS:
            meter.create_observable_gauge(
                f"penstock.study.{name}",
                callbacks=[self._reader_of(name)],
                description=f"`{name}` of the study's summary, with all that is saved.",
            )

    def _reader_of(self, name: str) -> Any:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            if self._summary is not None:
                yield Observation(getattr(self._summary, name), self._of_study)

        return read

    def note_summary(self, summary: StudySummary) -> None:
        """Note where the study stands."""
        self._summary = summary

    def note_attempt(self, result: RunResult) -> None:
        """Measure an attempt that is over."""
        said = {"gen_ai.agent.name": result.spec.agent_id, "penstock.status": str(result.status)}
        if result.error is not None:
            said["error.type"] = result.error.kind

        self._attempts_s.record(result.latency_s, {**self._of_study, **said})

    def note_call(self, row: Mapping[str, Any]) -> None:
        """Measure a call of a chat model, a row of the view ``calls``, unless it is given again."""
        if row["is_cached"] or row["is_replayed"]:
            return

        said = {name: value for name, value in call_attributes(row).items() if value is not None}
        said |= self._of_study
        if row["provider_s"] is not None:
            failed = {"error.type": row["error_kind"]} if row["error_kind"] else {}
            self._calls_s.record(row["provider_s"], {**said, **failed})

        for kind in ("input", "output"):
            if (tokens := row[f"{kind}_tokens"]) is not None:
                self._tokens.record(tokens, {**said, "gen_ai.token.type": kind})

"""Spans of a study as OpenTelemetry's conventions for generative AI want them (extra ``otel``).

The conventions: https://opentelemetry.io/docs/specs/semconv/gen-ai/ (in development, as of
opentelemetry-semantic-conventions 0.66). What they have no name for begins with ``penstock.``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.context import attach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from penstock._base.json import decode
from penstock.results import Observation, ObservationLevel, RunResult, RunStatus
from penstock.store.told_again.telling import moment_of

__all__ = ["Trace", "call_attributes", "is_exported", "moment_ns"]

_SCOPE = InstrumentationScope("penstock", version("penstock"))
_PROVIDERS = {
    "api.anthropic.com": "anthropic",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
}
"""The names that the conventions give to those whose address tells who they are."""

_ASKED = ("frequency_penalty", "max_tokens", "presence_penalty", "temperature", "top_k", "top_p")
_USED = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}


def moment_ns(at: datetime) -> int:
    """Return a moment in nanoseconds since 1970, to the microsecond."""
    return round(at.timestamp() * 1_000_000) * 1000


def is_exported(exporter: SpanExporter, spans: Sequence[ReadableSpan]) -> bool:
    """Export spans; return whether the exporter has taken them."""
    return exporter.export(spans) is SpanExportResult.SUCCESS


class Trace:
    """The trace of one study. All ids in it follow from the study's and its runs'.

    Args:
        study_id: The study.
        created_at: When it was begun, as its store says; another one of its name is another trace.
        content: Whether spans hold what was asked and answered.
        resource: What the spans say of the process; what the environment says, where not given.
    """

    def __init__(
        self, study_id: str, created_at: str, *, content: bool, resource: Resource | None = None
    ) -> None:
        self.study_id = study_id
        self.created_at = datetime.fromisoformat(created_at)
        self._seed = f"{study_id}\0{created_at}"
        self._id = int.from_bytes(self._digest(16, "trace"), "big")
        self._resource = Resource.create() if resource is None else resource
        self._content = content

    def _digest(self, size: int, *parts: object) -> bytes:
        text = "\0".join([self._seed, *map(str, parts)])
        return blake2b(text.encode(), digest_size=size).digest()

    def _context(self, *parts: object) -> SpanContext:
        span_id = int.from_bytes(self._digest(8, *parts), "big") or 1
        return SpanContext(
            self._id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        )

    def enter(self, session_id: int, run_id: str, attempt: int) -> None:
        """Have spans that are begun in this task from now on belong to an attempt."""
        own = self.context_of_attempt(session_id, run_id, attempt)
        attach(set_span_in_context(NonRecordingSpan(own)))

    def context_of_attempt(self, session_id: int, run_id: str, attempt: int) -> SpanContext:
        """Return the context of an attempt's span, also while the attempt is under way."""
        return self._context("attempt", run_id, session_id, attempt)

    def study(self, end_ns: int, attributes: Mapping[str, Any]) -> ReadableSpan:
        """Make the span of the study, from when it was begun."""
        begun_ns = moment_ns(self.created_at)
        name = f"study {self.study_id}"
        return self._span(name, ("study",), None, (begun_ns, end_ns), attributes)

    def run(
        self, result: RunResult, session_id: int, begun_ns: int, attributes: Mapping[str, Any]
    ) -> ReadableSpan:
        """Make the span of a run, from its first attempt in a session."""
        ids, when = ("run", result.run_id, session_id), (begun_ns, moment_ns(result.ended_at))
        parent = self._context("study")
        return self._span("run", ids, parent, when, attributes, error=_error_of(result))

    def attempt(
        self, result: RunResult, session_id: int, attributes: Mapping[str, Any]
    ) -> Iterator[ReadableSpan]:
        """Make the spans of an attempt and of the tools that it called."""
        own = self.context_of_attempt(session_id, result.run_id, result.attempt)
        agent = result.spec.agent_id or "agent"
        when = moment_ns(result.started_at), moment_ns(result.ended_at)
        said = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent, **attributes}
        yield self._span(
            f"invoke_agent {agent}",
            ("attempt", result.run_id, session_id, result.attempt),
            self._context("run", result.run_id, session_id),
            when,
            said,
            error=_error_of(result),
        )
        for number, observation in enumerate(result.reported):
            if observation.level is ObservationLevel.TOOL_CALL and observation.tool_name:
                yield self._tool(observation, own, number, result.ended_at)

    def _tool(
        self, observation: Observation, parent: SpanContext, number: int, otherwise: datetime
    ) -> ReadableSpan:
        meta = _mapping(observation.meta_json)
        end_ns = moment_ns(moment_of(observation, otherwise))
        taken_s = meta.get("seconds")
        took_ns = round(taken_s * 1e9) if isinstance(taken_s, (int, float)) else 0
        said = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": observation.tool_name,
            "gen_ai.tool.type": "function",
        }
        if self._content:
            said["gen_ai.tool.call.arguments"] = json.dumps(meta.get("arguments"), default=str)
            said["gen_ai.tool.call.result"] = observation.text or ""

        name = f"execute_tool {observation.tool_name}"
        ids, when = ("tool", parent.span_id, number), (end_ns - took_ns, end_ns)
        error = ("tool_error", "") if meta.get("is_error") else None
        return self._span(name, ids, parent, when, said, error=error)

    def call(self, row: Mapping[str, Any], session_id: int) -> ReadableSpan:
        """Make the span of a call of a chat model: a row of the view ``calls``.

        Args:
            row: The call.
            session_id: The session of the attempt that it belongs to.
        """
        own = ("call", row["run_id"], row["session_id"], row["attempt"], row["number"])
        parent = self.context_of_attempt(session_id, row["run_id"], row["attempt"])
        begun_ns = moment_ns(datetime.fromisoformat(row["started_at"]))
        took_s = (row["queued_s"] or 0.0) + (row["provider_s"] or 0.0)
        said = {**call_attributes(row), **_details(row)}
        if self._content and row["messages"] is not None:
            said["gen_ai.input.messages"] = _messages(decode(row["messages"]))
            answer = {"role": "assistant", "content": row["answer"]}
            said["gen_ai.output.messages"] = _messages([answer])

        error = (row["error_kind"], row["error_message"] or "") if row["error_kind"] else None
        when = begun_ns, begun_ns + round(took_s * 1e9)
        name = f"chat {row['model'] or ''}".strip()
        return self._span(name, own, parent, when, said, kind=SpanKind.CLIENT, error=error)

    def _span(
        self,
        name: str,
        ids: tuple[object, ...],
        parent: SpanContext | None,
        when: tuple[int, int],
        attributes: Mapping[str, Any],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        error: tuple[str, str] | None = None,
    ) -> ReadableSpan:
        said = {name: value for name, value in attributes.items() if value is not None}
        status = Status(StatusCode.UNSET)
        if error is not None:
            said["error.type"], status = error[0], Status(StatusCode.ERROR, error[1] or error[0])

        return ReadableSpan(
            name,
            context=self._context(*ids),
            parent=parent,
            resource=self._resource,
            attributes=said,
            kind=kind,
            status=status,
            start_time=when[0],
            end_time=when[1],
            instrumentation_scope=_SCOPE,
        )


def call_attributes(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the conventions want of a call, in spans and in metrics alike.

    Args:
        row: A row of the view ``calls``.
    """
    host = urlsplit(row["endpoint"] or "").hostname or ""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(host) or host or row["endpoint"] or "unknown",
        "gen_ai.request.model": row["model"],
        "gen_ai.response.model": row["served_model"],
    }


def _details(row: Mapping[str, Any]) -> dict[str, Any]:
    asked = _mapping(row["options"])
    said: dict[str, Any] = {
        f"gen_ai.request.{name}": asked[name]
        for name in _ASKED
        if isinstance(asked.get(name), (int, float))
    }
    reason = row["finish_reason"]
    return {
        **said,
        **{name: row[column] for column, name in _USED.items()},
        "gen_ai.request.seed": row["seed"],
        "gen_ai.response.id": row["request_id"],
        "gen_ai.response.finish_reasons": None if reason is None else (reason,),
        "gen_ai.response.time_to_first_chunk": row["first_token_s"],
        "server.address": urlsplit(row["endpoint"] or "").hostname,
        "http.response.status_code": row["http_status"],
        "penstock.call.role": row["role"],
        "penstock.evaluator.id": row["evaluator_id"],
        "penstock.cost_usd": row["cost_usd"],
        "penstock.queued_s": row["queued_s"],
        "penstock.call.is_cached": bool(row["is_cached"]),
        "penstock.call.is_replayed": bool(row["is_replayed"]),
    }


def _error_of(result: RunResult) -> tuple[str, str] | None:
    if result.error is None or result.status is RunStatus.SUCCESS:
        return None

    return result.error.kind, result.error.message


def _messages(messages: Sequence[Mapping[str, Any]]) -> str:
    """Write messages as the conventions' JSON: a role, and parts."""
    said = []
    for each in messages:
        content = each.get("content")
        text = content if isinstance(content, str) else json.dumps(content)
        parts = [] if content is None else [{"type": "text", "content": text}]
        said.append({"role": each.get("role"), "parts": parts})

    return json.dumps(said, ensure_ascii=False)


def _mapping(text: str | None) -> Mapping[str, Any]:
    try:
        found = decode(text or "{}")
    except ValueError:
        return {}

    return found if isinstance(found, dict) else {}

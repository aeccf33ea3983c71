"""A study as a trace and as metrics, exported while it runs, and afterwards."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import penstock as ps
from penstock.errors import SubscriberError, ValidationError
from penstock.events import SubscriberFailed
from penstock.replay import areplay
from penstock.subscribers import durable
from penstock.subscribers.telemetry import Telemetry
from tests.builders import make_study
from tests.models.loopback import http_server
from tests.models.test_conversing import double, provider
from tests.models.test_run_model import a_study
from tests.receivers import Receiver, receiving

pytestmark = pytest.mark.anyio

Spans = Sequence[ReadableSpan]


async def traced(
    study: ps.Study, directory: Path, agent: Any = None, **options: Any
) -> tuple[ps.StudyRunner, InMemorySpanExporter]:
    """Run a study, and return it with what was exported of it."""
    exporter = InMemorySpanExporter()
    bindings = {} if agent is None else {"agent-a": agent}
    runner = ps.StudyRunner(
        study,
        agent_bindings=bindings,
        output_dir=directory,
        show_progress=False,
        **{"concurrency": 1, "retry": ps.Retry(attempts=2, wait_s=0), **options},
    )
    Telemetry(directory, exporter).attach(runner)
    await runner.run()
    return runner, exporter


def named(spans: Spans, name: str) -> list[ReadableSpan]:
    return [span for span in spans if span.name == name]


def told(spans: Spans) -> list[str]:
    """Spans as JSON, without what says of the process."""
    said = [json.loads(span.to_json()) for span in spans]
    return sorted(json.dumps({**each, "resource": None}, sort_keys=True) for each in said)


def said_by(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parent_of(span: ReadableSpan, spans: Spans) -> ReadableSpan | None:
    if span.parent is None:
        return None

    (parent,) = [each for each in spans if each.context.span_id == span.parent.span_id]
    assert parent.context.trace_id == span.context.trace_id
    return parent


def lineage(span: ReadableSpan, spans: Spans) -> list[str]:
    above = parent_of(span, spans)
    return [span.name] if above is None else [span.name, *lineage(above, spans)]


async def with_tools(tmp_path: Path) -> tuple[Spans, ps.Study]:
    """The spans of a run whose model calls a tool."""

    async def agent(ctx: ps.RunContext) -> str:
        ctx.record(cost_usd=0.5)
        return (await ctx.model("small").run("Go", tools=[double])).text

    turns = [("double", {"number": 4})], "8"
    async with http_server(provider(*turns, asked=[])) as url:
        study = a_study(tmp_path, agent, url, small={"temperature": 0.5})
        _, exporter = await traced(study, tmp_path / "results")

    return exporter.get_finished_spans(), study


async def test_runs_attempts_calls_of_models_and_of_tools_are_spans_of_one_trace(
    tmp_path: Path,
) -> None:
    spans, study = await with_tools(tmp_path)
    assert len({span.context.trace_id for span in spans}) == 1
    first, second = named(spans, "chat some-model")
    above = ["invoke_agent mine", "run", f"study {study.study_id}"]
    assert lineage(first, spans) == lineage(second, spans) == ["chat some-model", *above]
    (tool,) = named(spans, "execute_tool double")
    assert lineage(tool, spans) == ["execute_tool double", *above]

    assert first.kind is SpanKind.CLIENT
    said = said_by(first)
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == said["server.address"] == "127.0.0.1"
    assert said["gen_ai.request.model"] == "some-model"
    assert said["gen_ai.request.temperature"] == 0.5
    assert said["gen_ai.response.finish_reasons"] == ("tool_calls",)
    assert said["gen_ai.usage.input_tokens"]
    assert said_by(tool)["gen_ai.tool.name"] == "double"
    (attempt,) = named(spans, "invoke_agent mine")
    assert said_by(attempt)["penstock.cost_usd"] >= 0.5
    for span in spans:
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time


async def test_what_was_said_is_in_it_only_where_it_is_asked_for(tmp_path: Path) -> None:
    spans, study = await with_tools(tmp_path)
    assert not any("messages" in name for span in spans for name in span.attributes or {})
    assert not any("arguments" in name for span in spans for name in span.attributes or {})

    results, exporter = study.resolve("results"), InMemorySpanExporter()
    await areplay(results, Telemetry(results, exporter, content=True))
    spans = exporter.get_finished_spans()
    said = said_by(named(spans, "chat some-model")[0])
    assert json.loads(str(said["gen_ai.input.messages"])) == [
        {"role": "user", "parts": [{"type": "text", "content": "Go"}]}
    ]
    tool = said_by(named(spans, "execute_tool double")[0])
    assert json.loads(str(tool["gen_ai.tool.call.arguments"])) == {"number": 4}
    assert tool["gen_ai.tool.call.result"] == "8"


async def test_a_study_that_is_exported_again_gives_the_same_trace(tmp_path: Path) -> None:
    spans, study = await with_tools(tmp_path)
    results, exporter = study.resolve("results"), InMemorySpanExporter()
    await areplay(results, Telemetry(results, exporter))
    assert told(exporter.get_finished_spans()) == told(spans)


async def flaky(ctx: ps.RunContext) -> str:
    if ctx.attempt == 1 and ctx.spec.position == 0:
        raise ConnectionError("try again")

    return "42"


async def test_attempts_belong_to_their_run_and_say_what_failed(tmp_path: Path) -> None:
    _, exporter = await traced(make_study(), tmp_path, flaky)
    spans = exporter.get_finished_spans()
    runs, attempts = named(spans, "run"), named(spans, "invoke_agent agent-a")
    assert (len(runs), len(attempts)) == (2, 3)
    (failed,) = [span for span in attempts if span.status.status_code is StatusCode.ERROR]
    assert said_by(failed)["error.type"] == "ConnectionError"
    assert failed.status.description == "try again"
    run = parent_of(failed, spans)
    assert run is not None
    assert run.start_time == failed.start_time
    assert run.status.status_code is StatusCode.UNSET


async def test_a_tool_that_was_told_of_without_a_time_zone_ended_in_utc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def agent(ctx: ps.RunContext) -> str:
        said = {"event_type": "tool_call", "level": "tool-call", "tool_name": "double"}
        ctx.observe_mapping({**said, "timestamp": "2026-01-02T03:04:05"})
        return "8"

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        _, exporter = await traced(make_study(replicates=1), tmp_path, agent)
    finally:
        monkeypatch.undo()
        time.tzset()

    tools = named(exporter.get_finished_spans(), "execute_tool double")
    ended = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert {span.end_time for span in tools} == {round(ended.timestamp()) * 10**9}


async def test_spans_of_an_agent_s_own_belong_to_its_attempt(tmp_path: Path) -> None:
    theirs = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(theirs))
    tracer = tracers.get_tracer("mine")

    async def agent(ctx: ps.RunContext) -> str:
        with tracer.start_as_current_span(f"think {ctx.spec.position} {ctx.attempt}"):
            return await flaky(ctx)

    runner, exporter = await traced(make_study(), tmp_path, agent)
    assert runner.summary.succeeded == 2
    own, spans = theirs.get_finished_spans(), exporter.get_finished_spans()
    assert sorted(span.name for span in own) == ["think 0 1", "think 0 2", "think 1 1"]
    for span in own:
        parent = parent_of(span, [*spans, span])
        assert parent is not None
        _, position, attempt = span.name.split()
        assert said_by(parent)["penstock.attempt"] == int(attempt)
        assert said_by(parent)["penstock.run.id"] == runner.plan[int(position)].run_id


class Dead(SpanExporter):
    """An exporter that takes nothing until it is mended."""

    def __init__(self, *, raises: bool = False) -> None:
        self.asked = 0
        self.raises = raises

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked += 1
        if self.raises:
            raise ConnectionError("no route")

        return SpanExportResult.FAILURE


async def test_an_exporter_that_is_dead_costs_runs_nothing_and_gets_all_of_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_LAST_WAIT_S", 0.0)
    said: list[SubscriberFailed] = []
    options: dict[str, Any] = {"output_dir": tmp_path, "show_progress": False}
    runner = ps.StudyRunner(make_study(), agent_bindings={"agent-a": flaky}, **options)
    runner.on(SubscriberFailed)(said.append)
    Telemetry(tmp_path, Dead(raises=True)).attach(runner)
    await runner.run()
    assert runner.summary.succeeded == 1
    assert all("did not take" in each.error for each in said)

    _, exporter = await traced(make_study(), tmp_path, flaky)
    spans = exporter.get_finished_spans()
    assert len(named(spans, "run")) == 3  # the one that failed, and both that succeeded


async def test_what_is_dropped_is_counted_where_that_is_wanted(tmp_path: Path) -> None:
    await traced(make_study(), tmp_path, flaky)
    telemetry = Telemetry(tmp_path, Dead(), drops=True)
    with structlog.testing.capture_logs() as logs:
        await areplay(tmp_path, telemetry)

    assert telemetry.dropped == 6  # 2 runs, 3 attempts, the study
    assert [each["event"] for each in logs] == ["telemetry.dropped"]

    with pytest.raises(
        SubscriberError, match=r"the exporter did not take \d spans: ConnectionError"
    ):
        await areplay(tmp_path, Telemetry(tmp_path, Dead(raises=True)))


def measured(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: [*metric.data.data_points]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


async def test_what_the_page_shows_is_measured(tmp_path: Path) -> None:
    _, study = await with_tools(tmp_path)
    results, reader = study.resolve("results"), InMemoryMetricReader()
    meters = MeterProvider([reader])
    await areplay(results, Telemetry(results, meter_provider=meters))
    found = measured(reader)

    assert found["penstock.study.planned"][0].value == 1
    assert found["penstock.study.succeeded"][0].value == 1
    assert found["penstock.study.remaining"][0].value == 0
    assert found["penstock.study.cost_usd"][0].value >= 0.5
    assert found["gen_ai.client.operation.duration"][0].count == 2
    kinds = {point.attributes["gen_ai.token.type"] for point in found["gen_ai.client.token.usage"]}
    assert kinds == {"input", "output"}
    (attempts,) = found["penstock.attempt.duration"]
    assert attempts.attributes["penstock.status"] == "success"
    meters.shutdown()


async def test_a_collector_gets_it_over_http(tmp_path: Path) -> None:
    await traced(make_study(), tmp_path, flaky)
    with receiving(Receiver(lambda _: 200)) as receiver:
        exporter = OTLPSpanExporter(endpoint=f"{receiver.url}/v1/traces", timeout=30)
        await areplay(tmp_path, Telemetry(tmp_path, exporter))
        exporter.shutdown()  # type: ignore[no-untyped-call]

    assert {posted.path for posted in receiver.posted} == {"/v1/traces"}
    names = [
        span.name
        for posted in receiver.posted
        for resource in ExportTraceServiceRequest.FromString(posted.body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert sorted(names) == ["invoke_agent agent-a"] * 3 + ["run"] * 2 + ["study tested"]


def test_what_is_not_installed_is_named_with_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "penstock.subscribers.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ValidationError, match=r"pip install 'penstock\[otel\]'"):
        Telemetry(tmp_path)

"""OpenTelemetry: a study as a trace and as metrics (extra ``otel``).

It hears what is saved, and reads the calls of models from the store. So it costs runs nothing,
and a study can be exported, or exported again, when it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from penstock._base.extras import load_extra
from penstock._base.logger import logger
from penstock._base.threads import call_in_thread
from penstock.agents.context import RunContext
from penstock.errors import SubscriberError
from penstock.events.bus import EventStream
from penstock.events.tree import (
    Event,
    RunCancelled,
    RunFinished,
    RunRetried,
    RunsSaved,
    StudyFinished,
)
from penstock.results import RunResult, timestamp
from penstock.store.reader import StoreReader

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

__all__ = ["HEARS", "Telemetry"]

HEARS = (RunRetried, RunCancelled, RunFinished, RunsSaved, StudyFinished)
"""The events that spans and metrics are made of."""

_ENDS = (RunFinished, RunRetried, RunCancelled)

_GROUP = 64
"""So many events are exported at once."""

_SESSION = "SELECT session_id FROM attempt WHERE run_id = ? AND number = ? AND started_at = ?"
_LAST_SESSION = "SELECT max(id) FROM session"
_BEGUN = "SELECT min(started_at) FROM attempt WHERE run_id = ? AND session_id = ?"
_CALLS = "SELECT * FROM calls WHERE run_id = ? AND session_id = ? AND attempt = ? ORDER BY number"


class Traced(Protocol):
    """A study that is to be traced: a `StudyRunner`."""

    output_dir: Path

    def subscribe(self, subscriber: Any, *types: Any, durable: str | None = None) -> None:
        """Subscribe to it."""
        ...

    def before_attempts(self, function: Callable[[RunContext], None]) -> None:
        """Have a function called before each attempt."""
        ...


class Telemetry:
    """Exports a study: a trace with a span for each run, attempt, model call and tool call.

    The ids of spans follow from the study and its runs, so that exporting it again gives the same
    trace. ``telemetry.attach(runner)`` exports while a study runs, `penstock.replay.replay` of it
    afterwards.

    Args:
        directory: The study's output directory.
        exporter: Where spans go, such as an ``OTLPSpanExporter``; without one there is no trace.
        meter_provider: Where measurements go, with the host's readers; without one nothing is
            measured. To replay a study measures it again.
        content: Whether spans hold what was asked and answered; it may be private.
        drops: Whether spans that the exporter does not take are dropped and counted. If not, they
            are exported later: it raises, and a durable subscriber that raises is called again.
        resource: What spans say of the process; what the environment says, where not given.

    Attributes:
        dropped: How many spans the exporter did not take.

    Raises:
        ValidationError: OpenTelemetry is not installed.
    """

    def __init__(
        self,
        directory: Path | str,
        exporter: SpanExporter | None = None,
        *,
        meter_provider: MeterProvider | None = None,
        content: bool = False,
        drops: bool = False,
        resource: Resource | None = None,
    ) -> None:
        what = "Telemetry"
        self._spans = load_extra("penstock.subscribers.spans", extra="otel", what=what)
        self._metrics = load_extra("penstock.subscribers.instruments", extra="otel", what=what)
        self.dropped = 0
        self._directory = Path(directory)
        self._exporter = exporter
        self._provider = meter_provider
        self._said = {"content": content, "resource": resource}
        self._drops = drops
        self._store: StoreReader | None = None
        self._trace: Any = None
        self._instruments: Any = None
        self._session_now: int | None = None
        self._opening = Lock()

    def attach(self, runner: Traced, *, name: str = "opentelemetry") -> None:
        """Export a study while it runs, and have its agents' own spans belong to their attempts.

        Args:
            runner: The study; it has not begun.
            name: Under which the study keeps how much of it is exported.
        """
        self._directory = runner.output_dir
        runner.subscribe(self, *HEARS, durable=name)
        runner.before_attempts(self.enter)

    def enter(self, ctx: RunContext) -> None:
        """Have what is traced in this task from now on belong to an attempt.

        Args:
            ctx: The attempt.
        """
        if self._session_now is None:
            self._open()
            self._session_now = self._first(_LAST_SESSION)

        self._trace.enter(self._session_now, ctx.spec.run_id, ctx.attempt)

    async def __call__(self, stream: EventStream) -> None:
        """Export what a stream tells.

        Raises:
            SubscriberError: the exporter does not take spans, and they are not to be dropped.
        """
        try:
            while events := await stream.batch(_GROUP):
                spans = await call_in_thread(partial(self._spans_of, events))
                if spans and self._exporter is not None:
                    await self._export(self._exporter, spans)
        finally:
            await call_in_thread(self._close)

    async def _export(self, exporter: SpanExporter, spans: Sequence[ReadableSpan]) -> None:
        export = partial(self._spans.is_exported, exporter, spans)
        failure: Exception | None = None
        try:
            if await call_in_thread(export, abandon_on_cancel=True):
                return
        except Exception as error:  # noqa: BLE001 - an exporter may raise anything
            failure = error

        if not self._drops:
            why = "" if failure is None else f": {type(failure).__name__}: {failure}"
            raise SubscriberError(f"the exporter did not take {len(spans)} spans{why}") from failure

        if not self.dropped:
            logger().warning("telemetry.dropped", spans=len(spans), error=str(failure))

        self.dropped += len(spans)

    def _open(self) -> StoreReader:
        with self._opening:  # an attempt may begin while a thread reads
            if self._store is None:
                self._store = store = StoreReader(self._directory)
                ((study_id, created_at),) = store.table("SELECT study_id, created_at FROM study")
                self._trace = self._spans.Trace(study_id, created_at, **self._said)
                if self._provider is not None and self._instruments is None:
                    self._instruments = self._metrics.Instruments(self._provider, study_id)

            return self._store

    def _close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def _first(self, query: str, *values: Any) -> Any:
        for row in self._open().rows(query, values):
            return row[0]

        return None

    def _spans_of(self, events: Sequence[Event]) -> list[ReadableSpan]:
        self._open()
        return [span for event in events for span in self._spans_of_one(event)]

    def _spans_of_one(self, event: Event) -> Iterator[ReadableSpan]:
        if isinstance(event, StudyFinished):
            end_ns = self._spans.moment_ns(event.at)
            yield self._trace.study(end_ns, {"penstock.study.id": event.study_id})
        elif isinstance(event, RunsSaved):
            if self._instruments is not None and event.summary is not None:
                self._instruments.note_summary(event.summary)
        elif isinstance(event, _ENDS):
            is_end = isinstance(event, RunFinished)
            yield from self._spans_of_attempt(event.result, is_end=is_end)

    def _spans_of_attempt(
        self, result: RunResult | None, *, is_end: bool
    ) -> Iterator[ReadableSpan]:
        if result is None or result.is_rescored:  # nobody was called, or in an earlier session
            return

        run_id, number = result.run_id, result.attempt
        session_id = self._first(
            _SESSION, run_id, number, timestamp(result.started_at)
        ) or self._first(_LAST_SESSION)
        calls = [*self._open().rows(_CALLS, (run_id, session_id, number))]
        if self._instruments is not None:
            self._instruments.note_attempt(result)
            for row in calls:
                self._instruments.note_call(row)

        said = _attributes(result, session_id)
        yield from self._trace.attempt(result, session_id, said)
        for row in calls:
            yield self._trace.call(row, session_id)

        if is_end:
            yield self._trace.run(result, session_id, self._begun_ns(result, session_id), said)

    def _begun_ns(self, result: RunResult, session_id: int) -> int:
        first = self._first(_BEGUN, result.run_id, session_id) or timestamp(result.started_at)
        begun_ns: int = self._spans.moment_ns(datetime.fromisoformat(first))
        return begun_ns


def _attributes(result: RunResult, session_id: int) -> Mapping[str, Any]:
    spec, metrics = result.spec, result.metrics
    return {
        "penstock.study.id": spec.study_id,
        "penstock.session": session_id,
        "penstock.run.id": spec.run_id,
        "penstock.condition.id": spec.condition_id,
        "penstock.problem.id": spec.problem_id,
        "penstock.replicate": spec.replicate,
        "penstock.seed": spec.seed,
        "penstock.attempt": result.attempt,
        "penstock.status": str(result.status),
        "penstock.cost_usd": metrics.get("cost_usd"),
        "gen_ai.usage.input_tokens": metrics.get("input_tokens"),
        "gen_ai.usage.output_tokens": metrics.get("output_tokens"),
    }

"""Looking at one study: what its store says, and what the process says that runs it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import anyio

from penstock._base.threads import call_in_thread
from penstock.control.connection import NothingRunsError, UnreachableStudyError
from penstock.control.controlled import Controlled
from penstock.control.protocol import Reply, Request, Snapshot
from penstock.page.live_view import LiveView
from penstock.page.report import report_view
from penstock.page.view import ReportView
from penstock.store.actions import STOP_FOR_GOOD, Action, keep_action
from penstock.store.reader import StoreReader
from penstock.store.unblinding import unblind
from penstock.summary import StudySummary
from penstock.web.projections import cost_of_all, over_time, rate_of, time_left
from penstock.web.reaching import Here, Reached, There
from penstock.web.saved import Saved

__all__ = ["EVERY_S", "LiveStudy", "news_of"]

EVERY_S = 0.25
"""So often a study is looked at, however many look."""

_Result = TypeVar("_Result")


class LiveStudy:
    """One study that is served.

    Args:
        directory: Its output directory.
        runner: What runs it, where this process does.
        control: Whether it may be acted on.

    Attributes:
        directory: Its output directory.
        saved: What its store says.
        may_act: Whether it may be acted on.
    """

    def __init__(
        self, directory: Path, *, runner: Controlled | None = None, control: bool = False
    ) -> None:
        self.directory = directory
        self.saved = Saved(directory)
        self.may_act = control
        self._reached: Reached = There(directory) if runner is None else Here(runner)
        self._study = None if runner is None else runner.study
        self._lock = anyio.Lock()
        self._looked_at = -EVERY_S
        self._view = LiveView(state="not begun")
        self._report: tuple[object, ReportView] | None = None

    @property
    def study_id(self) -> str:
        """The study's id; the name of its folder, where nobody knows it."""
        study = self.saved.study or self._study
        return self.directory.name if study is None else study.study_id

    @property
    def title(self) -> str:
        """The study's title; the name of its folder, where nobody knows it."""
        study = self.saved.study or self._study
        return self.directory.name if study is None else study.title

    async def look(self) -> LiveView:
        """Return where the study stands; whoever comes at the same time gets the same."""
        async with self._lock:
            if monotonic() - self._looked_at >= EVERY_S * 0.8:
                self._view = await self._look()
                self._looked_at = monotonic()

        return self._view

    def look_anew(self) -> None:
        """Have whoever looks next look anew: something was done to the study."""
        self._looked_at = -EVERY_S

    async def _look(self) -> LiveView:
        note = ""
        try:
            snapshot = await self._reached.snapshot()
        except UnreachableStudyError as error:
            snapshot, note = None, str(error)

        saved = self.saved
        await call_in_thread(partial(saved.read, counts_only=snapshot is not None))
        return view_of(saved, snapshot, note=note, may_act=self.may_act)

    async def report(self) -> ReportView:
        """Return what came of the study, made anew where it has changed.

        Raises:
            PenstockError: the store cannot be read.
        """
        mark = self.saved.mark
        if self._report is None or self._report[0] != mark:
            self._report = mark, await self.ask_store(_report_of)

        return self._report[1]

    async def ask_store(self, question: Callable[[StoreReader], _Result]) -> _Result:
        """Return what a question to the store finds; it is asked in a thread.

        Raises:
            StoreError: there is no store, or it cannot be read.
        """

        def ask() -> _Result:
            with StoreReader(self.directory) as store, store.snapshot():
                return question(store)

        return await call_in_thread(ask)

    async def do(self, request: Request) -> Reply:
        """Have something done; where no process runs the study, what needs none.

        Raises:
            PenstockError: it cannot be done.
        """
        try:
            return await self._reached.do(request)
        except NothingRunsError:
            if request.do == "unblind":
                act: Callable[[], Any] = partial(
                    unblind, self.directory, request.reason, who=request.who
                )
            elif request.do == "stop" and request.for_good:
                said = {"who": request.who, "reason": request.reason}
                act = partial(keep_action, self.directory, what=STOP_FOR_GOOD, **said)
            else:
                raise

            await call_in_thread(act)
            return Reply()


def _report_of(store: StoreReader) -> ReportView:
    return report_view(store, store.study(), texts="none")


def view_of(saved: Saved, snapshot: Snapshot | None, *, note: str, may_act: bool) -> LiveView:
    """Put together what a store says of a study, and the process that runs it.

    Args:
        saved: What the store says.
        snapshot: What the process says; None where there is none, or it cannot be asked.
        note: Why it cannot.
        may_act: Whether the study may be acted on.
    """
    counts, ledger = saved.counts, saved.ledger
    if snapshot is not None:
        summary, state = snapshot.summary, _state(snapshot)
    elif ledger is not None and not saved.why_not:
        summary, state = ledger.summary, ledger.state
    else:
        return LiveView(state="not begun", note=note or saved.why_not)

    now = datetime.now(UTC)
    step_s, ended_over_time = over_time(counts.per_second, _until(saved, state, now))
    return LiveView(
        state=state,
        is_running=snapshot is not None or state == "running",
        can_act=snapshot is not None and may_act,
        note=note,
        paused=_paused(saved.pause) if state == "paused" and saved.pause else "",
        is_blind=saved.is_blind,
        planned=summary.planned,
        succeeded=summary.succeeded,
        failed=summary.failed,
        skipped=summary.skipped,
        cost_usd=summary.cost_usd,
        cost=summary.cost_in_words,
        tokens=summary.input_tokens + summary.output_tokens,
        retried=summary.session.retried,
        refused=counts.refused,
        failures=dict(counts.failures.most_common(12)),
        latencies_s={name: round(value, 4) for name, value in counts.latencies_s.items()},
        ended=tuple(counts.ended),
        failed_in=tuple(counts.failed),
        step_s=step_s,
        over_time=ended_over_time,
        newest=saved.newest,
        saved_at=max(counts.per_second, default=""),
        **_now(snapshot, saved, summary, now if state == "running" else None),
    )


def news_of(reply: Reply) -> dict[str, Any]:
    """Return what a page shows at once of what it has done: fields of `LiveView`."""
    if reply.snapshot is None:
        return {}

    return {"state": _state(reply.snapshot), "limit": reply.snapshot.limit}


def _state(snapshot: Snapshot) -> str:
    if snapshot.summary.stopped_because:
        return "stopping"

    return "paused" if snapshot.is_paused else "running"


def _paused(pause: Action) -> str:
    by = f"by {pause.who} " if pause.who else ""
    return f"{by}since {pause.at[11:16]} UTC{f': {pause.reason}' if pause.reason else ''}"


def _until(saved: Saved, state: str, now: datetime) -> datetime:
    """Return where the figure of runs over time ends: now, or where the session did."""
    last = max(saved.counts.per_second, default="")
    if state in ("running", "paused", "stopping") or not last:
        return now

    return datetime.fromisoformat(last).replace(tzinfo=UTC)


def _now(
    snapshot: Snapshot | None, saved: Saved, summary: StudySummary, now: datetime | None
) -> dict[str, Any]:
    """Return what only a study has that runs."""
    budget = None if saved.study is None else saved.study.budget.max_cost_usd
    if now is None and snapshot is None:
        return {"most_cost_usd": budget}

    left_out = 0 if snapshot is None else snapshot.left_out
    remaining = max(0, summary.undone - left_out)
    rates = () if now is None else rate_of(saved.counts.per_second, now)
    found = {
        "left_out": left_out,
        "rate_per_s": round(sum(rates) / len(rates), 3) if rates else 0.0,
        "left_s": time_left(remaining, rates),
        "forecast_usd": cost_of_all(
            summary.cost_usd, saved.counts.costs, summary.done, summary.remaining
        ),
    }
    if snapshot is None:
        return {**found, "most_cost_usd": budget}

    stalls = f"{snapshot.stalls:,}x, last in {snapshot.culprit}" if snapshot.stalls else ""
    return {
        **found,
        "in_flight": summary.in_flight,
        "limit": snapshot.limit,
        "most_cost_usd": snapshot.settings.get("budget.max_cost_usd"),
        "stalls": stalls,
        "endpoints": snapshot.endpoints,
        "workers": snapshot.workers,
    }

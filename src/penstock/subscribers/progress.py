"""Progress on stderr: a live line on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from time import monotonic
from typing import TextIO

import anyio
from rich.console import Console
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from penstock._base.text import printable
from penstock.events.bus import EventStream, Subscriber
from penstock.events.subscribing import Subscription
from penstock.events.tree import (
    Event,
    LimitChanged,
    LoopStalled,
    RunCancelled,
    RunFinished,
    RunRetried,
    RunsSaved,
    RunStarted,
    StudyFinished,
    StudyStarted,
    StudyStopping,
    StudyWaiting,
    WorkersChanged,
)
from penstock.summary import SessionSummary, StudySummary, WorkerNow

__all__ = ["EVENTS", "Board", "display", "is_shown", "progress", "wanted"]

EVENTS = (
    StudyStarted,
    StudyStopping,
    StudyWaiting,
    StudyFinished,
    RunStarted,
    RunRetried,
    RunCancelled,
    RunFinished,
    RunsSaved,
    LimitChanged,
    LoopStalled,
    WorkersChanged,
)

_REFRESH_S = 0.1
_QUIET_S = 1.0
"""Time goes on also while no run ends: the time left is shown anew."""

_PLAIN_EVERY_S = 10.0
_NAMED_WORKERS = 4
_ECHO_WIDTH = 5
"""Columns left free: a terminal echoes ``^C`` after the last line and must not wrap it."""


def is_shown(wanted: bool | None, pending: int) -> bool:  # noqa: FBT001 - the contract's name
    """Return whether progress is to be shown: as wanted, else where a person watches and waits."""
    return wanted if wanted is not None else pending > 0 and sys.stderr.isatty()


def wanted(shown: bool | None, pending: int) -> list[Subscription]:  # noqa: FBT001
    """Return the subscriber where progress is to be shown (see `is_shown`), else nothing."""
    return [Subscription(progress(), EVENTS)] if is_shown(shown, pending) else []


def progress(out: TextIO | None = None) -> Subscriber:
    """Make the subscriber that shows how a study goes; a run counts as done when it is saved.

    Args:
        out: Where to show it; stderr where not given.
    """

    async def subscriber(stream: EventStream) -> None:
        board = Board()
        with display(out or sys.stderr) as show:
            while (events := await _news(stream)) != []:
                for event in events or ():
                    board.count(event)

                show(board)

    return subscriber


async def _news(stream: EventStream) -> list[Event] | None:
    """Return what has happened: None if nothing for a while, and an empty list at the end."""
    with anyio.move_on_after(_QUIET_S):
        return await stream.batch(1024, linger_s=_REFRESH_S)

    return None


class Board:
    """What is shown: the account of the study as of the last group that was saved, and news."""

    def __init__(self) -> None:
        self.summary = StudySummary(study_id="")
        self.started = self.ended = self.saved = 0
        self.left_out = 0
        self.limit: int | None = None
        self.stalls = 0
        self.culprit = ""
        self.workers: tuple[WorkerNow, ...] = ()
        self.stopping = ""
        self.waiting = ""
        self.is_over = False
        self._begun = self._saved_at = monotonic()

    @property
    def planned(self) -> int:
        """Runs that are planned for this session, or kept from earlier ones."""
        return self.summary.planned - self.left_out

    @property
    def done(self) -> int:
        """Runs that this session need not make; a run that had failed is to be made again."""
        return self.summary.session.done

    def see(
        self, summary: StudySummary, *, lasts_s: float, limit: int | None, left_out: int, news: str
    ) -> None:
        """Show a study that another process runs, or ran.

        Args:
            summary: Where it stands; what it counts is done.
            lasts_s: How long its session lasts by now, in seconds.
            limit: How many runs may be in flight, where that is known.
            left_out: Runs that the session leaves to a later one.
            news: What else there is to say of it.
        """
        self.summary, self.limit, self.left_out, self.waiting = summary, limit, left_out, news
        self.started, self.ended = summary.in_flight, 0
        self.saved = summary.session.done - summary.session.restored
        self._saved_at = monotonic()
        self._begun = self._saved_at - lasts_s
        if summary.stopped_because is not None:
            self.stopping = f"stopping: {' '.join(summary.stopped_because.split())}"

    def count(self, event: Event) -> None:
        """Count what has happened."""
        match event:
            case RunStarted():
                self.started += 1
            case RunFinished() | RunRetried() | RunCancelled():
                self.ended += 1
            case RunsSaved():
                self.summary = event.summary or self.summary
                self.saved += len(event.run_ids)
                self._saved_at = monotonic()
                self.waiting = ""
            case StudyStarted():
                self.summary = event.summary or _opening(event)
                self.left_out = event.left_out
            case LimitChanged(endpoint=None):
                self.limit = event.limit
            case WorkersChanged():
                self.workers = event.workers
            case LoopStalled():
                self.stalls += 1
                self.culprit = event.culprit
                if event.worker is not None:
                    self.culprit += f" of {event.worker}"

            case StudyStopping():
                self.stopping = f"stopping: {' '.join(event.reason.split())}"
            case StudyWaiting():
                self.waiting = f"waiting for {event.subscriber} ({event.behind} events behind)"
            case StudyFinished():
                self.summary = event.summary
                self.is_over = True
                self.ended = self.started  # what was cancelled says nothing
                self.workers = tuple(each for each in self.workers if not each.is_there)

    def text(self) -> str:
        """Return it in one line."""
        took_s = self._saved_at - self._begun
        rate = self.saved / took_s if took_s > 0 else 0.0
        summary = self.summary
        parts = [
            f"{self.done:,}/{self.planned:,} done",
            f"{self.started - self.ended:,} in flight{self._limit()}",
            f"{rate:,.1f}/s",
        ]
        if rate > 0 and not self.is_over and not self.stopping:
            left_s = (self.planned - self.done) / rate - (monotonic() - self._saved_at)
            parts.append(f"{timedelta(seconds=max(0, round(left_s)))} left")

        parts.append(f"{summary.succeeded:,} succeeded, {summary.failed:,} failed")
        if summary.session.retried:
            parts.append(f"{summary.session.retried:,} retried")

        if tokens := summary.input_tokens + summary.output_tokens:
            parts.append(f"{tokens:,} tokens")

        if summary.cost_in_words:
            parts.append(summary.cost_in_words)

        if self.workers:
            parts.append(_of_workers(self.workers))

        if self.stalls:
            parts.append(f"event loop stalled {self.stalls:,}x, last in {self.culprit}")

        parts += filter(None, (self.stopping, self.waiting))
        return printable(" · ".join(parts))

    def _limit(self) -> str:
        return "" if self.limit is None else f" of {self.limit:,} at most"


def _of_workers(workers: Sequence[WorkerNow]) -> str:
    """Return what workers do; the first are named where there are many."""
    there = [each for each in workers if each.is_there]
    gone = [each for each in workers if not each.is_there]
    said = [f"{each.worker} {each.in_flight:,} in flight, {each.ended:,} ended" for each in there]
    if len(said) > _NAMED_WORKERS:
        said[_NAMED_WORKERS:] = [f"{len(said) - _NAMED_WORKERS:,} more workers"]

    if gone:
        runs = sum(each.lost for each in gone)
        said.append(f"{len(gone):,} lost with {runs:,} runs, last {gone[-1].worker}")

    return " · ".join(said)


def _opening(event: StudyStarted) -> StudySummary:
    session = SessionSummary(restored=event.restored)
    return StudySummary(study_id=event.study_id, planned=event.planned, session=session)


def display(out: TextIO) -> AbstractContextManager[Callable[[Board], None]]:
    """Yield a function that shows a board: a live line on a terminal, else a line now and then.

    A terminal that can write nothing anew (``TERM=dumb``) would show the last line alone.
    """
    console = Console(file=out)
    is_live = out.isatty() and not console.is_dumb_terminal
    return _terminal(console) if is_live else _plain(out)


@contextmanager
def _terminal(console: Console) -> Iterator[Callable[[Board], None]]:
    with Live(console=console, auto_refresh=False, redirect_stdout=False) as live:

        def show(board: Board) -> None:
            line = Table.grid(padding=(0, 1))
            line.add_row(
                Text(board.summary.study_id),  # a plain string would be read as markup
                ProgressBar(total=max(1, board.planned), completed=board.done, width=24),
            )
            table = Table.grid()
            table.add_row(line)
            table.add_row(Text(board.text()), style="dim")
            live.update(Constrain(table, console.width - _ECHO_WIDTH), refresh=True)

        yield show


@contextmanager
def _plain(out: TextIO) -> Iterator[Callable[[Board], None]]:
    shown_at = -_PLAIN_EVERY_S

    def show(board: Board) -> None:
        nonlocal shown_at
        if board.is_over or monotonic() - shown_at >= _PLAIN_EVERY_S:
            shown_at = monotonic()
            print(f"{board.summary.study_id}: {board.text()}", file=out, flush=True)

    yield show

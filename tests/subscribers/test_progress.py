from __future__ import annotations

import io
import os
import pty
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from penstock.events import (
    Event,
    LimitChanged,
    LoopStalled,
    RunFailed,
    RunRetried,
    RunsSaved,
    RunStarted,
    RunSucceeded,
    StudyFinished,
    StudyStarted,
    StudyStopping,
    StudyWaiting,
    WorkersChanged,
)
from penstock.events.bus import EventBus
from penstock.subscribers.progress import EVENTS, is_shown, progress
from penstock.summary import SessionSummary, Spent, StudySummary, WorkerNow
from tests.builders import make_error, make_event, make_plan, make_result

pytestmark = pytest.mark.anyio

PLAN = make_plan(list(range(10)))


def of_run(kind: type[Event], position: int, **fields: Any) -> Event:
    spec = PLAN[position]
    if kind is RunStarted:
        return make_event(kind, run_id=spec.run_id, spec=spec, attempt=1)

    error = None if kind is RunSucceeded else make_error()
    metrics = {"cost_usd": 0.25, "input_tokens": 600, "output_tokens": 400}
    result = make_result(spec, error=error, metrics=metrics)
    return make_event(kind, run_id=spec.run_id, result=result, **fields)


def account(succeeded: int = 0, failed: int = 0, retried: int = 0) -> StudySummary:
    """Where a study of 1,010 runs stands of which an earlier session had made 1,000 for $9."""
    made = succeeded + failed + retried
    agents = Spent(cost_usd=0.25 * made, input_tokens=600 * made, output_tokens=400 * made)
    session = SessionSummary(
        restored=1000, succeeded=succeeded, failed=failed, retried=retried, agents=agents
    )
    return StudySummary(
        study_id="tested",
        planned=1010,
        succeeded=1000 + succeeded,
        failed=failed,
        agents=agents + Spent(cost_usd=9.0),
        session=session,
    )


def saved(*positions: int, **counts: int) -> Event:
    run_ids = tuple(PLAN[i].run_id for i in positions)
    return make_event(RunsSaved, run_ids=run_ids, summary=account(**counts))


def a_study() -> list[Event]:
    """Four attempts that are over: two saved, one of them failed; one not yet; one tried again."""
    return [
        make_event(StudyStarted, planned=1010, restored=1000, summary=account()),
        *(of_run(RunStarted, i) for i in range(5)),
        of_run(RunSucceeded, 0),
        of_run(RunFailed, 1),
        of_run(RunRetried, 3, wait_s=1.0),
        saved(0, 1, succeeded=1, failed=1, retried=1),
        of_run(RunSucceeded, 2),
    ]


ALL = account(succeeded=2, failed=1, retried=1)
FINISHED = make_event(StudyFinished, summary=ALL)


async def shown(out: Any, events: Iterable[Event]) -> None:
    bus = EventBus()
    stream = bus.open(*EVENTS)
    for event in events:
        bus.publish(event)

    bus.close()
    await progress(out)(stream)


async def lines_of(events: Iterable[Event]) -> list[str]:
    out = io.StringIO()
    await shown(out, events)
    return out.getvalue().splitlines()


async def test_a_plain_line_shows_the_counts_and_a_saved_run_is_a_done_one() -> None:
    (line,) = await lines_of(a_study())

    assert line.startswith("tested: 1,002/1,010 done · 1 in flight · ")
    assert "1,001 succeeded, 1 failed · 1 retried · 3,000 tokens · $9.7500" in line
    assert re.search(r"[\d,.]+/s · \d+:\d\d:\d\d left", line)


async def test_what_is_not_known_is_not_shown() -> None:
    (line,) = await lines_of([make_event(StudyStarted, planned=10, restored=0)])

    assert line == "tested: 0/10 done · 0 in flight · 0.0/s · 0 succeeded, 0 failed"


async def test_the_end_is_shown_with_nothing_left_and_nothing_in_flight() -> None:
    (line,) = await lines_of([*a_study(), saved(2, succeeded=2, failed=1, retried=1), FINISHED])

    assert "1,003/1,010 done · 0 in flight" in line
    assert "left" not in line


async def test_a_limit_that_changes_is_shown_beside_what_is_in_flight() -> None:
    of_runs = [make_event(LimitChanged, limit=limit, reason="why") for limit in (2000, 1000)]
    of_calls = make_event(LimitChanged, limit=7, reason="why", endpoint="http://model/v1")

    (line,) = await lines_of([*a_study(), *of_runs, of_calls])
    assert "1 in flight of 1,000 at most · " in line


async def test_a_loop_that_stands_still_is_counted_and_its_last_culprit_named() -> None:
    stalls = [make_event(LoopStalled, duration_s=0.3, culprit=each, stack="") for each in "ab"]

    (line,) = await lines_of([*a_study(), *stalls])
    assert line.endswith(" · event loop stalled 2x, last in b")


async def test_what_workers_do_is_told_of_some_of_them_and_which_were_lost() -> None:
    there = [WorkerNow(worker=f"worker-{each}", in_flight=7, ended=1200) for each in range(1, 7)]
    gone = WorkerNow(worker="worker-9", in_flight=0, ended=3, lost=5, is_there=False)
    few = make_event(WorkersChanged, workers=(there[0], gone))
    many = make_event(WorkersChanged, workers=tuple(there))

    (line,) = await lines_of([*a_study(), many, few])
    assert line.endswith(" · worker-1 7 in flight, 1,200 ended · 1 lost with 5 runs, last worker-9")
    (line,) = await lines_of([*a_study(), few, many])
    assert line.endswith("worker-4 7 in flight, 1,200 ended · 2 more workers")
    (line,) = await lines_of([*a_study(), make_event(WorkersChanged, workers=())])
    assert "worker" not in line


async def test_a_study_that_stops_or_waits_says_why() -> None:
    stopping = make_event(StudyStopping, reason="spent\n too   much")
    waiting = make_event(StudyWaiting, subscriber="slow", behind=1025)

    (said_stopping,) = await lines_of([*a_study(), stopping])
    (said_waiting,) = await lines_of([*a_study(), waiting])
    (waited,) = await lines_of([*a_study(), waiting, saved(2)])

    assert said_stopping.endswith("stopping: spent too much")
    assert said_waiting.endswith("waiting for slow (1025 events behind)")
    assert "waiting" not in waited


async def test_text_of_unknown_origin_cannot_rewrite_the_screen() -> None:
    (line,) = await lines_of([*a_study(), make_event(StudyStopping, reason="\x1b[2J gone \ud83d")])

    assert "\x1b" not in line
    assert "gone" in line


def read_to_the_end(terminal: int) -> bytes:
    chunks = []
    with os.fdopen(terminal, "rb", buffering=0) as screen, suppress(OSError):  # its end is an error
        while chunk := screen.read(4096):
            chunks.append(chunk)

    return b"".join(chunks)


async def on_a_terminal(events: Iterable[Event]) -> str:
    """What a person sees, with the sequences that move the cursor and colour taken out."""
    ours, theirs = pty.openpty()
    with ThreadPoolExecutor(1) as threads:
        screen = threads.submit(read_to_the_end, ours)  # a terminal holds 4 KB, then it blocks
        with os.fdopen(theirs, "w") as terminal:
            await shown(terminal, events)

        written = screen.result().decode()

    assert "\x1b[" in written
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)


async def test_a_terminal_shows_the_same_counts_beside_a_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm-256color")

    seen = await on_a_terminal(a_study())

    assert "tested" in seen
    assert "━" in seen
    assert "1,002/1,010 done · 1 in flight" in seen
    assert "1,001 succeeded, 1 failed · 1 retried · 3,000 tokens · $9.7500" in seen


async def test_a_terminal_that_can_write_nothing_anew_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    await shown(out, [*a_study(), FINISHED])

    assert out.getvalue().startswith("tested: 1,003/1,010 done")
    assert "\x1b" not in out.getvalue()


async def test_square_brackets_are_shown_and_not_read_as_markup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("TERM", "xterm-256color")
    stopping = make_event(StudyStopping, reason="a [/] and a [bold] in it")
    started = make_event(StudyStarted, planned=1, restored=0, study_id="[draft] [/study]")

    seen = await on_a_terminal([started, stopping])

    assert "[draft] [/study]" in seen
    assert "a [/] and a [bold] in it" in seen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("wanted", "pending", "stderr", "expected"),
    [
        (True, 0, io.StringIO(), True),
        (False, 5, Terminal(), False),
        (None, 5, Terminal(), True),
        (None, 0, Terminal(), False),
        (None, 5, io.StringIO(), False),
    ],
)
async def test_progress_is_shown_where_a_person_watches_and_something_is_to_come(
    wanted: bool | None,
    pending: int,
    stderr: io.StringIO,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)

    assert is_shown(wanted, pending) is expected


async def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    await shown(None, a_study())

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "1,002/1,010 done" in captured.err

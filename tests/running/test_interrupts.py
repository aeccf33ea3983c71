"""A person interrupts a study once to stop it, twice to cancel, and three times to leave it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import penstock as ps
from penstock.running import interrupts
from penstock.running.interrupts import run_interruptibly
from penstock.store.reader import StoreReader
from tests.builders import make_study

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


class FakeRunner:
    """Raises signals at itself, and notes what it is told to do about each."""

    def __init__(self, *signals: signal.Signals, error: Exception | None = None) -> None:
        self.signals = signals
        self.error = error
        self.told: list[str] = []
        self._is_told = anyio.Event()

    async def run(self) -> None:
        for each in self.signals:
            self._is_told = anyio.Event()
            signal.raise_signal(each)
            await self._is_told.wait()

        if self.error is not None:
            raise self.error

    def stop(self, reason: str) -> None:
        self.told.append(f"stop: {reason}")
        self._is_told.set()

    def cancel(self, reason: str) -> None:
        self.told.append(f"cancel: {reason}")
        self._is_told.set()

    def save_at_once(self) -> int:
        self.told.append("save")
        return 0


class Left(BaseException):
    """The process would have ended here."""


class Blocked(FakeRunner):
    """A study whose event loop stands still while it is interrupted."""

    async def run(self) -> None:
        for each in self.signals:
            signal.raise_signal(each)


def leave(said: str) -> None:
    raise Left(said)


def run(runner: FakeRunner, on_interrupt: Callable[[str], None] = lambda _: None) -> bool:
    """Run in a loop of its own: what is left in the loop at the end is cancelled."""
    return anyio.run(partial(run_interruptibly, runner, on_interrupt))


def test_the_first_signal_stops_the_study_and_the_next_cancels_it() -> None:
    runner = FakeRunner(signal.SIGTERM, signal.SIGINT)
    said: list[str] = []

    assert run(runner, said.append)
    assert runner.told == [
        "stop: interrupted by SIGTERM",
        "cancel: interrupted by SIGINT",
    ]
    assert said == [
        "SIGTERM: runs in flight end; once more leaves at once",
        "SIGINT: runs in flight are cancelled; once more leaves at once",
    ]


@pytest.mark.field("studies-B1")
@pytest.mark.parametrize(
    "signals", [(INT, INT, INT), (TERM, TERM), (INT, TERM, TERM), (TERM, INT, HUP), (HUP, HUP, INT)]
)
def test_the_third_signal_and_the_second_sigterm_leave_a_loop_that_stands_still(
    signals: Sequence[signal.Signals], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupts, "_SAME_S", 0.0)
    runner = Blocked(*signals)
    said: list[str] = []

    with pytest.raises(Left, match=rf"^{signals[-1].name}: left at once; what had ended is saved"):
        anyio.run(partial(run_interruptibly, runner, said.append, leave))

    assert runner.told[0] == "save"  # before the event loop has done anything
    assert len(said) == len(signals) - 1


@pytest.mark.field("studies-B1")
def test_code_that_lets_no_handler_run_is_left_by_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "_CATCH_UP_S", 0.0)
    left, told = threading.Event(), list[str]()

    class InC(FakeRunner):
        async def run(self) -> None:
            pipe = signal.set_wakeup_fd(-1)
            signal.set_wakeup_fd(pipe)
            os.write(pipe, bytes(self.signals))  # as the system does; no handler is called
            assert await anyio.to_thread.run_sync(left.wait, 30)

    def leave_from_thread(said: str) -> None:
        told.append(f"{said} in {threading.current_thread().name}")
        left.set()

    runner = InC(INT, HUP, INT)
    anyio.run(partial(run_interruptibly, runner, lambda _: None, leave_from_thread))

    (said,) = told
    assert said.startswith("SIGINT: left at once; what had ended is saved")
    assert said.endswith("in penstock-signals")
    assert runner.told == ["save"]


@pytest.mark.parametrize("is_blocked", [True, False])
def test_two_sigterms_at_once_leave_a_loop_that_hears_of_neither(
    is_blocked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupts, "_SAME_S", 1e6)
    waited, go_on, told = threading.Event(), threading.Event(), list[str]()

    def wait(_: float) -> None:
        waited.set()
        assert go_on.wait(30)

    class Stopping(FakeRunner):
        async def run(self) -> None:
            for each in self.signals:
                signal.raise_signal(each)

            if not is_blocked:
                await anyio.lowlevel.checkpoint()

            assert waited.wait(30)
            go_on.set()
            if is_blocked:
                assert left.wait(30)

    left = threading.Event()

    def leave_from_thread(said: str) -> None:
        told.append(said)
        left.set()

    monkeypatch.setattr(interrupts, "sleep", wait)
    runner = Stopping(TERM, TERM)
    anyio.run(partial(run_interruptibly, runner, lambda _: None, leave_from_thread))

    assert len(told) == is_blocked
    assert "stop: interrupted by SIGTERM" in runner.told  # as soon as the loop goes on


def test_a_sigterm_that_comes_twice_at_once_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "_SAME_S", 1e6)
    runner = Blocked(TERM, TERM, INT)
    said: list[str] = []

    assert anyio.run(partial(run_interruptibly, runner, said.append, leave))
    assert [each.partition(":")[0] for each in said] == ["SIGTERM", "SIGINT"]


def test_who_does_not_wait_for_what_has_ended_to_be_saved_leaves_without() -> None:
    class Slow(Blocked):
        def save_at_once(self) -> int:
            signal.raise_signal(INT)
            raise AssertionError("unreachable")

    with pytest.raises(Left, match="left at once; what was saved before is safe"):
        anyio.run(partial(run_interruptibly, Slow(INT, INT, INT), lambda _: None, leave))


def test_what_cannot_be_saved_keeps_nobody_from_leaving() -> None:
    class Full(Blocked):
        def save_at_once(self) -> int:
            raise OSError("no space left")

    with pytest.raises(Left, match=r"the last results were not \(no space left\)"):
        anyio.run(partial(run_interruptibly, Full(INT, INT, INT), lambda _: None, leave))


def test_afterwards_signals_do_what_they_did_before() -> None:
    before = [signal.getsignal(each) for each in (INT, TERM, HUP)]
    run(FakeRunner(INT))

    assert [signal.getsignal(each) for each in (INT, TERM, HUP)] == before


@pytest.mark.field("studies-SEC3")
def test_the_third_ctrl_c_ends_what_blocks_run_study_and_what_had_ended_is_saved(
    tmp_path: Path,
) -> None:
    saved: list[int] = []

    async def agent(ctx: ps.RunContext) -> str:
        if ctx.started_order == 10:
            for _ in range(3):  # it takes no notice of the first two: the loop is not there
                signal.raise_signal(INT)

            saved.append(-1)

        return "42"

    with pytest.raises(KeyboardInterrupt):
        ps.run_study(
            make_study(replicates=10), agent_bindings={"agent-a": agent}, output_dir=tmp_path
        )

    assert saved == []
    with StoreReader(tmp_path) as store:
        assert len(list(store.results())) == 9


def test_a_study_that_nobody_interrupts_was_not_interrupted() -> None:
    runner = FakeRunner()

    assert not run(runner)
    assert runner.told == []


def test_what_the_study_raises_is_raised_as_it_is() -> None:
    error = ValueError("no good")

    with pytest.raises(ValueError, match="no good") as raised:
        run(FakeRunner(signal.SIGINT, error=error))

    assert raised.value is error


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        class Hearing(FakeRunner):
            async def run(self) -> None:
                assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
                signal.raise_signal(signal.SIGHUP)

        assert not run(Hearing())
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_it_only_runs_the_study() -> None:
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(run(FakeRunner())))
    thread.start()
    thread.join()

    assert results == [False]

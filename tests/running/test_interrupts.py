"""A person interrupts a study once to stop it, and twice to cancel what is in flight."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import partial

import anyio
import pytest

from penstock.running.interrupts import run_interruptibly


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


def run(runner: FakeRunner, on_interrupt: Callable[[str], None] = lambda _: None) -> bool:
    """Run in a loop of its own: what is left in the loop at the end is cancelled."""
    return anyio.run(partial(run_interruptibly, runner, on_interrupt))


def test_the_first_signal_stops_the_study_and_the_next_cancel_it() -> None:
    runner = FakeRunner(signal.SIGTERM, signal.SIGINT, signal.SIGINT)
    said: list[str] = []

    assert run(runner, said.append)
    assert runner.told == [
        "stop: interrupted by SIGTERM",
        "cancel: interrupted by SIGINT",
        "cancel: interrupted by SIGINT",
    ]
    assert said == [
        "SIGTERM: runs in flight end; once more cancels them",
        "SIGINT: runs in flight are cancelled",
        "SIGINT: runs in flight are cancelled",
    ]


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

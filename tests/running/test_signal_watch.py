from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from penstock.running.signal_watch import heard_in_thread


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_is_heard_inside_the_block_and_not_after_it() -> None:
    heard: SimpleQueue[int] = SimpleQueue()
    with heard_in_thread(heard.put):
        signal.raise_signal(signal.SIGUSR1)
        assert heard.get(timeout=30) == signal.SIGUSR1

    signal.raise_signal(signal.SIGUSR1)
    assert heard.empty()
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("is_before", [True, False])
def test_whoever_hears_signals_this_way_goes_on_to(is_before: bool) -> None:
    heard: SimpleQueue[int] = SimpleQueue()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        if is_before:
            signal.set_wakeup_fd(theirs.fileno())

        with heard_in_thread(heard.put):
            signal.set_wakeup_fd(theirs.fileno())
            signal.raise_signal(signal.SIGUSR1)

        assert signal.set_wakeup_fd(-1) == theirs.fileno()
        assert ours.recv(1) == bytes([signal.SIGUSR1])

    assert heard.empty()

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from penstock.running.watchdog.thread_time import thread_time

DESCRIPTORS = Path("/proc/self/fd")


def test_a_threads_computing_is_read_from_another_and_its_waiting_is_none() -> None:
    ready, go, computed, leave = (threading.Event() for _ in range(4))
    readers = []

    def work() -> None:
        with thread_time() as read:
            readers.append(read)
            ready.set()
            go.wait()
            begun_at = time.thread_time()
            while time.thread_time() - begun_at < 0.05:
                pass

            computed.set()
            leave.wait()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    (read,) = readers
    before = read()
    go.set()
    computed.wait()
    after = read()
    leave.set()
    thread.join()

    assert 0.05 <= after.computed_s - before.computed_s < 0.5
    assert after.queued_s >= before.queued_s >= 0.0


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="Linux only")
def test_the_file_it_reads_is_closed_with_it() -> None:
    before = len(list(DESCRIPTORS.iterdir()))
    with thread_time():
        pass

    assert len(list(DESCRIPTORS.iterdir())) == before


def test_where_the_system_tells_less_the_process_s_time_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> int:
        raise FileNotFoundError

    monkeypatch.delattr(time, "pthread_getcpuclockid")
    monkeypatch.setattr(os, "open", refuse)
    with thread_time() as read:
        assert read().queued_s == 0.0
        assert read().computed_s > 0.0

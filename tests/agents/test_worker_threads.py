from __future__ import annotations

import threading
import time

import anyio
import pytest

from penstock.agents import worker_threads
from penstock.agents.worker_threads import run_in_thread

pytestmark = pytest.mark.anyio


@pytest.mark.field("studies-SEC13")
async def test_where_little_memory_is_left_calls_wait_for_the_threads_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_threads, "has_room_for_thread", lambda: False)
    threads = anyio.CapacityLimiter(100)
    at_work, most = 0, 0

    def work() -> int:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        time.sleep(0)
        at_work -= 1
        return threading.get_ident()

    done: list[int] = []

    async def call() -> None:
        done.append(await run_in_thread(work, threads))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(call)

    assert (len(done), most, threads.total_tokens) == (20, 1, 1)

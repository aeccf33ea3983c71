"""Waits, and how threads reach the loop."""

from __future__ import annotations

import asyncio  # noqa: TID251 - its clock is what is put forward

import anyio
import anyio.lowlevel
import pytest

from penstock._base import loop
from penstock._base.loop import Once, call_soon_from_threads, undisturbed

pytestmark = [pytest.mark.anyio, pytest.mark.field("studies-M6")]


@pytest.mark.field("studies-SEC13")
async def test_a_thread_that_finds_no_memory_to_reach_the_loop_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = asyncio.get_running_loop()
    real, tries = running.call_soon_threadsafe, []

    def short_of_memory(*arguments: object) -> object:
        tries.append(arguments)
        if len(tries) < 3:
            raise MemoryError

        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "_PAUSE_S", 0.0)
    monkeypatch.setattr(running, "call_soon_threadsafe", short_of_memory)
    called = anyio.Event()
    call_soon_from_threads()(called.set)
    await called.wait()

    assert len(tries) == 3


@pytest.mark.parametrize("happens_first", [True, False], ids=["has happened", "is still to come"])
async def test_whoever_is_cancelled_waits_again_for_what_happens_once(happens_first: bool) -> None:
    once = Once()
    task = asyncio.ensure_future(undisturbed(once.wait))
    await anyio.lowlevel.checkpoint()
    if happens_first:
        once.set()

    task.cancel()
    await anyio.lowlevel.checkpoint()
    once.set()
    await task
    await once.wait()

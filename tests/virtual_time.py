"""Time that passes only while nothing happens: a test marked ``virtual_time`` runs on such a loop.

Sockets, SQLite and threads are real, and take no time at all; a sleep or a timeout takes exactly as
long as it says, and the test does not wait for it. Whoever was to come first comes first, however
busy the machine is.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - it is a loop of asyncio's that is made
import inspect
import selectors
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import pytest
from anyio._backends._asyncio import AsyncIOBackend

from penstock._base.crew import ThreadCall

__all__ = ["VirtualLoop", "keep_virtual_time"]

_BEGIN_S = 1000.0
_DELIVERY_S = 0.001
"""How long a loop waits for what a socket may still deliver, before it lets time pass."""

_USED = ("penstock.run", "penstock.models.chat_agent", "penstock.simulator")
"""What a test may run, all of it imported before the clocks are replaced."""

_REAL = ("penstock.running.watchdog",)
"""What watches the machine itself goes on reading the machine's clock."""


class _Selector(selectors.DefaultSelector):
    """Lets the time pass that a loop would wait, unless something comes or a thread works."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = _BEGIN_S
        self.at_work = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)

        if self.at_work:
            return super().select(None)  # the thread wakes the loop when it is done

        has_sockets = len(self.get_map()) > 1  # one is the loop's own
        ready = super().select(_DELIVERY_S if has_sockets else 0)
        if not ready:
            self.now_s += timeout

        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop of asyncio's on a clock of its own."""

    def __init__(self) -> None:
        self.selector = _Selector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now_s

    def counting(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Let no time pass while a call is made in a thread."""

        async def counted(*args: Any, **options: Any) -> Any:
            self.selector.at_work += 1
            try:
                return await call(*args, **options)
            finally:
                self.selector.at_work -= 1

        return counted

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self.selector.at_work += 1
        future.add_done_callback(self._end_work)
        return future

    def create_future(self) -> asyncio.Future[Any]:
        """Count what a thread of aiosqlite's is asked to do, until it is done."""
        future = super().create_future()
        if sys._getframe(1).f_globals["__name__"].startswith("aiosqlite"):
            self.selector.at_work += 1
            future.add_done_callback(self._end_work)

        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait for its threads, however much of this time passes: from 3.12 on 300 s are enough."""
        await super().shutdown_default_executor()

    def _end_work(self, _: asyncio.Future[Any]) -> None:
        self.selector.at_work -= 1


def keep_virtual_time(monkeypatch: pytest.MonkeyPatch) -> VirtualLoop:
    """Make a loop, and let all of penstock read its clock."""
    for name in _USED:
        import_module(name)

    loop = VirtualLoop()
    in_a_thread = AsyncIOBackend.run_sync_in_worker_thread
    monkeypatch.setattr(AsyncIOBackend, "run_sync_in_worker_thread", loop.counting(in_a_thread))
    monkeypatch.setattr(ThreadCall, "over", loop.counting(ThreadCall.over))
    virtual = {
        id(time.monotonic): loop.time,
        id(time.perf_counter): loop.time,
    }
    for name, module in list(sys.modules.items()):
        if name.startswith("penstock.") and not name.startswith(_REAL):
            _replace(vars(module), virtual, monkeypatch)

    return loop


def _replace(
    names: dict[str, Any], virtual: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replace the clocks that a module has imported, or that are defaults in it."""
    for name, value in list(names.items()):
        if id(value) in virtual:
            monkeypatch.setitem(names, name, virtual[id(value)])
        elif inspect.isclass(value) and value.__module__ == names["__name__"]:
            defaults = getattr(value.__init__, "__kwdefaults__", None) or {}
            for option, default in list(defaults.items()):
                if id(default) in virtual:
                    monkeypatch.setitem(defaults, option, virtual[id(default)])

"""Random hosts, a few here and thousands with ``make hosts``: see `tests.random_host.host`.

``PENSTOCK_HOSTS`` tells how many there are of each kind of event loop, ``PENSTOCK_HOSTS_FROM``
the first seed. A host that fails is told with its seed, and is run alone with both.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the event loops that hosts have
import gc
import os
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.random_host.host import Host

HOSTS = int(os.environ.get("PENSTOCK_HOSTS", "40"))
AT_ONCE = 20
"""Hosts of one test: each test has a limit of time."""

FIRST = int(os.environ.get("PENSTOCK_HOSTS_FROM", "0"))
IS_EAGER = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks come with 3.12")
HAS_UVLOOP = pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not installed")
LOOPS = [
    pytest.param("asyncio", False, id="asyncio"),
    pytest.param("uvloop", False, id="uvloop", marks=HAS_UVLOOP),
    pytest.param("asyncio", True, id="asyncio, eager", marks=IS_EAGER),
    pytest.param("uvloop", True, id="uvloop, eager", marks=[HAS_UVLOOP, IS_EAGER]),
]


def loop_factory(kind: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if kind == "asyncio":
        return asyncio.new_event_loop

    import uvloop

    return uvloop.new_event_loop


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("first", range(FIRST, FIRST + HOSTS, AT_ONCE))
@pytest.mark.parametrize(("kind", "is_eager"), LOOPS)
def test_whatever_agents_subscribers_and_hosts_do_what_must_hold_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, is_eager: bool, first: int
) -> None:
    for name in ("runner.LEFT_AFTER_S", "events.subscribing.LEFT_AFTER_S"):
        monkeypatch.setattr(f"penstock.{name}", 0.05)  # hanging subscribers are left sooner

    monkeypatch.setattr("penstock.events.subscribing._SAID_AFTER_S", 0.05)

    async def every() -> list[Host]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_hear_nothing)
        if is_eager:
            loop.set_task_factory(_eager_task)

        hosts = [Host(seed, tmp_path) for seed in range(first, min(first + AT_ONCE, FIRST + HOSTS))]
        for host in hosts:
            await host.run()

        return hosts

    threads = {*threading.enumerate()}
    with asyncio.Runner(loop_factory=loop_factory(kind)) as runner:
        made = runner.run(every())

    gc.collect()
    violations = [violation for host in made for violation in host.violations]
    for thread in {*threading.enumerate()} - threads:
        thread.join(60.0)  # those that are idle end by themselves
        if thread.is_alive():
            violations.append(f"a thread is left: {thread}")

    print(f"{len(made)} studies, {sum(host.sessions for host in made)} sessions, ", end="")
    print(f"{sum(host.runs for host in made)} calls")
    assert not violations, "\n".join(violations)


def _eager_task(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task that begins at once; asyncio's own factory refuses what uvloop gives on 3.13."""
    return asyncio.Task(coroutine, loop=loop, **{**options, "eager_start": True})


def _hear_nothing(loop: Any, context: Any) -> None:
    """Scopes that agents leak are told to the loop when they are collected."""

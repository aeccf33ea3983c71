"""What every test may use."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.children import end_server

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
LIMIT_S = 300.0
"""How long a test may take: some ten times what the longest needs on a busy machine."""
LEAVING_S = 60.0
"""How long the last threads and processes may take to end, when all tests have."""

count_frozen_objects = gc.get_freeze_count
"""Python's own function, for tests of the garbage collector: see `pytest_collection_finish`."""

# How long an example takes tells of the machine, not of the code.
settings.register_profile(
    "penstock", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("penstock")


def pytest_configure(config: pytest.Config) -> None:
    """Give each test a limit, unless ``--timeout`` gives another (0: none).

    Beyond it the whole process ends, with the stacks of all threads. The gentler method, a signal
    that raises in the main thread, waits for that thread to run Python again, and a test that
    shields itself from cancellation or catches everything would swallow what it raises. A worker
    that ends is replaced, and its test counts as failed; nothing hangs, and the other tests go on.
    """
    if config.pluginmanager.hasplugin("timeout") and config.option.timeout is None:
        config.option.timeout = LIMIT_S
        config.option.timeout_method = "thread"


def pytest_collection_finish() -> None:
    """Leave what was collected out of every later garbage collection.

    A process that has collected thousands of tests holds millions of objects, and each study that
    is run in one call, which has the process for itself, would look at all of them: 0.3 s. Such a
    study also asks how many objects are frozen, which Python answers by counting them: 0.09 s.

    Modules that tests write are not compiled for later: one that is edited within a second would be
    taken for what it was.
    """
    sys.dont_write_bytecode = True
    gc.collect()
    gc.freeze()
    frozen = gc.get_freeze_count()
    pytest.MonkeyPatch().setattr(gc, "get_freeze_count", lambda: frozen)


@pytest.fixture(scope="session", autouse=True)
def nothing_left() -> Iterator[None]:
    """See that no thread and no process is left by any test: it would slow down all that follow."""
    os.environ["TESTS_OF"] = str(os.getpid())
    threads = {*threading.enumerate()}
    yield
    end_server()
    for thread in {*threading.enumerate()} - threads:
        if not thread.daemon and not thread.name.startswith("pytest_timeout"):
            thread.join(LEAVING_S)
            assert not thread.is_alive(), f"a thread is left: {thread}"

    deadline = time.monotonic() + LEAVING_S
    while left := processes_with(f"TESTS_OF={os.getpid()}"):
        assert time.monotonic() < deadline, f"processes are left: {left}"
        time.sleep(0.05)


def processes_with(mark: str) -> dict[int, str]:
    """List the other processes whose environment says something, by their ids, where /proc does."""
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it is another's, or has ended
            said = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_text("utf-8", "replace").replace("\0", " ")
            is_of_python = "multiprocessing" in command  # it ends with this process
            if mark.encode() in said and int(folder.name) != os.getpid() and not is_of_python:
                found[int(folder.name)] = command[:200]

    return found


@pytest.fixture(autouse=True)
def host_without_a_logger() -> None:
    """Take back what an earlier test has configured: a study would log where that one wanted."""
    structlog.reset_defaults()


@pytest.fixture
def anyio_backend(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run async tests on asyncio; the store's driver runs on nothing else."""
    if request.node.get_closest_marker("virtual_time") is None:
        yield "asyncio", {}
        return

    from tests.virtual_time import keep_virtual_time  # it imports most of penstock

    loop = keep_virtual_time(monkeypatch)
    yield "asyncio", {"loop_factory": lambda: loop}
    loop.close()  # which nobody has begun, where another fixture has skipped the test


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """Ids, orders and values that studies had before this code: ``tests/data/README.md``."""
    values: dict[str, Any] = json.loads((DATA / "golden.json").read_text(encoding="utf-8"))
    return values


@pytest.fixture(scope="session")
def gsm8k() -> Path:
    """The folder of GSM8K's problems and recorded answers, which are not part of this project."""
    folder = Path(os.environ.get("GSM8K_DIR", ROOT.parent / "shared" / "data" / "gsm8k"))
    if not folder.is_dir():
        pytest.skip(
            f"no GSM8K in {folder}: docs/examples/gsm8k/README.md tells what it takes; "
            "set GSM8K_DIR to the folder"
        )

    return folder

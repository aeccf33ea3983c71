"""A worker's event loop, which has a thread of its own: its stalls are told as the driver's are."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from penstock.engines.boot import boot_of
from penstock.engines.engine import Batch
from penstock.engines.host_thread import HostThread
from penstock.engines.leasing import Leasing
from penstock.engines.local import LocalEngine
from penstock.engines.messages import Ended, Lease, Stalled, read_from_worker, written
from penstock.events import LoopStalled
from penstock.running.checking import prepare
from penstock.study.execution import Execution
from tests.engines.studies import AGENTS, write_study

BLOCKING = """
import pathlib
import time


async def blocking(ctx):
    while not pathlib.Path(__file__).with_name("told").exists():
        time.sleep(0.25)
        await anyio.sleep(0.01)

    return "x"
"""


@pytest.fixture
def stalled(tmp_path: Path) -> tuple[Any, list[Any]]:
    """What workers begin with, and what one says of which an agent blocks the event loop."""
    study = write_study(tmp_path / "study", "blocking", code=AGENTS + BLOCKING)
    plan, bindings = prepare(study).ready()
    execution = Execution(stall_threshold_s=0.05)
    boot = boot_of(study, plan, bindings, execution, isolate_random=True)
    has_ended = Event()

    def hear() -> None:
        said = b"".join(hosted.batches.values())
        if b'"Stalled"' in said:
            (tmp_path / "study" / "told").touch()

        if b'"Ended"' in said:
            has_ended.set()

    hosted = HostThread(boot, hear)
    hosted.wait_until_ready()
    assert not hosted.refusal
    hosted.receive(written([Lease(lease=1, position=0, attempt=1)]))
    assert has_ended.wait(30)
    hosted.close()
    return boot, [each for batch in hosted.batches.values() for each in read_from_worker(batch)]


def test_a_worker_says_in_which_run_its_event_loop_stood_still(
    stalled: tuple[Any, list[Any]],
) -> None:
    boot, said = stalled
    first = next(each for each in said if isinstance(each, Stalled))
    assert ":blocking (" in first.culprit
    assert "time.sleep" in first.stack
    assert first.run_id == next(each.run_id for each in said if isinstance(each, Ended))
    told: list[Any] = []
    leasing = Leasing(LocalEngine(), boot, {}, print, lambda kind, **of: told.append((kind, of)))
    leasing._take(Batch("worker-1", 1, [first]))
    assert told == [(LoopStalled, {"worker": "worker-1", **first.told()})]


def test_a_worker_says_neither_which_run_it_was_nor_the_event_of_its_answer(
    stalled: tuple[Any, list[Any]],
) -> None:
    ended = next(each for each in stalled[1] if isinstance(each, Ended))
    assert ended.result["outputs_json"] == '{"text":"x"}'
    assert not {"spec", "reported"} & ended.result.keys()

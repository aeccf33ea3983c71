"""What a worker says: at once where it has said nothing lately, else with what comes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from penstock.engines.boot import boot_of
from penstock.engines.host import AgentHost
from penstock.engines.messages import FromWorker, Lease
from penstock.running.checking import prepare
from penstock.study.execution import Execution
from tests.engines.studies import AGENTS, write_study

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

TELLS = """

async def tells(ctx):
    for _ in range(4):
        ctx.observe("step", "one more")
        await anyio.sleep(0.002)

    await anyio.sleep(1)
    return "x"
"""


async def test_a_worker_says_at_once_what_it_says_first_and_then_batches(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", "tells", code=AGENTS + TELLS)
    plan, bindings = prepare(study).ready()
    boot = boot_of(study, plan, bindings, Execution(), isolate_random=True)
    begun_at, said = anyio.current_time(), list[tuple[float, int]]()

    def hear(_: int, batch: Sequence[FromWorker]) -> None:
        said.append((round(anyio.current_time() - begun_at, 3), len(batch)))

    host = AgentHost(boot, hear)
    host.receive([Lease(lease=1, position=0, attempt=1)])
    await anyio.sleep(2)
    assert said == [(0.0, 1), (boot.flush_s, 3), (1.008, 1)]
    host.close()

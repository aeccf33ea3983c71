"""Named limits hold over all workers, whatever becomes of those that hold them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

import penstock as ps
from penstock.engines.limiting import LimiterElsewhere, LimitsElsewhere
from penstock.engines.local import LocalEngine
from penstock.engines.messages import Borrow, FromWorker, GiveBack, Granted
from penstock.events import Event, RunObserved
from penstock.store.reader import StoreReader
from tests.engines.studies import AGENTS, write_study

pytestmark = pytest.mark.anyio

HOLDING = """

held = 0


async def holding(ctx):
    global held
    async with ctx.limiter("api"):
        held += 1
        try:
            ctx.observe("step", "holds it")
            ctx.record(held=held)
            await anyio.sleep(10)
        finally:
            held -= 1

    return "x"
"""


def leave(_: LocalEngine) -> None:
    """Let every worker be."""


def kill(engine: LocalEngine) -> None:
    engine.kill("local-1")


def cut_off(engine: LocalEngine) -> None:
    engine.cut_off("local-1")


@pytest.mark.virtual_time
@pytest.mark.parametrize(("befall", "lost"), [(leave, 0), (kill, 6), (cut_off, 6)])
async def test_no_more_attempts_than_the_limit_hold_it_over_two_workers(
    tmp_path: Path, befall: Callable[[LocalEngine], None], lost: int
) -> None:
    study = write_study(tmp_path / "study", "holding", code=AGENTS + HOLDING, replicates=3)
    engine = LocalEngine(2)
    runner = ps.StudyRunner(study, engine=engine, output_dir=tmp_path / "out", limiters={"api": 3})
    has_happened: list[Event] = []

    @runner.on(RunObserved)
    def happen(event: RunObserved) -> None:
        if not has_happened:
            has_happened.append(event)
            befall(engine)

    summary = await runner.run()
    assert (summary.succeeded, summary.session.cancelled) == (12, lost)
    with StoreReader(tmp_path / "out") as store:
        told = "SELECT max(metrics ->> 'held') FROM runs"
        ((most,),) = store.table(told)

    assert most == 3


async def test_a_limit_elsewhere_is_an_anyio_limiter_of_its_attempt() -> None:
    said: list[FromWorker] = []
    limits = LimitsElsewhere({"api": 2}, said.append)
    limiter = limits.of(7)["api"]
    assert isinstance(limiter, LimiterElsewhere)
    async with anyio.create_task_group() as group:
        group.start_soon(limiter.acquire_on_behalf_of, "me")
        await anyio.wait_all_tasks_blocked()
        assert limiter.statistics().tasks_waiting == 1
        limits.hear(Granted(lease=7, number=1))

    assert (limiter.total_tokens, limiter.borrowed_tokens, limiter.available_tokens) == (2, 1, 1)
    with pytest.raises(RuntimeError, match="already holding"):
        await limiter.acquire_on_behalf_of("me")

    with pytest.raises(RuntimeError, match="isn't holding"):
        limiter.release()

    for nowait in (limiter.acquire_nowait, lambda: limiter.acquire_on_behalf_of_nowait("me")):
        with pytest.raises(anyio.WouldBlock):
            nowait()

    with pytest.raises(AttributeError, match="'api'"):
        limiter.total_tokens = 5

    limiter.release_on_behalf_of("me")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await limiter.acquire()

    assert said == [
        Borrow(lease=7, number=1, limiter="api"),
        GiveBack(lease=7, number=1),
        Borrow(lease=7, number=2, limiter="api"),
        GiveBack(lease=7, number=2),
    ]

"""A study that has its process for itself is not held up by the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

import penstock as ps
from penstock.running.garbage import relaxed_gc
from tests.builders import make_study
from tests.conftest import count_frozen_objects


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(gc, "get_freeze_count", count_frozen_objects)
    thresholds = gc.get_threshold()
    gc.unfreeze()  # what `tests.conftest` has frozen
    yield
    assert gc.isenabled()
    gc.freeze()
    gc.set_threshold(*thresholds)


def test_inside_it_runs_less_often_and_on_new_objects_and_afterwards_as_before() -> None:
    before = gc.get_threshold()
    with relaxed_gc():
        assert gc.get_threshold()[0] > before[0]
        assert gc.get_freeze_count() > 1000

    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_what_its_owner_has_frozen_stays_frozen() -> None:
    gc.freeze()
    before = gc.get_threshold(), gc.get_freeze_count()
    with relaxed_gc():
        assert gc.get_threshold() == before[0]

    assert gc.get_freeze_count() > 0


def test_where_it_is_switched_off_it_stays_off() -> None:
    gc.disable()
    with relaxed_gc():
        assert not gc.isenabled()
        assert gc.get_freeze_count() == 0

    assert not gc.isenabled()
    gc.enable()


def test_a_study_that_is_run_in_one_call_has_the_process_for_itself(tmp_path: Path) -> None:
    frozen: list[int] = []

    async def agent(ctx: ps.RunContext) -> str:
        frozen.append(gc.get_freeze_count())
        return "42"

    study = make_study()
    ps.run_study(study, agent_bindings={"agent-a": agent}, output_dir=tmp_path / "alone")
    assert min(frozen) > 0
    assert gc.get_freeze_count() == 0


@pytest.mark.anyio
async def test_an_embedded_study_leaves_the_collector_to_its_host(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        assert gc.get_freeze_count() == 0
        return "42"

    result = await ps.arun_study(
        make_study(), agent_bindings={"agent-a": agent}, output_dir=tmp_path
    )
    assert result.summary.succeeded == 2

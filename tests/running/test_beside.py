from __future__ import annotations

import _thread
from pathlib import Path
from typing import Any

import anyio
import pytest

import penstock as ps
from penstock.running.beside import run_beside
from tests.builders import make_study


@pytest.mark.anyio
async def test_a_study_runs_where_an_event_loop_runs_already_as_in_a_notebook(
    tmp_path: Path,
) -> None:
    def agent(ctx: ps.RunContext) -> str:
        return "x"

    study = make_study(("a",), agents={"mine": agent}, agent_specs=("mine",), output_dir=tmp_path)

    first = ps.run_study(study, show_progress=False)
    again = ps.run_study(study, show_progress=False)

    assert first.summary.succeeded == len(again) > 0
    assert "kept from before" not in first._repr_html_()
    assert f"{len(again)} kept from before" in again._repr_html_()
    assert (tmp_path / "report.html").is_file()


def interrupted(tmp_path: Path, presses: int) -> tuple[int, list[str]]:
    """Interrupt a study in its first run, so often; return its results and what was said."""

    async def agent(ctx: ps.RunContext) -> str:
        _thread.interrupt_main()
        await is_stopping[0].wait()
        if presses > 1:
            _thread.interrupt_main()
            await anyio.sleep_forever()

        return "x"

    is_stopping: list[anyio.Event] = []
    said: list[str] = []

    def make() -> ps.StudyRunner:
        is_stopping.append(anyio.Event())
        study = make_study(("a", "b"), replicates=5, agents={"mine": agent}, agent_specs=("mine",))
        runner = ps.StudyRunner(study, output_dir=tmp_path, concurrency=1)
        runner.on(ps.events.StudyStopping)(lambda _: is_stopping[0].set())
        return runner

    runner, is_interrupted = run_beside(make, said.append)
    assert is_interrupted
    return runner.summary.succeeded, said


def test_an_interrupt_is_handed_on_and_says_what_to_do(tmp_path: Path) -> None:
    succeeded, said = interrupted(tmp_path, presses=1)

    assert succeeded == 1
    assert said == ["stopping: runs in flight end and are saved; interrupt again to cancel them"]


def test_a_second_interrupt_cancels_what_is_in_flight(tmp_path: Path) -> None:
    succeeded, said = interrupted(tmp_path, presses=2)

    assert succeeded == 0
    assert said[1].startswith("cancelling what is in flight")


def test_what_ends_the_study_is_raised_to_who_called(tmp_path: Path) -> None:
    def make() -> Any:
        raise ps.PenstockError("it cannot begin")

    with pytest.raises(ps.PenstockError, match="it cannot begin"):
        run_beside(make, lambda _: None)

"""Agents that swallow every cancellation: the process ends all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.children import run_python
from tests.faults.conftest import environment

AGENT = """
import asyncio, os, signal

async def stubborn(ctx):
    interrupts = 0
    while True:
        if interrupts < 2:  # the first stops the study, the second cancels it
            os.kill(os.getpid(), signal.SIGINT)
            interrupts += 1

        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            pass
"""
FROM_PYTHON = """
import sys
sys.path.insert(0, {folder!r})
import penstock as ps
from agents import stubborn

problems = [{{"problem_id": "p"}}]
study = ps.Study(study_id="s", title="S", problems=problems, agent_specs=["stubborn"])
try:
    ps.run_study(study, agent_bindings={{"stubborn": stubborn}}, output_dir="results",
                 grace_s=0.2)
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(130)
"""
STUDY = """
study_id: s
title: S
problems: [{problem_id: p}]
agents: {stubborn: {call: "agents.py:stubborn"}}
execution: {grace_s: 0.2}
"""


@pytest.mark.field("engine-K10")
@pytest.mark.parametrize("way", ["command line", "python"])
def test_an_agent_that_swallows_cancellation_keeps_no_process_from_ending(
    tmp_path: Path, way: str
) -> None:
    (tmp_path / "agents.py").write_text(AGENT)
    (tmp_path / "study.yaml").write_text(STUDY)
    code = (
        FROM_PYTHON.format(folder=str(tmp_path))
        if way == "python"
        else "import sys; sys.argv[1:] = ['run', 'study.yaml', '--no-progress']\n"
        "from penstock.cli import main; main()"
    )
    ended = run_python("-c", code, cwd=tmp_path, env=environment())
    assert ended.returncode == 130, ended.stderr
    assert "run.abandoned" in ended.stderr
    assert "destroyed" not in ended.stderr
    assert "Traceback" not in ended.stderr

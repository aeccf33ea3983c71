"""A study that dies while a judge is at work: an answer that was paid for is kept."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import penstock as ps
from penstock.store.ledger import read_ledger
from penstock.store.reader import StoreReader
from tests.children import start_python

STUDY = """\
study_id: judged
title: t
agents: {a: agents.py:agent}
problems: [{problem_id: p, brief: x}]
evaluators: {j: agents.py:judge}
run_budget: {replicates: 5, parallelism: 5}
output_dir: results
"""
AGENTS = """\
from pathlib import Path

import anyio

HERE = Path(__file__).parent


async def agent(ctx):
    with (HERE / "calls").open("a") as calls:
        calls.write(ctx.spec.run_id + "\\n")

    ctx.record(cost_usd=0.25)
    ctx.observe("note", "seen")
    return "42"


async def judge(answer):
    if (HERE / "hang").exists():
        await anyio.sleep_forever()

    return 1.0
"""
TOLD = """\
import sys

import penstock as ps
from penstock.events import RunsSaved


async def told(stream):
    async for event in stream:
        if isinstance(event, RunsSaved) and event.summary.attempts == 5:
            print("saved", flush=True)


ps.run_study(ps.load_study(sys.argv[1]), subscribers=[told])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("study.yaml", STUDY), ("agents.py", AGENTS), ("told.py", TOLD)):
        (tmp_path / name).write_text(text)

    return tmp_path


@pytest.mark.field("studies-A6")
def test_an_answer_is_not_paid_for_again_where_its_judge_is_killed_at_work(folder: Path) -> None:
    (folder / "hang").touch()
    command = ("told.py", "study.yaml")
    with start_python(*command, cwd=folder, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "saved\n"
        child.kill()

    with StoreReader(folder / "results") as store:
        killed = read_ledger(store)

    (folder / "hang").unlink()
    results = ps.run_study(ps.load_study(folder / "study.yaml"))

    assert (killed.state, killed.summary.attempts, killed.summary.lost_calls) == ("killed", 5, 0)
    assert (killed.summary.cost_usd, killed.summary.failed) == (1.25, 0)
    assert len((folder / "calls").read_text().splitlines()) == 5
    assert (results.summary.cost_usd, results.summary.attempts) == (1.25, 5)
    assert (results.summary.session.started, results.summary.session.rescored) == (0, 5)
    assert [result.primary_outcome for result in results] == [1.0] * 5
    assert {result.status for result in results} == {"success"}
    assert [each.event_type for each in results[0].observations] == ["note"]

"""One account of a study: whoever is asked what it came to says the same."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from aiohttp import web

import penstock as ps
from penstock.errors import SkipRun
from penstock.store.files.opening import open_store
from penstock.store.ledger import failures, read_ledger
from penstock.store.reader import StoreReader
from penstock.store.schema import SCHEMA_VERSION
from penstock.store.scores.score_accounts import lacking_scores
from penstock.summary import SessionSummary, Spent
from tests.builders import make_error, make_plan, make_result, make_study
from tests.children import COMMAND_LINE, run_python
from tests.models.loopback import ANSWER, http_server
from tests.models.studies import PRICE, chat, chat_study
from tests.older_stores import make_older

pytestmark = pytest.mark.anyio

AGENTS = """\
import os, signal, sqlite3
from pathlib import Path

import anyio

HERE = Path(__file__).parent


def saved():
    store = sqlite3.connect(HERE / "results" / "study.sqlite")
    return store.execute("SELECT count(*) > 3 FROM attempt").fetchone()[0]


async def mine(ctx):
    ctx.record(cost_usd=0.25, input_tokens=7)
    first = ctx.spec.replicate == 1
    if not first and not (HERE / "killed").exists():
        while not saved():
            await anyio.sleep(0.01)

        (HERE / "killed").write_text("")
        os.kill(os.getpid(), signal.SIGKILL)

    if first or ctx.attempt == 1:
        raise ValueError("this one never answers" if first else "not the first time")

    return "42"
"""
COST_USD = (12 * 1000 + 3 * 2000) / 1e6
"""Of each call of a model."""


class Bill:
    """A provider that counts what it bills, and breaks off one in three of the agent's calls."""

    def __init__(self) -> None:
        self.calls = self.billed = 0
        self._of_the_agent = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.calls += 1
        self._of_the_agent += body["model"] == "some-model"
        if body["model"] == "some-model" and self._of_the_agent % 3 == 0:
            broken = web.StreamResponse(headers={"Content-Length": "100"})
            await broken.prepare(request)
            await broken.write(b"{")
            assert request.transport is not None
            request.transport.close()
            return broken

        self.billed += 1
        text = "Score: 7" if body["model"] == "judge-model" else "42"
        return web.json_response(ANSWER | {"choices": [{"message": {"content": text}}]})


def write_study(folder: Path, url: str) -> Path:
    """A study of a chat agent, an agent in Python, and a judge."""
    (folder / "agents.py").write_text(AGENTS)
    judge = {"base_url": url, "model": "judge-model", "max_tokens": 20, "prompt": "{{ answer }}?"}
    study = chat_study(
        folder,
        chat(url),
        agents={"gpt": chat(url), "mine": {"call": "agents.py:mine"}},
        agent_specs=("gpt", "mine"),
        evaluators={"grade": {"judge": judge}},
        prices={"some-model": PRICE, "judge-model": PRICE},
        run_budget={"replicates": 6, "parallelism": 3},
    )
    path = folder / "study.json"
    path.write_text(json.dumps(study.to_dict()))
    return path


def penstock(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_python(*COMMAND_LINE, *arguments, env={**os.environ, "COLUMNS": "400"})


def dollars(text: str, pattern: str) -> float:
    return float(re.findall(pattern, text)[-1].replace(",", ""))


def query(directory: Path, text: str) -> list[Any]:
    with closing(sqlite3.connect(directory / "study.sqlite")) as store:
        return store.execute(text).fetchall()


@pytest.mark.field("studies-M5")
async def test_six_answers_to_what_did_it_cost_are_equal_and_what_was_billed(
    tmp_path: Path,
) -> None:
    bill = Bill()
    async with http_server(bill.answer) as url:
        run = partial(penstock, "run", write_study(tmp_path, url), "--retries", 2, "--progress")
        killed = await anyio.to_thread.run_sync(run)
        assert killed.returncode == -signal.SIGKILL
        ended = await anyio.to_thread.run_sync(run)

    results = tmp_path / "results"
    told = json.loads(penstock("status", results, "--json").stdout)
    summary = ps.StudyResult.open(results).summary
    ((of_sessions,),) = query(results, "SELECT sum(cost_usd) FROM sessions")
    ((of_attempts,),) = query(
        results, "SELECT total(cost_usd) + total(judge_cost_usd) FROM attempts"
    )
    answers = {
        "progress": dollars(ended.stderr, r"tokens · \$([\d.,]+)"),
        "final line": dollars(ended.stderr, r"\$([\d.,]+)[^,]* spent"),
        "status": dollars(penstock("status", results).stderr, r"tokens, \$([\d.,]+)"),
        "status --json": told["cost_usd"],
        "summary": summary.cost_usd,
        "sql": of_sessions,
    }
    assert {name: round(each, 4) for name, each in answers.items()} == dict.fromkeys(
        answers, round(of_attempts, 4)
    )
    mine = query(results, "SELECT count(*) FROM attempt WHERE agent_id = 'mine'")[0][0]
    lost_by_the_kill = bill.billed * COST_USD + mine * 0.25 - summary.cost_usd
    assert summary.uncounted_cost_usd > 0
    assert summary.lost_calls > 0
    assert 0 <= round(lost_by_the_kill, 9) <= summary.lost_calls * 2 * COST_USD
    assert round(lost_by_the_kill, 9) <= summary.uncounted_cost_usd, "the budget counts it"
    assert 0 < summary.session.attempts < summary.attempts
    assert told["lost_calls"] == summary.lost_calls
    assert f"of earlier sessions {summary.lost_calls} call" in ended.stderr
    assert (summary.failed + summary.succeeded, summary.remaining) == (24, 0)
    assert summary.failed >= 2
    assert told["session"] == summary.session.model_dump()


async def a_session(directory: Path, *outcomes: str, **options: Any) -> ps.StudySummary:
    """Run a session in which each call in turn does as it is told."""
    script = iter(outcomes)

    def agent(ctx: ps.RunContext) -> str:
        ctx.record(cost_usd=0.5, input_tokens=3, output_tokens=2)
        said = next(script, "fine")
        if said == "skip":
            raise SkipRun("not this one")

        if said != "fine":
            raise ConnectionError(said)

        return said

    runner = ps.StudyRunner(
        make_study(replicates=3),
        agent_bindings={"agent-a": agent},
        output_dir=directory,
        parallelism=1,
        **options,
    )
    seen = await runner.run()
    assert seen == runner.summary == ps.StudyResult.open(directory).summary
    return seen


@pytest.mark.field("studies-N5")
async def test_the_summary_is_the_whole_study_s_with_this_session_s_beside_it(
    tmp_path: Path,
) -> None:
    first = await a_session(tmp_path, "no", "skip", "fine", "no", retry=ps.Retry(attempts=1))
    assert (first.succeeded, first.failed, first.skipped, first.remaining) == (3, 2, 1, 0)
    assert first.session.restored == 0

    second = await a_session(tmp_path, "no", retry=ps.Retry(attempts=2, wait_s=0))
    assert (second.succeeded, second.failed, second.skipped, second.remaining) == (5, 0, 1, 0)
    assert second.session == SessionSummary(
        restored=4,
        started=3,
        attempts=3,
        succeeded=2,
        retried=1,
        agents=Spent(cost_usd=1.5, input_tokens=9, output_tokens=6),
    )
    assert (second.attempts, second.cost_usd, second.input_tokens) == (9, 4.5, 27)

    third = await a_session(tmp_path)
    assert third.session == SessionSummary(restored=6)
    assert third.model_copy(update={"session": second.session}) == second


async def test_a_session_that_stops_leaves_failures_of_before_as_they_were(tmp_path: Path) -> None:
    await a_session(tmp_path, *["no"] * 6, retry=ps.Retry(attempts=1))
    again = await a_session(tmp_path, "no", "no", max_failures=1, retry=ps.Retry(attempts=1))

    assert (again.failed, again.remaining, again.undone) == (6, 0, 4)
    assert "more than max_failures=1" in (again.stopped_because or "")


@pytest.mark.field("studies-M4")
async def test_runs_that_only_waited_for_the_budget_are_no_calls_that_were_lost(
    tmp_path: Path,
) -> None:
    bill = Bill()
    async with http_server(bill.answer) as url:
        study = chat_study(
            tmp_path,
            chat(url),
            budget={"max_cost_usd": 3 * 0.1},
            run_budget={"replicates": 20, "parallelism": 40},
        )
        for _ in range(3):
            summary = await ps.StudyRunner(study, show_progress=False).run()
            assert summary.is_out_of_budget
            assert summary.lost_calls == 0
            assert summary.attempts == bill.calls

    results = tmp_path / "results"
    assert json.loads(penstock("status", results, "--json").stdout)["lost_calls"] == 0
    reopened = ps.StudyResult.open(results).summary
    assert (reopened.is_out_of_budget, reopened.lost_calls) == (True, 0)


async def test_what_is_not_known_is_counted_as_such_and_not_as_nothing(tmp_path: Path) -> None:
    plan = make_plan(["a", "b"])
    unknown = {"cost_usd": None, "input_tokens": None, "output_tokens": None}
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        await store.save(
            [
                (make_result(plan[0], metrics=unknown), True),
                (make_result(plan[1], metrics={"cost_usd": 0.5, "judge_cost_usd": "n/a"}), True),
            ]
        )

    assert query(tmp_path, "SELECT cost_usd, input_tokens FROM runs") == [(None, None), (0.5, 0)]
    summary = ps.StudyResult.open(tmp_path).summary
    assert (summary.unpriced, summary.cost_usd) == (1, 0.5)
    assert summary.cost_in_words == "$0.5000 + 1 of unknown cost"


@pytest.mark.parametrize("layout", range(1, SCHEMA_VERSION))
async def test_an_older_store_is_summed_up_without_being_changed(
    tmp_path: Path, layout: int
) -> None:
    plan = make_plan(["a", "b", "c"])
    metrics = {"cost_usd": 0.5, "judge_cost_usd": 0.25, "uncounted_tokens": 3}
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        await store.save(
            [
                (make_result(plan[0], error=make_error(), metrics=metrics), False),
                (make_result(plan[0], metrics=metrics, attempt=2), True),
                (make_result(plan[1], error=make_error(), metrics=metrics), True),
            ]
        )
        before = await store.end("stopped: enough")

    make_older(tmp_path / "study.sqlite", layout)
    bytes_before = (tmp_path / "study.sqlite").read_bytes()
    summary = ps.StudyResult.open(tmp_path).summary
    why = "enough" if layout < 4 else before.stopped_because  # told by how it ended, until then
    assert summary.model_copy(update={"session": before.session}) == before.model_copy(
        update={"stopped_because": why}
    )
    assert (summary.attempts, summary.cost_usd, summary.uncounted_tokens) == (3, 2.25, 9)
    assert (tmp_path / "study.sqlite").read_bytes() == bytes_before


async def test_counts_of_runs_come_from_indexes_and_amounts_from_sessions(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.begin(make_plan())

    looked_at: list[str] = []
    with StoreReader(tmp_path) as reader:
        reader._connection.set_trace_callback(looked_at.append)
        read_ledger(reader)
        failures(reader)
        lacking_scores(reader)
        reader._connection.set_trace_callback(None)
        steps = {
            each: " ".join(row[-1] for row in reader.table(f"EXPLAIN QUERY PLAN {each}"))
            for each in looked_at
        }

    assert not [each for each in steps.values() if re.search(r"attempt(?! USING.* INDEX)", each)]
    # No row of a result that succeeded is read: they are counted, once, in their index alone.
    walked = [each for each in looked_at if "result_by_position" in steps[each]]
    assert walked == ["SELECT count(*) FROM attempt WHERE final AND position IS NOT NULL"]


@pytest.mark.field("studies-M3")
async def test_what_a_killed_session_may_have_spent_counts_in_status_and_in_the_next_session(
    tmp_path: Path,
) -> None:
    plan = make_plan(["a", "b", "c"])
    called = {"cost_usd": 0.5, "input_tokens": 5, "output_tokens": 5, "provider_s": 1.0}
    in_python = {"cost_usd": 0.25, "input_tokens": 2, "output_tokens": 1}
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        store.note_spent(1.75, 40)  # three calls, of which one is saved
        await store.save(
            [
                (make_result(plan[0], metrics=called), True),
                (make_result(plan[1], metrics=in_python), True),
            ]
        )

    with StoreReader(tmp_path) as reader:
        killed = read_ledger(reader).summary

    async with open_store(tmp_path) as store:
        await store.begin(plan)
        resumed = store.summary()

    assert killed.committed == resumed.committed == (2.0, 43)
    assert (resumed.cost_usd, resumed.uncounted_cost_usd) == (0.75, 1.25)


async def test_what_is_saved_of_a_session_is_not_set_aside_again_at_its_end(tmp_path: Path) -> None:
    plan = make_plan(["a", "b", "c"])
    called = {"cost_usd": 0.1, "input_tokens": 5, "output_tokens": 5, "provider_s": 1.0}
    async with open_store(tmp_path) as store:
        await store.begin(plan)
        store.note_spent(0.1 + 0.2 - 0.2 + 0.1 + 0.1, 30)
        for spec in plan:
            await store.save([(make_result(spec, metrics=called), True)])

        ended = await store.end("complete")

    assert (ended.uncounted_cost_usd, ended.uncounted_tokens) == (0.0, 0)

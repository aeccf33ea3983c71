"""Agents of many turns and tools, killed and at a thousand in flight, against the provider's log.

``PENSTOCK_LOOPS`` says how often an agent is killed: once in ``make test``, a hundred times in
``make loops``, where a thousand runs are in flight at once too.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

import penstock as ps
from penstock.simulator import SimulatedProvider, SimulatorOptions
from penstock.simulator.exchange import Arrival, Reply
from penstock.simulator.records import RequestRecord
from tests.faults.conftest import Prove
from tests.faults.test_bills import Bill, session_of
from tests.models.studies import PRICE, rows

pytestmark = pytest.mark.anyio

KILLS = int(os.environ.get("PENSTOCK_LOOPS", "1"))
IS_LONG = KILLS > 1
IN_FLIGHT = 1000 if IS_LONG else 20
TURNS = 20
KILLS_OF_A_HISTORY = 5
AGENTS = f'''
def f(a: int) -> int:
    """Add one."""
    return a + 1


async def talks(ctx):
    model, said = ctx.model("some-model"), []
    for turn in range({TURNS}):
        said.append({{"role": "user", "content": f"{{ctx.spec.run_id}}: turn {{turn}}"}})
        said.append({{"role": "assistant", "content": (await model.chat(said)).text}})

    return said[-1]["content"]


async def calculates(ctx):
    asked = f"{{ctx.spec.run_id}}: {{ctx.problem.brief}}"
    talk = await ctx.model("some-model").run(asked, tools=[f], max_turns={TURNS})
    return {{"text": talk.text, "turns": talk.turns, "used": len(talk.tool_uses)}}
'''


FAILURES = {"server_error": 0.02, "rate_limited": 0.01, "overloaded": 0.01}


def options_of(seed: int, faults: dict[str, float], **fields: Any) -> SimulatorOptions:
    quick = {"latency_s": 0.01, "retry_after_s": 0.01, "retry_after": "fraction"}
    return SimulatorOptions.model_validate({"seed": seed, "faults": faults, **quick, **fields})


def write_study(folder: Path, url: str, agents: tuple[str, ...], runs: int, **fields: Any) -> Path:
    folder.mkdir()
    (folder / "agents.py").write_text(AGENTS)
    model = {"base_url": url, "model": "some-model", "max_tokens": 20, "price": PRICE}
    declared = {
        "study_id": "loops",
        "title": "Agents of many turns",
        "models": {"some-model": model},
        "agents": {name: f"agents.py:{name}" for name in agents},
        "problems": [{"problem_id": f"p{at}", "brief": f"{at} + 1?"} for at in range(runs)],
        "execution": {"retry": {"wait_s": 0.01}, "stop_alike": 0, "report": False},
        "output_dir": "results",
        **fields,
    }
    path = folder / "study.json"
    path.write_text(json.dumps(declared))
    return path


async def finish(path: Path, **options: Any) -> ps.StudyResult:
    return await ps.arun_study(ps.load_study(path), show_progress=False, **options)


def answers_of(results: ps.StudyResult) -> dict[str, tuple[str, str]]:
    return {each.spec.run_id: (each.status, each.outputs_json) for each in results}


class Log:
    """What a provider is asked, and which of it had been answered, and the answer kept, before.

    It answers the same to equal requests, so that what comes of a study is the same too.
    """

    def __init__(self, provider: SimulatedProvider) -> None:
        self.kept: set[str] = set()
        self.again: list[str] = []
        self.when: Any = lambda _: None
        self._came = 0
        self._attempts = provider._simulation._attempts
        self._reply = provider._simulation.reply
        provider._simulation.reply = self.reply  # type: ignore[method-assign]

    def reply(self, arrival: Arrival) -> Reply:
        self._came += 1
        asked = _written(json.loads(arrival.body)["messages"])
        if asked in self.kept:
            self.again.append(asked)

        self.when(self._came)
        self._attempts.clear()
        return self._reply(arrival)

    def begin(self, path: Path, when: Any) -> None:
        """Read which answers are kept, before another session."""
        self._came, self.when = 0, when
        store = path.parent / "results" / "study.sqlite"
        if store.exists():
            with closing(sqlite3.connect(store)) as connection:
                query = "SELECT messages FROM calls WHERE error_kind IS NULL"
                self.kept = {_written(json.loads(said)) for (said,) in connection.execute(query)}


def _written(messages: Any) -> str:
    return json.dumps(messages, sort_keys=True)


@pytest.mark.parametrize("history", range(-(-KILLS // KILLS_OF_A_HISTORY)))
async def test_an_agent_that_is_killed_asks_for_no_answer_again_that_was_kept(
    history: int, tmp_path: Path, proved: Prove
) -> None:
    random, kills, cut = Random(history), 0, 0
    broken = {at: [*FAILURES][at % 3] for at in range(5, 100_000, 23)}
    agents, wanted = ("talks", "calculates"), min(KILLS, KILLS_OF_A_HISTORY)
    faults = {"tool_call": 0.8}
    async with SimulatedProvider(options_of(history, faults, faults_at=broken)) as provider:
        log = Log(provider)
        path = write_study(tmp_path / "killed", provider.url, agents, 4)
        for _ in range(wanted):
            at = random.randint(11, 18)
            if await session_of(path, partial(log.begin, path), at, signal.SIGKILL) == 0:
                break

            kills += 1
            cut += under_way(path)

        log.begin(path, lambda _: None)
        went_on = answers_of(await finish(path))
        assert log.again == []
        log.kept.clear()
        whole = write_study(tmp_path / "whole", provider.url, agents, 4)
        assert went_on == answers_of(await finish(whole))

    assert kills == wanted
    assert cut
    proved(
        "agents of twenty turns whose process is killed",
        "no request is made again whose answer was kept, and their outputs are as without it",
        "{kills:.0f} kills, {cut:.0f} agents in mid-loop",
        kills=kills,
        cut=cut,
    )


def under_way(path: Path) -> int:
    """How many agents have answers that are kept, and have not ended."""
    with closing(sqlite3.connect(path.parent / "results" / "study.sqlite")) as connection:
        query = """
        SELECT count(DISTINCT run_id) FROM calls
        WHERE error_kind IS NULL AND run_id NOT IN (SELECT run_id FROM attempts WHERE final)
        """
        return int(connection.execute(query).fetchone()[0])


async def test_what_agents_with_tools_cost_is_what_the_provider_counts(tmp_path: Path) -> None:
    many = IN_FLIGHT * 3 // 2
    async with SimulatedProvider(
        options_of(2, {**FAILURES, "tool_call": 0.7, "dropped": 0.005})
    ) as provider:
        path = write_study(tmp_path / "study", provider.url, ("calculates",), many)
        results = await finish(path, concurrency=IN_FLIGHT, retry=ps.Retry(attempts=9, wait_s=0.01))
        log = list(provider.records)

    study = ps.load_study(path)
    statuses = Counter(record.status for record in log)
    assert results.summary.succeeded == many
    assert results.summary.cost_usd == pytest.approx(cost_of(log), abs=0.005)
    assert results.summary.agents.input_tokens == sum(each.input_tokens for each in log)
    assert results.summary.agents.output_tokens == sum(each.output_tokens for each in log)
    calls = rows(study, "SELECT * FROM calls WHERE NOT is_replayed")
    answered = [call for call in calls if call["error_kind"] is None]
    assert len(answered) == statuses[200]
    assert sum(call["http_status"] == 500 for call in calls) == statuses[500]
    assert sum(call["cost_usd"] or 0 for call in calls) == pytest.approx(cost_of(log), abs=0.005)
    assert bool(results.summary.uncounted_cost_usd) is bool(statuses[0])
    turns = Counter(call["run_id"] for call in answered)
    assert {each.spec.run_id: each.outputs["turns"] for each in results} == turns
    attempts = rows(study, "SELECT sum(metrics ->> '$.refusals') AS refusals FROM attempt")
    assert (attempts[0]["refusals"] or 0) == statuses[429] + statuses[529]


def cost_of(log: list[RequestRecord]) -> float:
    tokens = sum(each.input_tokens for each in log), sum(each.output_tokens for each in log)
    prices = PRICE["input_usd_per_million"], PRICE["output_usd_per_million"]
    return (tokens[0] * prices[0] + tokens[1] * prices[1]) / 1e6


async def test_half_the_money_is_kept_to_by_agents_with_tools_whatever_ends_them(
    tmp_path: Path, proved: Prove
) -> None:
    many = IN_FLIGHT * 3 // 2
    budget_usd = 0.12 * many  # about half of what it takes
    ends: list[tuple[int | None, signal.Signals, tuple[str, ...]]] = [
        (many, signal.SIGKILL, ()),
        (many // 2, signal.SIGKILL, ("--timeout", "0.3")),
        (many // 2, signal.SIGINT, ()),
        (None, signal.SIGINT, ("--timeout", "0.3")),
    ]
    async with SimulatedProvider(
        options_of(3, {**FAILURES, "tool_call": 0.7, "dropped": 0.01})
    ) as provider:
        bill = Bill(provider, PRICE)
        path = write_study(
            tmp_path / "study",
            provider.url,
            ("calculates",),
            many,
            budget={"max_cost_usd": budget_usd},
        )
        for at, number, more in ends if IS_LONG else ends[:1]:
            arguments = ("--concurrency", str(IN_FLIGHT), *more)
            await session_of(path, bill.begin, at, number, *arguments)
            told_usd, _ = ps.StudyResult.open(tmp_path / "study" / "results").summary.committed
            assert bill.usd <= min(budget_usd, told_usd) + 1e-6

        bill.begin(lambda _: None)
        summary = (await finish(path, concurrency=IN_FLIGHT)).summary

    assert summary.is_out_of_budget
    assert bill.usd <= min(budget_usd, summary.committed[0]) + 1e-6
    proved(
        "agents with tools, many in flight, half the money, kills, interrupts and time limits",
        "on the provider's own count, no more is billed than the budget",
        "{billed:.2f} of {budget:.2f} dollars",
        billed=bill.usd,
        budget=budget_usd,
    )

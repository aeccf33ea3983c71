"""What is not known of answers and money is counted, and takes nothing from what is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import penstock as ps
from penstock.simulator import SimulatedProvider, SimulatorOptions
from tests.command_line import cli
from tests.models.loopback import ANSWER, http_server
from tests.models.studies import PRICE, chat, chat_study, rows
from tests.models.test_run_model import a_study, run

pytestmark = pytest.mark.anyio

__all__ = ["cli"]


async def test_answers_that_end_in_an_unknown_word_are_counted_over_all_sessions(
    tmp_path: Path, cli: Any
) -> None:
    endings = {1: "unknown_ending", 4: "unknown_ending"}
    options = SimulatorOptions(latency_s=0.0, faults_at=endings, answers=("a",))
    judge = {"model": "judge", "prompt": "How good?", "choices": {"a": 1}}
    async with SimulatedProvider(options) as provider:
        study = chat_study(
            tmp_path,
            chat(provider.url),
            levels=("a",),
            problems=[ps.Problem(problem_id=f"p{at}", brief=f"{at}?") for at in range(3)],
            evaluators={"good": {"judge": {**judge, "base_url": provider.url}}},
        )
        counts = []
        for chosen in ("p0", "p1", "p2"):
            only = ps.Selection(problems=(chosen,))
            summary = (await run(study, only=only, retry=ps.Retry(attempts=1))).summary
            counts.append((summary.session.unknown_endings, summary.unknown_endings))

    assert counts == [(1, 1), (1, 2), (0, 2)]
    sessions = rows(study, "SELECT unknown_endings FROM sessions")
    assert [each["unknown_endings"] for each in sessions] == [1, 1, 0]
    told = cli("status", study.resolve("results"))
    assert "2 answers ended in a word that is not known" in told.stderr
    written = json.loads(cli("status", study.resolve("results"), "--json").stdout)
    assert written["unknown_endings"] == 2


def test_the_last_lines_say_how_many_answers_may_not_be_whole(tmp_path: Path, cli: Any) -> None:
    faults = {"latency_s": 0, "faults": {"unknown_ending": 1}}
    agent = {"chat": {"provider": "simulated", "model": "m", "simulator": faults}}
    path = tmp_path / "study.json"
    path.write_text(json.dumps(chat_study(tmp_path, agent).to_dict()))
    ended = cli("run", path, "--no-report")
    fresh = cli("run", path, "--json", "--no-report", "--fresh")

    assert ended.exit_code == 0
    assert "2 answers ended in a word that is not known, and may not be whole" in ended.stderr
    done = json.loads(fresh.stdout.splitlines()[-1])
    assert (done["unknown_endings"], done["session"]["unknown_endings"]) == (2, 2)


@pytest.mark.parametrize("order", ["known first", "unknown first"])
async def test_what_is_known_of_a_cost_counts_where_another_part_is_not(
    order: str, tmp_path: Path
) -> None:
    names = ["priced", "unpriced"] if order == "known first" else ["unpriced", "priced"]

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(ANSWER)

    async def asks_both(ctx: ps.RunContext) -> str:
        answers = [await ctx.model(name).chat("6 x 7?") for name in names]
        return answers[0].text

    async def scores(_: str, ctx: ps.RunContext) -> float:
        for name in names:
            await ctx.model(name).chat("Is it right?")

        return 1.0

    async with http_server(answer) as url:
        models = {
            "priced": {"base_url": url, "model": "one", "max_tokens": 20, "price": PRICE},
            "unpriced": {"base_url": url, "model": "two", "max_tokens": 20},
        }
        study = a_study(tmp_path, asks_both, evaluators={"right": {"call": scores}})
        study = study.model_copy(update={"models": models})
        first = await run(study)
        again = await run(study, rescore=True)

    cost_usd = (12 * 1000 + 3 * 2000) / 1e6
    assert first.summary.unpriced == again.summary.unpriced == 1
    assert first.summary.agents.cost_usd == pytest.approx(cost_usd)
    assert first.summary.judges.cost_usd == pytest.approx(cost_usd)
    assert again.summary.judges.cost_usd == pytest.approx(2 * cost_usd)
    (called,) = rows(study, "SELECT sum(cost_usd) AS cost_usd FROM calls")
    assert again.summary.cost_usd == pytest.approx(called["cost_usd"])
    assert again[0].metrics["cost_usd"] is None
    assert again.summary.committed[0] == pytest.approx(3 * cost_usd), "as a budget counts it"

"""What comes under 200 and is not an answer: tried again, paid for, counted, and never kept."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web

import penstock as ps
from tests.models.loopback import ANSWER, http_server
from tests.models.studies import PRICE, rows
from tests.models.test_run_model import a_study, run

pytestmark = pytest.mark.anyio

PIECE = {"choices": [{"index": 0, "delta": {"content": "4"}, "finish_reason": None}]}
ONE_CALL_USD = (12 * 1000 + 3 * 2000) / 1e6


class Spoilt(NamedTuple):
    """A body that is not an answer."""

    body: bytes
    content_type: str
    may_be_billed: bool


SPOILT = {
    "broken": Spoilt(json.dumps(ANSWER).encode()[:-30], "application/json", True),
    "empty": Spoilt(b"", "application/json", True),
    "a page": Spoilt(b"<html><h1>Log in</h1></html>", "text/html", False),
    "a cut stream": Spoilt(f"data: {json.dumps(PIECE)}\n\n".encode(), "text/event-stream", True),
}


def declared(tmp_path: Path, who: str, url: str) -> ps.Study:
    """A study whose agent, judge or agent in Python asks the model that is spoilt once."""

    async def in_hand(ctx: ps.RunContext) -> str:
        return (await ctx.model("small").chat("6 x 7?")).text

    async def free(_: ps.RunContext) -> str:
        return "42"

    model = {"base_url": url, "model": "some-model", "max_tokens": 20}
    judge = {**model, "prompt": "How good is {{ answer }}?", "choices": {"42": 1}}
    given: dict[str, Any] = {
        "agent": {"agents": {"mine": {"chat": model}}},
        "judge": {"evaluators": {"grade": {"judge": judge}}},
        "hand": {},
    }[who]
    agent = in_hand if who == "hand" else free
    prices = {"some-model": PRICE}
    return a_study(tmp_path, agent, url, prices=prices, response_cache="cache.sqlite", **given)


@pytest.mark.parametrize("who", ["agent", "judge", "hand"])
@pytest.mark.parametrize("form", list(SPOILT))
async def test_what_is_no_answer_is_asked_again_counted_and_never_cached(
    form: str, who: str, tmp_path: Path
) -> None:
    spoilt, asked = SPOILT[form], Counter[str]()

    async def answer(_: web.Request) -> web.Response:
        asked["all"] += 1
        if asked["all"] == 1:
            return web.Response(body=spoilt.body, content_type=spoilt.content_type)

        return web.json_response(ANSWER)

    async with http_server(answer) as url:
        study = declared(tmp_path, who, url)
        retry = ps.Retry(attempts=2, wait_s=0.0)
        summary = (await run(study, retry=retry)).summary

    assert (summary.succeeded, asked["all"]) == (1, 2)
    assert summary.cost_usd == pytest.approx(ONE_CALL_USD)
    assert (summary.uncounted_cost_usd > 0.04) is spoilt.may_be_billed
    assert summary.committed[0] == pytest.approx(ONE_CALL_USD + summary.uncounted_cost_usd)
    told = rows(study, "SELECT error_kind FROM calls ORDER BY rowid")
    assert [each["error_kind"] is None for each in told] == [False, True]
    with closing(sqlite3.connect(tmp_path / "cache.sqlite")) as cache:
        assert cache.execute("SELECT count(*) FROM completion").fetchone() == (1,)

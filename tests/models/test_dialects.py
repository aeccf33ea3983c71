"""Each situation in each dialect: what becomes of the run, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from aiohttp import web

import penstock as ps
from penstock._base.fact import EMPTY
from tests.models.dialects import DIALECTS, Dialect, Said
from tests.models.loopback import http_server
from tests.models.studies import chat, chat_study

pytestmark = pytest.mark.anyio

DOLLAR_A_TOKEN = {
    "some-model": {"input_usd_per_million": 0.0, "output_usd_per_million": 1_000_000.0}
}
MOST_TOKENS = 50
STOPS_THE_STUDY = {"azure", "xai"}
"""Whose error is about the key or the account."""


class Cell(NamedTuple):
    """What an endpoint says in one situation, and what is to become of it."""

    status: int
    body: bytes
    kind: str | None = None
    """The class of the failure; None is a success."""

    outputs: Mapping[str, Any] = EMPTY
    cost_usd: float = 0.0


def cells(dialect: Dialect, *, is_streamed: bool) -> Iterator[tuple[str, Cell]]:
    """Give every situation that there is in a dialect."""

    def said(ending: str | None = None, **fields: Any) -> bytes:
        answer = Said(dialect, ending or dialect.complete, **fields)
        return answer.stream() if is_streamed else answer.body()

    text = {"text": "42"}
    yield "good", Cell(200, said(), outputs=text, cost_usd=3)
    yield "cut", Cell(200, said(dialect.cut, tokens=50), outputs=text, cost_usd=50)
    yield "refused", Cell(200, said(refusal="I will not."), "RefusalError", cost_usd=3)
    thought = {"text": "42", "reasoning": "hm"}
    yield "reasoning", Cell(200, said(reasoning="hm", tokens=10), outputs=thought, cost_usd=10)
    called = {"text": "", "tool_calls": [{"id": "c1", "name": "f", "arguments": {"a": 1}}]}
    yield "tool call", Cell(200, said(dialect.tools, calls=True), outputs=called, cost_usd=3)
    if dialect.filtered is not None:
        yield "filtered", Cell(200, said(dialect.filtered), "ContentFilteredError", cost_usd=3)

    if dialect.broken is not None:
        yield "broken", Cell(200, said(dialect.broken), "OverloadedError", cost_usd=3)

    too_long = b'{"error": {"message": "maximum context length is 8 tokens"}}'
    yield "too long", Cell(400, too_long, "ContextTooLongError")
    yield "unknown", Cell(200, said("who-knows"), outputs=text, cost_usd=3)


def served(cells: dict[str, Cell], *, is_streamed: bool) -> Any:
    """Serve each problem its situation: the prompt names it."""

    async def handler(request: web.Request) -> web.Response:
        asked = (await request.json())["messages"][0]["content"]
        cell = cells[asked]
        kind = "text/event-stream" if is_streamed and cell.status == 200 else "application/json"
        return web.Response(body=cell.body, status=cell.status, content_type=kind)

    return handler


async def run(folder: Path, url: str, prompts: list[str], **fields: Any) -> ps.StudyResult:
    agent = chat(url, max_tokens=MOST_TOKENS, **fields)
    problems = [ps.Problem(problem_id=each.replace(" ", "-"), brief=each) for each in prompts]
    study = chat_study(folder, agent, factors=(), problems=problems, prices=DOLLAR_A_TOKEN)
    return await ps.arun_study(
        study, show_progress=False, retry=ps.Retry(attempts=1), refused_for_s=0.001
    )


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", DIALECTS)
async def test_every_situation_is_what_the_provider_says_in_its_own_words(
    name: str, is_streamed: bool, tmp_path: Path
) -> None:
    expected = dict(cells(DIALECTS[name], is_streamed=is_streamed))
    async with http_server(served(expected, is_streamed=is_streamed)) as url:
        results = await run(tmp_path, url, [*expected], stream=is_streamed)

    for result in results:
        situation = result.spec.problem_id.replace("-", " ")
        cell = expected[situation]
        kind = None if result.error is None else result.error.kind
        assert kind == cell.kind, f"{situation}: {result.error}"
        assert result.metrics["cost_usd"] == pytest.approx(cell.cost_usd), situation
        assert "uncounted_cost_usd" not in result.metrics, situation
        if kind is None:
            assert result.outputs == cell.outputs, situation

        is_flagged = result.provenance.get("is_ending_unknown", False)
        assert is_flagged is (situation == "unknown"), situation


@pytest.mark.parametrize("name", DIALECTS)
async def test_an_error_under_200_is_an_error_and_no_money(name: str, tmp_path: Path) -> None:
    cell = Cell(200, orjson.dumps(DIALECTS[name].error))
    async with http_server(served({"it": cell}, is_streamed=False)) as url:
        results = await run(tmp_path, url, ["it"])

    (result,) = results
    assert result.status == "failed"
    assert result.error is not None
    assert result.error.stops_study is (name in STOPS_THE_STUDY), result.error
    assert result.error.kind != "MalformedResponseError", result.error
    assert (result.cost_usd, result.metrics.get("uncounted_cost_usd", 0)) == (0, 0)


@pytest.mark.parametrize("name", DIALECTS)
async def test_an_error_in_a_stream_fails_the_run_whose_worst_case_is_set_aside(
    name: str, tmp_path: Path
) -> None:
    dialect = DIALECTS[name]
    cell = Cell(200, Said(dialect, dialect.complete).stream(breaks_off=True))
    async with http_server(served({"it": cell}, is_streamed=True)) as url:
        results = await run(tmp_path, url, ["it"], stream=True)

    (result,) = results
    assert result.error is not None
    assert result.error.kind != "MalformedResponseError", result.error
    assert result.error.stops_study is (name in STOPS_THE_STUDY), result.error
    assert result.cost_usd + result.metrics.get("uncounted_cost_usd", 0) > 0, "a piece had come"

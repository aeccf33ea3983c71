from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import penstock as ps
from penstock.events import StudyStarted
from penstock.store.continuing.peek import peek
from penstock.store.continuing.refused import refused_in_last_session
from penstock.store.reader import StoreReader
from tests.models.loopback import answers, http_server
from tests.models.studies import chat, chat_study

pytestmark = pytest.mark.anyio

TOO_LONG = {"message": "maximum context length is 10 tokens", "code": "context_length_exceeded"}
REFUSALS: dict[str, tuple[int, Mapping[str, Any]]] = {
    "BadRequestError": (400, {"error": {"message": "temperature: must be 1"}}),
    "ContextTooLongError": (400, {"error": TOO_LONG}),
    "ContentFilteredError": (403, {"error": {"message": "blocked", "code": "content_filter"}}),
    "RefusalError": (
        200,
        {"choices": [{"message": {"content": None, "refusal": "I cannot."}}], "usage": {}},
    ),
}


class Provider:
    """Answers the tone ``b`` as told, and all else with 42."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.asked = Counter[str]()
        self._refusal = answers(body, status=status)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        (message,) = (await request.json())["messages"]
        tone = message["content"].split()[0]
        self.asked[tone] += 1
        return await (self._refusal if tone == "b" else answers())(request)

    def asked_since(self) -> dict[str, int]:
        asked, self.asked = dict(self.asked), Counter()
        return asked


def study_of(tmp_path: Path, url: str, prompt: str = "{{ condition.tone }} please") -> ps.Study:
    return chat_study(tmp_path, chat(url, prompt=prompt), replicates=2)


async def run(study: ps.Study, **options: Any) -> tuple[ps.StudySummary, tuple[str, ...]]:
    notes: list[str] = []
    runner = ps.StudyRunner(study, **options)
    runner.on(StudyStarted)(lambda event: notes.extend(event.notes))
    return await runner.run(), tuple(notes)


@pytest.mark.parametrize("kind", REFUSALS)
async def test_what_was_refused_for_good_is_asked_again_only_where_it_is_told_to(
    kind: str, tmp_path: Path
) -> None:
    provider = Provider(*REFUSALS[kind])
    async with http_server(provider.answer) as url:
        study = study_of(tmp_path, url)
        first, _ = await run(study)
        assert provider.asked_since() == {"a": 2, "b": 2}

        second, notes = await run(study)
        assert provider.asked_since() == {}
        third, told = await run(study, retry_failed=True)
        assert provider.asked_since() == {"b": 2}

    assert (first.succeeded, first.failed) == (2, 2)
    assert (second.failed, second.session.restored, second.undone) == (2, 4, 0)
    assert (third.failed, third.session.failed) == (2, 2)
    assert f"2 runs were refused for good by their provider (2 {kind})" in notes[0]
    assert "0 whose request has changed are asked again" in notes[0]
    assert told == ("2 runs refused for good before are asked again",)
    with StoreReader(study.resolve("results")) as store:
        assert refused_in_last_session(store) == (2, 0)


@pytest.mark.parametrize("status", [403, 500])
async def test_what_may_be_given_later_is_asked_again(status: int, tmp_path: Path) -> None:
    provider = Provider(status, {"error": {"message": "no access to this model"}})
    async with http_server(provider.answer) as url:
        study = study_of(tmp_path, url)
        await run(study, retry=ps.Retry(attempts=1))
        provider.asked_since()
        await run(study, retry=ps.Retry(attempts=1))

    assert provider.asked_since() == {"b": 2}


async def test_a_request_that_has_changed_is_asked_and_what_a_session_does_is_foretold(
    tmp_path: Path,
) -> None:
    provider = Provider(*REFUSALS["ContextTooLongError"])
    async with http_server(provider.answer) as url:
        only = ps.Selection(conditions=("tone=b",))
        await run(study_of(tmp_path, url), only=only)
        provider.asked_since()
        other = study_of(tmp_path, url, "{{ condition.tone }} now")
        bindings = ps.StudyRunner(other).bindings
        same = ps.StudyRunner(study_of(tmp_path, url))
        directory = same.output_dir
        kept = [
            peek(directory, same.plan, same.bindings).kept,
            peek(directory, same.plan, same.bindings, retry_failed=True).kept,
            peek(directory, same.plan, bindings).kept,
        ]
        _, notes = await run(other)

    assert kept == [2, 0, 0]
    assert provider.asked_since() == {"a": 2, "b": 2}
    assert notes == (
        "runs refused for good before are asked again: 2 whose request has changed",
        (
            "declared otherwise than when the 2 results so far were made: agents.gpt.chat.prompt "
            "changed. The report says so, with the date"
        ),
    )


async def test_a_plan_that_has_grown_takes_along_what_was_refused(tmp_path: Path) -> None:
    provider = Provider(*REFUSALS["BadRequestError"])
    async with http_server(provider.answer) as url:
        await run(study_of(tmp_path, url))
        provider.asked_since()
        wider = chat_study(
            tmp_path,
            chat(url, prompt="{{ condition.tone }} please"),
            levels=("c", "a", "b"),
            replicates=2,
        )
        runner = ps.StudyRunner(wider)
        foretold = peek(runner.output_dir, runner.plan, runner.bindings)
        await run(wider)

    assert foretold.kept == 4
    assert provider.asked_since() == {"c": 2}

"""A process that is stopped for longer than its time limits, as under a closed lid."""

from __future__ import annotations

import asyncio  # noqa: TID251 - its clock is what is put forward
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import web

import penstock as ps
from tests.models.loopback import answers, http_server
from tests.models.studies import chat, chat_study

pytestmark = [pytest.mark.anyio, pytest.mark.field("studies-M6")]


@pytest.mark.parametrize("limits", [{"timeout_s": 60}, {"stream": True}, {}])
async def test_answers_that_lie_in_the_socket_after_a_pause_are_taken_and_not_paid_again(
    limits: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, pause_s, all_there = asyncio.get_running_loop(), [0.0], anyio.Event()
    time, asked = loop.time, Counter[str]()
    monkeypatch.setattr(loop, "time", lambda: time() + sum(pause_s))

    async def provider(request: web.Request) -> web.StreamResponse:
        asked["all"] += 1
        if asked["all"] == 12:
            pause_s.append(3600)
            all_there.set()

        await all_there.wait()
        return await answers()(request)

    async with http_server(provider) as url:
        study = chat_study(tmp_path, chat(url, **limits), replicates=6)
        timeout_s = None if limits else 30.0
        summary = await ps.StudyRunner(study, concurrency=12, timeout_s=timeout_s).run()

    assert (summary.succeeded, summary.attempts, asked["all"]) == (12, 12, 12)

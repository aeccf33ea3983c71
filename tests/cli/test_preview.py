from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

import penstock as ps
from penstock.planning.selection import Selection
from tests.cli.test_show import PIXEL
from tests.command_line import StudyFolder, json_lines
from tests.models.loopback import answers, http_server
from tests.models.studies import chat, chat_study

JUDGE = {"model": "judge", "prompt": "Rate {{ answer }}", "scale": [1, 10]}


def test_an_agent_in_python_is_shown_what_its_context_would_hold(
    folder: StudyFolder, cli: Any
) -> None:
    shown = cli("preview", folder.file, "--condition", "tone=cold", "--problem", "p2")

    assert shown.exit_code == 0
    for part in (
        "the agent (agents.py:worker) is called with ctx",
        "ctx.problem.brief = 'two'",
        "ctx.condition['tone'] = 'cold'",
        "replicate 1",
    ):
        assert part in shown.stderr

    assert not folder.results.exists()
    assert not (folder.path / "calls").exists()


def test_names_that_are_not_in_the_plan_are_refused(folder: StudyFolder, cli: Any) -> None:
    refused = cli("preview", folder.file, "--problem", "p3")

    assert refused.exit_code == 3
    assert "p3" in refused.stderr


def test_a_study_that_check_refuses_is_refused(folder: StudyFolder, cli: Any) -> None:
    folder.file.write_text(folder.file.read_text() + "agent_specs: [worker, worker]\n")

    assert cli("preview", folder.file).exit_code == cli("check", folder.file).exit_code == 3


@pytest.mark.anyio
async def test_what_is_shown_is_what_the_provider_then_receives(tmp_path: Path, cli: Any) -> None:
    received: list[Any] = []

    async def answer(request: Any) -> Any:
        received.append(await request.json())
        return await answers()(request)

    async with http_server(answer) as url:
        agent = chat(
            url, system="Be {{ condition.tone }}.", prompt="{{ problem.brief }}", seed=True
        )
        study = chat_study(
            tmp_path, agent, evaluators={"grade": {"judge": JUDGE | {"base_url": url}}}
        )
        file = tmp_path / "study.json"
        file.write_text(json.dumps(study.to_dict()))
        shown = await anyio.to_thread.run_sync(partial(cli, "preview", file, "--json"))
        said = await anyio.to_thread.run_sync(partial(cli, "preview", file))
        assert received == []
        await ps.arun_study(study, only=Selection(limit=1), show_progress=False)

    (preview,) = json_lines(shown.stdout)
    call, judge = preview["calls"]
    first = next(each for each in received if each["model"] == "some-model")
    assert call["body"] == first
    assert (call["is_judge"], judge["is_judge"]) == (False, True)
    assert call["forecast"]["high_usd"] > call["forecast"]["low_usd"] > 0
    assert "system: Be " in said.stderr
    assert "(a judge: the answer, which there is not yet, is left empty)" in said.stderr


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "[image data:image/png;base64,... (67 bytes)]\n    What is 6 x 7?"),
        ("/messages", "[image image/png]\n    What is 6 x 7?"),
    ],
)
def test_an_image_is_described_in_whichever_format_it_is_sent(
    tmp_path: Path, cli: Any, path: str, said: str
) -> None:
    agent = chat(f"http://127.0.0.1:9/v1{path}", image=f"data:image/png;base64,{PIXEL}")
    file = tmp_path / "study.json"
    file.write_text(json.dumps(chat_study(tmp_path, agent).to_dict()))

    shown = cli("preview", file)
    (preview,) = json_lines(cli("preview", file, "--json").stdout)

    assert f"user: {said}" in shown.stderr
    assert PIXEL not in shown.stderr
    assert PIXEL not in json.dumps(preview["calls"])
    assert ("system" in preview["calls"][0]["body"]) is False

"""Kept answers to images that have been replaced since: told wherever a session begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import penstock as ps
from penstock.events.tree import StudyStarted
from tests.models.loopback import http_server
from tests.models.studies import chat, chat_study
from tests.models.test_conversing import Turn, provider
from tests.models.test_images import png
from tests.models.test_run_model import a_study, run

pytestmark = pytest.mark.anyio


async def a_study_of_two_pictures(folder: Path) -> ps.Study:
    """A study that has been run, of two pictures in files."""
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(png())

    problems = [
        ps.Problem(problem_id=name, brief="?", payload={"picture": f"{name}.png"})
        for name in ("a", "b")
    ]
    async with http_server(provider("42", asked=[])) as url:
        agent = chat(url, image="{{ problem.picture }}")
        study = chat_study(folder, agent, problems=problems)
        await run(study)

    return study


async def warned(study: ps.Study) -> tuple[str, ...]:
    """What a session says that has nothing to do."""
    said: list[str] = []
    runner = ps.StudyRunner(study)
    runner.on(StudyStarted)(lambda event: said.extend(event.warnings))
    assert (await runner.run()).session.started == 0
    return tuple(said)


async def test_kept_answers_are_told_to_be_of_other_images_where_one_was_replaced(
    tmp_path: Path,
) -> None:
    study = await a_study_of_two_pictures(tmp_path)
    (tmp_path / "a.png").write_bytes(png(shade=9))

    (said,) = await warned(study)

    assert said.startswith("kept answers were given to other images than those of now: a.png. ")


async def test_an_image_that_is_written_again_as_it_was_is_the_same(tmp_path: Path) -> None:
    study = await a_study_of_two_pictures(tmp_path)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png())

    assert await warned(study) == ()


@pytest.mark.parametrize("showing", ["a judge", "an agent in Python", "its tool"])
async def test_whoever_has_shown_an_image_that_was_replaced_it_is_told(
    showing: str, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(png())
    part = {"type": "image_url", "image_url": {"url": "a.png"}}

    def look() -> dict[str, Any]:
        return part

    async def agent(ctx: ps.RunContext) -> str:
        model = ctx.model("small")
        if showing == "an agent in Python":
            return (await model.chat([{"role": "user", "content": [part]}])).text

        return (await model.run("Look", tools=[look] if showing == "its tool" else [])).text

    turns: list[Turn] = [[("look", {})]] if showing == "its tool" else []
    async with http_server(provider(*turns, "Score: 4", asked=[])) as url:
        asked = {"model": "small", "prompt": "{{ answer }}", "image": "a.png", "scale": [1, 5]}
        judge = {"evaluators": {"j": {"judge": asked}}} if showing == "a judge" else {}
        study = a_study(tmp_path, agent, url, **judge)
        (result,) = await run(study)

    assert result.error is None
    assert await warned(study) == ()
    (tmp_path / "a.png").write_bytes(png(shade=9))
    (said,) = await warned(study)
    assert said.startswith("kept answers were given to other images than those of now: a.png. ")

"""Images in prompts and messages: where they come from, what is refused, and what is kept."""

from __future__ import annotations

import base64
import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import anyio
import pytest

import penstock as ps
from penstock.export.purging import purge_study
from penstock.models.chat_model import ChatMessage, CompletionRequest
from penstock.models.prompts.forecast import planned_calls
from penstock.models.prompts.images import ImageError, ImageFiles, data_of, image_tokens
from penstock.models.prompts.tokens import prompt_tokens
from penstock.planning.plan import plan
from penstock.simulator import SimulatedProvider, SimulatorOptions
from penstock.store.files.purged import Wanted
from tests.models.loopback import http_server
from tests.models.studies import chat, chat_study, rows
from tests.models.test_conversing import provider
from tests.models.test_run_model import a_study, run

pytestmark = pytest.mark.anyio

DRAWN = "https://example.test/drawn.png"


def png(width: int = 3, height: int = 2, shade: int = 0) -> bytes:
    """A picture of one shade of grey."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes([shade]) * width) * height)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def data(image: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


GIF = b"GIF89a" + struct.pack("<HH", 640, 480) + b"\0" * 8
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", 480, 640) + b"\0" * 9
LOSSY = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480)
LOSSLESS = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 639 | 479 << 14)
EXTENDED = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0"


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (png(640, 480), "png"),
        (GIF, "gif"),
        (JPEG, "jpeg"),
        (LOSSY, "webp"),
        (LOSSLESS, "webp"),
        (EXTENDED, "webp"),
    ],
)
def test_type_and_size_are_read_from_what_an_image_is(
    image: bytes, kind: str, tmp_path: Path
) -> None:
    (tmp_path / "picture").write_bytes(image)
    url = ImageFiles(tmp_path.joinpath).url("picture")

    assert url == data(image, kind)
    assert data_of(url) == (f"image/{kind}", len(image), 640, 480)


def test_the_scheme_of_an_address_is_read_in_either_case() -> None:
    assert ImageFiles().url("HTTPS://example.test/a.png") == "HTTPS://example.test/a.png"


def test_the_base64_of_an_image_is_the_image() -> None:
    assert ImageFiles().url(base64.b64encode(png()).decode()) == data(png())


def test_an_image_is_expected_to_take_as_much_as_the_dearest_way_to_count_it() -> None:
    assert image_tokens(data(png(64, 64))) == 85 + 170
    assert image_tokens(data(png(1024, 1024))) == 1399  # by area; 765 by tiles
    assert image_tokens(data(png(4000, 200))) == 1067
    assert image_tokens(data(png(9000, 9000))) == 4784
    assert image_tokens(DRAWN) == 1600

    said = ChatMessage.model_validate({"role": "user", "content": [{"url": DRAWN}, "abc"]})
    assert prompt_tokens(CompletionRequest(model="m", messages=(said,))) == 1600 + 1 + 4


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("missing.png", r"the image .*missing\.png is not there"),
        ("text.png", "is neither PNG nor JPEG, GIF or WebP"),
        ("empty.png", "is empty; providers take only those"),
        ("huge.png", r"has 20,971,521 bytes; at most 20 MiB are sent"),
        ("folder", "the image .*folder cannot be read: Is a directory"),
        ("pipe", "the image .*pipe is not a file"),
        ("", "is an empty text; for none give null"),
        ("ftp://example.test/a.png", "is neither a path nor an https address"),
        ("data:image/png,abc", "are written as data:image/png;base64"),
        ("data:image/png;base64,!!!!", "are not base64"),
        (data(png(), "gif"), "says 'image/gif' and is 'image/png'"),
        ("A" * 64, "is neither PNG nor JPEG"),
    ],
)
@pytest.mark.field("models-E9")
def test_what_is_not_an_image_that_can_be_sent_is_told_before_anything_is_spent(
    source: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "text.png").write_text("not really")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge.png").open("wb") as file:
        file.write(png())
        file.truncate(20 * 2**20 + 1)

    with pytest.raises(ImageError, match=said):
        ImageFiles(tmp_path.joinpath).url(source)

    agent = chat("http://127.0.0.1:9/v1", image="{{ problem.picture }}")
    problem = ps.Problem(problem_id="p", brief="?", payload={"picture": source})
    with pytest.raises(ps.ValidationError, match=rf"agent 'gpt': image\.0: .*(?:{said})"):
        ps.StudyRunner(chat_study(tmp_path, agent, problems=[problem]))


def test_the_files_that_are_held_are_read_anew_where_they_change(tmp_path: Path) -> None:
    path, images = tmp_path / "a.png", ImageFiles(tmp_path.joinpath)
    path.write_bytes(png())
    assert images.url("a.png") is images.url("a.png")

    path.write_bytes(png(30, 20))
    assert images.url("a.png") == data(png(30, 20))


async def seen(tmp_path: Path, **fields: Any) -> tuple[ps.Study, list[Any], ps.RunResult]:
    """What an agent with images sends for the first of its runs."""
    asked: list[Any] = []
    async with http_server(provider("42", asked=asked)) as url:
        study = chat_study(tmp_path, chat(url, **fields), factors=())
        (result,) = await run(study)

    return study, asked[0]["messages"], result


@pytest.mark.field("models-E9")
async def test_the_images_of_a_prompt_stand_before_it_wherever_they_come_from(
    tmp_path: Path,
) -> None:
    (tmp_path / "local.png").write_bytes(png())
    images = [
        "local.png",
        DRAWN,
        data(png(5, 5)),
        "{{ None }}",
        "{{ [problem.payload.a, 'b.png'] }}",
    ]
    (tmp_path / "b.png").write_bytes(png(shade=7))
    problem = ps.Problem(problem_id="p", brief="How many?", payload={"a": data(png(shade=9))})
    asked: list[Any] = []
    async with http_server(provider("42", asked=asked)) as url:
        agent = chat(url, image=images)
        await run(chat_study(tmp_path, agent, factors=(), problems=[problem]))

    (message,) = asked[0]["messages"]
    *shown, last = message["content"]
    assert last == {"type": "text", "text": "How many?"}
    assert [part["image_url"]["url"] for part in shown] == [
        data(png()),
        DRAWN,
        data(png(5, 5)),
        data(png(shade=9)),
        data(png(shade=7)),
    ]


@pytest.mark.field("models-E9")
async def test_a_message_may_be_an_image_alone_and_examples_have_theirs(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    messages = [
        {"role": "user", "image": "a.png"},
        {"role": "assistant", "content": "grey"},
        {"role": "user", "content": "And this?", "image": DRAWN},
    ]
    _, sent, _ = await seen(tmp_path, messages=messages, system="Name it.", system_as_user=True)

    assert [part["type"] for part in sent[0]["content"]] == ["image_url", "text"]
    assert sent[0]["content"][1]["text"] == "Name it.\n\n"
    assert sent[2]["content"][0]["image_url"] == {"url": DRAWN}


async def test_a_study_with_images_is_written_out_and_read_back(tmp_path: Path) -> None:
    study = chat_study(
        tmp_path,
        chat("http://127.0.0.1:9/v1", messages=[{"role": "user", "content": "?", "image": DRAWN}]),
    )
    written = study.to_dict()["agents"]["gpt"]["chat"]["messages"]
    assert written == [{"role": "user", "content": "?", "image": [DRAWN]}]
    assert ps.Study(**study.to_dict()).agents == study.agents


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"messages": [{"role": "user", "image": []}]}, "content: is required"),
        ({"messages": [{"role": "assistant", "content": "a", "image": "a.png"}]}, "of the user"),
        ({"messages": [{"role": "user", "content": "a"}], "image": "a.png"}, "image and messages"),
        ({"image": 3}, "image"),
        ({"image": "{{ nobody }}"}, "'nobody' is unknown"),
        ({"image": "{{ 3 }}"}, "int is not a path"),
    ],
)
def test_images_that_cannot_be_meant_are_errors(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ps.ValidationError, match=said):
        ps.StudyRunner(chat_study(tmp_path, chat("http://127.0.0.1:9/v1", **fields)))


@pytest.mark.field("models-E9")
async def test_an_image_is_kept_once_however_often_and_with_whatever_words_it_is_asked_about(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.png").write_bytes(png())
    async with http_server(provider("42", asked=[])) as url:
        agent = chat(url, image="a.png", prompt="{{ condition.tone }}?")
        study = chat_study(tmp_path, agent, replicates=3)
        results = await run(study)

    assert len(results) == 6
    kept = rows(study, "SELECT text FROM content WHERE text LIKE '%base64%'")
    assert [json.loads(each["text"]) for each in kept] == [data(png())]
    (first, *_) = rows(study, "SELECT messages FROM calls")
    image, words = json.loads(first["messages"])[0]["content"]
    assert (image["media_type"], image["bytes"]) == ("image/png", len(png()))
    assert words["type"] == "text"


async def test_an_agent_in_python_shows_images_and_goes_on_where_it_was_cut_off(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.png").write_bytes(png())
    called: list[int] = []

    async def note(number: int) -> int:
        called.append(number)
        return 2 * number

    def agent(*, is_cut: bool) -> Any:
        async def talk(ctx: ps.RunContext) -> str:
            content = [{"type": "text", "text": "What is"}, {"url": "a.png", "detail": "low"}]
            messages = [{"role": "user", "content": content}]
            talked = await ctx.model("small").run(messages, tools=[note])
            if is_cut:
                runner.cancel()
                await anyio.sleep_forever()

            return talked.text

        return talk

    asked: list[Any] = []
    async with http_server(provider([("note", {"number": 4})], "8", asked=asked)) as url:
        runner = ps.StudyRunner(a_study(tmp_path, agent(is_cut=True), url))
        await runner.run()
        (result,) = await run(a_study(tmp_path, agent(is_cut=False), url))

    assert result.outputs["text"] == "8"
    assert (len(asked), called) == (2, [4])
    part = asked[0]["messages"][0]["content"][1]
    assert part == {"type": "image_url", "image_url": {"url": data(png()), "detail": "low"}}


async def test_what_an_agent_cannot_show_is_told(tmp_path: Path) -> None:
    async def agent(ctx: ps.RunContext) -> str:
        content = [{"url": "missing.png"}]
        await ctx.model("small").chat([{"role": "user", "content": content}])
        return "never"

    (result,) = await run(a_study(tmp_path, agent))

    assert result.error is not None
    assert (result.error.kind, result.error.retryable) == ("ImageError", False)


async def test_the_images_of_a_problem_go_when_it_is_purged_and_those_of_others_stay(
    tmp_path: Path,
) -> None:
    pictures = {name: data(png(shade=shade)) for shade, name in enumerate(("ann", "ben"))}
    problems = [
        ps.Problem(problem_id=name, brief="?", payload={"picture": picture})
        for name, picture in pictures.items()
    ]
    async with http_server(provider("42", asked=[])) as url:
        agent = chat(url, image="{{ problem.picture }}")
        study = chat_study(tmp_path, agent, factors=(), problems=problems)
        await run(study)

    purge_study(study.resolve("results"), Wanted(problems=("ann",)))

    kept = rows(study, "SELECT text FROM content WHERE text LIKE '%base64%'")
    assert [json.loads(each["text"]) for each in kept] == [pictures["ben"]]


async def test_the_data_of_an_image_are_described_where_a_plan_is_shown(tmp_path: Path) -> None:
    agent = chat("http://127.0.0.1:9/v1", image=data(png()))
    (call,) = planned_calls(plan(chat_study(tmp_path, agent)), 0)

    (image, _) = call.body["messages"][0]["content"]
    assert image["image_url"]["url"] == f"data:image/png;base64,... ({len(png())} bytes)"
    assert call.forecast.low_tokens == 85 + 170 + 4 + 6


async def test_what_an_image_took_is_what_the_provider_counts(tmp_path: Path) -> None:
    async with SimulatedProvider(SimulatorOptions(latency_s=0.0)) as simulated:
        agent = chat(simulated.url, image=[data(png()), DRAWN], prompt="abcd")
        study = chat_study(tmp_path, agent, factors=(), budget={"max_tokens": 1900})
        (result,) = await run(study)
        (record,) = simulated.records

    assert result.metrics["input_tokens"] == record.input_tokens == 2 * 85 + 1 + 4

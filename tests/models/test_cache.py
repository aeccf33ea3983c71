from __future__ import annotations

import asyncio  # noqa: TID251 - its own cancellations, which are not anyio's
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ForeignDirectoryError, StoreError
from penstock.models.calls.cache import ResponseCache, cache_key
from penstock.models.chat_model import (
    ChatMessage,
    Completion,
    CompletionRequest,
    RateLimitHeaders,
    Usage,
)
from penstock.models.model_errors import OverloadedError
from tests.models.simulated_clock import settled

pytestmark = pytest.mark.anyio

REQUEST = CompletionRequest(
    model="m", messages=(ChatMessage(role="user", content="ask"),), extra={"top_k": 3}
)
ANSWER = Completion(
    text="42", model="m-1", finish_reason="stop", usage=Usage(input_tokens=3, output_tokens=1)
)


def key(request: CompletionRequest = REQUEST, **other: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        "endpoint": "http://e/v1",
        "replicate": 1,
        "attempt": 1,
        "call": 0,
    } | other
    return cache_key(options.pop("endpoint"), request, **options)


class Model:
    """Answers when it is let go, and counts how often it is asked."""

    def __init__(self, *answers: Completion | Exception, is_open: bool = True) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.opens = anyio.Event()
        if is_open:
            self.opens.set()

    async def __call__(self) -> Completion:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        await self.opens.wait()
        if isinstance(answer, Exception):
            raise answer

        return answer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "responses.sqlite"


async def test_what_was_answered_is_given_again_and_marked(path: Path) -> None:
    model = Model(ANSWER)
    async with ResponseCache(path) as cache:
        first = await cache.complete(key(), model)
        second = await cache.complete(key(), model)

    async with ResponseCache(path) as cache:
        third = await cache.complete(key(), model)

    assert model.asked == 1
    assert first == ANSWER
    assert second == third == ANSWER.model_copy(update={"is_cached": True})


@pytest.mark.field("studies-SEC12")
async def test_a_cache_and_its_log_are_as_private_as_their_folder(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    async with ResponseCache(path) as cache:
        await cache.complete(key(), Model(ANSWER))
        open_to_others = [each for each in path.parent.iterdir() if each.stat().st_mode & 0o077]
        assert len([*path.parent.glob(f"{path.name}*")]) > 1

    assert open_to_others == []


OTHER_REQUESTS = [
    REQUEST.model_copy(update=change)
    for change in (
        {"model": "n"},
        {"messages": (ChatMessage(role="system", content="ask"),)},
        {"messages": REQUEST.messages * 2},
        {"temperature": 0.0},
        {"top_p": 0.5},
        {"max_tokens": 5},
        {"max_completion_tokens": 5},
        {"reasoning_effort": "low"},
        {"seed": 7},
        {"stop": ("x",)},
        {"logprobs": True},
        {"json_schema": {"type": "object"}},
        {"stream": True},
        {"tools": ({"type": "function"},)},
        {"extra": {"top_k": 4}},
        {"is_embedding": True},
    )
]
OTHERS = [
    *[key(request) for request in OTHER_REQUESTS],
    key(endpoint="http://other/v1"),
    key(replicate=2),
    key(attempt=2),
    key(call=1),
]


def test_every_field_of_a_request_is_varied_here() -> None:
    assert len(OTHER_REQUESTS) == len(CompletionRequest.model_fields) + 1


async def test_calls_that_differ_in_anything_are_made_each_for_itself(path: Path) -> None:
    model = Model(ANSWER)
    async with ResponseCache(path) as cache:
        for each in [key(), *OTHERS]:
            assert not (await cache.complete(each, model)).is_cached

        for each in [key(), *OTHERS]:
            assert (await cache.complete(each, model)).is_cached

    assert model.asked == 1 + len(OTHERS)


async def test_equal_calls_at_the_same_time_are_made_once(path: Path) -> None:
    model, given_back = Model(ANSWER, is_open=False), []
    async with ResponseCache(path) as cache, anyio.create_task_group() as tasks:

        async def ask() -> None:
            given_back.append(await cache.complete(key(), model))

        for _ in range(50):
            tasks.start_soon(ask)

        while model.asked == 0:
            await anyio.lowlevel.checkpoint()

        model.opens.set()

    assert model.asked == 1
    assert [completion.is_cached for completion in given_back].count(False) == 1
    assert {completion.text for completion in given_back} == {"42"}


async def test_an_error_is_not_kept_and_whoever_waited_tries_next(path: Path) -> None:
    model = Model(OverloadedError("no"), ANSWER, is_open=False)
    outcomes: list[str] = []
    async with ResponseCache(path) as cache, anyio.create_task_group() as tasks:

        async def ask() -> None:
            try:
                completion = await cache.complete(key(), model)
                outcomes.append(f"cached: {completion.is_cached}")
            except OverloadedError:
                outcomes.append("error")

        for _ in range(3):
            tasks.start_soon(ask)

        while model.asked == 0:
            await anyio.lowlevel.checkpoint()

        model.opens.set()

    assert sorted(outcomes) == ["cached: False", "cached: True", "error"]
    assert model.asked == 2


async def test_whoever_waited_for_a_call_that_is_cancelled_makes_it_next(path: Path) -> None:
    model = Model(ANSWER, is_open=False)
    async with ResponseCache(path) as cache:
        first = asyncio.ensure_future(cache.complete(key(), model))
        while model.asked == 0:
            await anyio.lowlevel.checkpoint()

        second = asyncio.ensure_future(cache.complete(key(), model))
        third = asyncio.ensure_future(cache.complete(key(), model))
        await settled()
        third.cancel()
        first.cancel()
        model.opens.set()

        assert await second == ANSWER
        assert first.cancelled()
        assert third.cancelled()

    assert model.asked == 2


async def test_an_answer_is_kept_although_its_run_is_cancelled_while_it_is_saved(
    path: Path,
) -> None:
    with anyio.CancelScope() as scope:

        async def call() -> Completion:
            scope.cancel()
            return ANSWER

        async with ResponseCache(path) as cache:
            await cache.complete(key(), call)

    model = Model(ANSWER)
    async with ResponseCache(path) as cache:
        await cache.complete(key(), model)

    assert scope.cancelled_caught or model.asked == 0
    assert model.asked == 0


COMPLETIONS = st.builds(
    Completion,
    text=st.text(st.characters()),
    model=st.text(max_size=5),
    finish_reason=st.sampled_from(["stop", "length", "tool_calls"]),
    logprobs=st.recursive(
        st.none() | st.floats(allow_nan=False) | st.integers() | st.text(st.characters()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
    provider_s=st.floats(0, 1e3),
)


@given(completion=COMPLETIONS)
def test_what_is_given_again_is_what_was_answered(completion: Completion) -> None:
    async def ask_twice(model: Model) -> Completion:
        async with ResponseCache(":memory:") as cache:
            await cache.complete(key(), model)
            return await cache.complete(key(), model)

    model = Model(completion)
    again = anyio.run(ask_twice, model)

    assert again == completion.model_copy(update={"is_cached": True})
    assert model.asked == 1


async def test_neither_requests_nor_keys_nor_headers_are_in_the_file(path: Path) -> None:
    request = REQUEST.model_copy(update={"extra": {"note": "canary-in-request"}})
    answer = ANSWER.model_copy(
        update={"rate_limits": RateLimitHeaders(remaining_requests=76543210)}
    )
    async with ResponseCache(path) as cache:
        await cache.complete(key(request, endpoint="http://canary-host/v1"), Model(answer))
        stored = b"".join(file.read_bytes() for file in path.parent.iterdir())

    assert b"m-1" in stored
    assert b"canary" not in stored
    assert b"76543210" not in stored


async def test_a_row_that_cannot_be_read_is_asked_again_and_said(path: Path) -> None:
    async with ResponseCache(path) as cache:
        await cache.complete(key(), Model(ANSWER))

    with sqlite3.connect(path) as connection:
        connection.execute("""UPDATE completion SET completion = '{"txet": 1}'""")

    connection.close()
    model = Model(ANSWER)
    async with ResponseCache(path) as cache:
        with structlog.testing.capture_logs() as logs:
            assert await cache.complete(key(), model) == ANSWER

        assert (await cache.complete(key(), model)).is_cached

    assert [log["event"] for log in logs] == ["cache.unreadable"]


async def test_an_answer_that_cannot_be_saved_is_given_all_the_same(path: Path) -> None:
    async with ResponseCache(path) as cache:
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE completion")

        connection.close()
        with structlog.testing.capture_logs() as logs:
            assert await cache.complete(key(), Model(ANSWER)) == ANSWER

    assert [log["event"] for log in logs] == ["cache.unreadable", "cache.save_failed"]


def make_text(path: Path) -> None:
    path.write_text("a text and no database, and long enough to be looked at " * 10)


def make_foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()


def make_newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(
        "PRAGMA application_id = 1885695587; PRAGMA user_version = 99; CREATE TABLE x (y)"
    )
    connection.close()


@pytest.mark.parametrize("make", [make_text, make_foreign, make_newer])
async def test_a_file_of_something_else_is_refused_and_left_alone(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "theirs.sqlite"
    make(path)
    before = path.read_bytes()
    with pytest.raises(ForeignDirectoryError, match="not a response cache"):
        async with ResponseCache(path):
            pass

    assert path.read_bytes() == before


async def test_a_file_that_cannot_be_opened_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="response cache"):
        async with ResponseCache(tmp_path):
            pass


async def test_a_cache_that_is_not_open_says_so(path: Path) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await ResponseCache(path).complete(key(), Model(ANSWER))


WRITER = """
import sys, anyio
from penstock.models.calls.cache import ResponseCache
from penstock.models.chat_model import Completion

async def main(path, name):
    asked = 0
    async def call():
        nonlocal asked
        asked += 1
        return Completion(text=name, finish_reason="stop")

    async with ResponseCache(path) as cache:
        for index in range(200):
            await cache.complete({"call": index}, call)
            await cache.complete({"call": index, "by": name}, call)

    print(asked)

anyio.run(main, *sys.argv[1:])
"""


def test_processes_may_use_one_file_at_once(path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER, str(path), name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b", "c", "d")
    ]
    ended = [process.communicate(timeout=60) for process in processes]
    assert [errors for _, errors in ended] == [""] * 4
    assert all(200 <= int(asked) <= 400 for asked, _ in ended)

    connection = sqlite3.connect(path)
    ((rows,),) = connection.execute("SELECT count(*) FROM completion").fetchall()
    connection.close()
    assert rows == 200 * 5

"""The simulated provider, over real HTTP."""

from __future__ import annotations

import json
import math
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import aiohttp
import anyio
import anyio.to_thread
import pytest
from pydantic import ValidationError as FieldErrors
from typer.testing import CliRunner

from penstock.cli import app
from penstock.errors import ValidationError
from penstock.models.openai.retry_after import retry_after_s
from penstock.simulator import (
    Fault,
    SimulatedProvider,
    SimulatorOptions,
)
from penstock.simulator.limits import SlidingWindow
from tests.children import COMMAND_LINE, start_python

pytestmark = pytest.mark.anyio

LEFT, CLOSED = 499, 0


class Response(NamedTuple):
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> Any:
        return self.json["choices"][0]["message"]["content"]

    @property
    def events(self) -> list[Any]:
        lines = [line.removeprefix("data: ") for line in self.body.decode().split("\n\n") if line]
        assert lines[-1] == "[DONE]"
        return [json.loads(line) for line in lines[:-1]]


class Client:
    def __init__(self, session: aiohttp.ClientSession, provider: SimulatedProvider) -> None:
        self.session, self.provider = session, provider

    async def ask(self, prompt: str = "How many?", **fields: Any) -> Response:
        headers = fields.pop("headers", {})
        message = {"role": "user", "content": prompt}
        body = {"model": "small", "messages": [message], **fields}
        url = f"{self.provider.url}/chat/completions"
        async with self.session.post(url, json=body, headers=headers) as response:
            return Response(response.status, response.headers, await response.read())

    async def ask_many(self, count: int, **fields: Any) -> list[Response]:
        answered: list[Response] = []

        async def ask(number: int) -> None:
            answered.append(await self.ask(f"question {number}", **fields))

        async with anyio.create_task_group() as group:
            for number in range(count):
                group.start_soon(ask, number)

        return answered

    async def get(self, path: str) -> Any:
        async with self.session.get(self.provider.origin + path) as response:
            return await response.json()


@asynccontextmanager
async def simulated(**options: Any) -> AsyncIterator[Client]:
    settings = SimulatorOptions(**{"latency_s": 0.0, **options})
    async with (
        SimulatedProvider(settings) as provider,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        yield Client(session, provider)


async def test_an_answer_has_the_form_of_a_completion_with_usage_and_a_fingerprint() -> None:
    async with simulated(served_model="small-2026", seed=7) as client:
        response = await client.ask("x" * 40)

    assert response.status == 200
    assert response.headers["x-request-id"] == "sim-00000001"
    assert response.json["model"] == "small-2026"
    assert response.json["system_fingerprint"] == "simulated-7"
    assert response.json["choices"][0]["finish_reason"] == "stop"
    usage = response.json["usage"]
    assert usage["prompt_tokens"] == 14
    assert usage["completion_tokens"] == math.ceil(len(response.text) / 4)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_a_streamed_answer_is_the_same_answer_and_ends_with_its_usage() -> None:
    async with simulated() as client:
        plain = await client.ask()
        streamed = await client.ask(stream=True, stream_options={"include_usage": True})
        records = client.provider.records

    pieces = [event["choices"][0]["delta"] for event in streamed.events if event["choices"]]
    assert streamed.headers["Content-Type"] == "text/event-stream"
    assert "".join(piece.get("content", "") for piece in pieces) == plain.text
    assert streamed.events[-1]["usage"] == plain.json["usage"]
    assert [record.is_streamed for record in records] == [False, True]
    assert records[0].key == records[1].key, "how it is sent is no part of what is asked"


async def test_equal_requests_get_equal_answers_in_any_order_and_from_any_server() -> None:
    prompts = [f"question {number}" for number in range(20)]
    async with simulated(seed=1) as client:
        forwards = {prompt: (await client.ask(prompt)).text for prompt in prompts}
        seeds = {(await client.ask("x", seed=seed)).text for seed in range(5)}

    async with simulated(seed=1) as client:
        backwards = {prompt: (await client.ask(prompt)).text for prompt in reversed(prompts)}

    async with simulated(seed=2) as client:
        others = {prompt: (await client.ask(prompt)).text for prompt in prompts}

    assert forwards == backwards
    assert len(set(forwards.values())) > 10
    assert all(forwards[prompt] != others[prompt] for prompt in prompts)
    assert len(seeds) == 5, "the request's own seed draws too"


async def test_faults_are_drawn_for_each_request_and_attempt_whatever_the_order() -> None:
    async def statuses(order: list[str]) -> Counter[tuple[str, int]]:
        async with simulated(faults={"server_error": 0.3, "rate_limited": 0.3}) as client:
            return Counter([(prompt, (await client.ask(prompt)).status) for prompt in order])

    prompts = [f"question {number}" for number in range(40)]
    first = await statuses(prompts * 3)
    assert first == await statuses([*prompts, *reversed(prompts * 2)])
    assert len({status for _, status in first}) == 3
    retried = {prompt for prompt, status in first if status != 200}
    assert any(first[prompt, 200] for prompt in retried), "a retry may succeed"


async def test_rates_of_faults_are_kept() -> None:
    options = SimulatorOptions(error_rate=0.4, faults={Fault.REFUSAL: 0.1})
    assert sum(options.fault_rates.values()) == pytest.approx(0.5)
    async with simulated(faults={"server_error": 0.2, "refusal": 0.1}) as client:
        for start in range(0, 1000, 250):
            await client.ask_many(250, seed=start)

        stats = await client.get("/stats")

    assert stats["by_fault"]["server_error"] == pytest.approx(200, abs=40)
    assert stats["by_fault"]["refusal"] == pytest.approx(100, abs=30)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("rate_limited", 429, "rate_limit_exceeded"),
        ("unauthorized", 401, "invalid_api_key"),
        ("bad_request", 400, "unsupported_value"),
        ("context_too_long", 400, "context_length_exceeded"),
        ("prompt_filter", 400, "content_filter"),
        ("server_error", 500, None),
        ("unavailable", 503, None),
        ("overloaded", 529, None),
    ],
)
async def test_a_refused_request_gets_its_status_and_an_error_as_openai_writes_it(
    fault: str, status: int, code: str | None
) -> None:
    async with simulated(faults={fault: 1}) as client:
        response = await client.ask()
        (record,) = client.provider.records

    assert response.status == status
    assert response.json["error"]["code"] == code
    assert (record.status, record.fault) == (status, fault)
    assert record.input_tokens == record.output_tokens == 0


@pytest.mark.parametrize(
    ("form", "headers", "wait_s"),
    [
        ("seconds", {"Retry-After": "2"}, 2),
        ("fraction", {"Retry-After": "1.500"}, 1.5),
        ("ms", {"retry-after-ms": "1500"}, 1.5),
        ("garbage", {"Retry-After": "soon"}, None),
        ("negative", {"Retry-After": "-5"}, None),
        ("absurd", {"Retry-After": "31536000"}, 31536000),
        ("none", {}, None),
    ],
)
async def test_a_429_says_how_long_to_wait_in_the_form_that_was_asked_for(
    form: str, headers: dict[str, str], wait_s: float | None
) -> None:
    options = {"retry_after": form, "retry_after_s": 1.5}
    async with simulated(faults={"rate_limited": 1}, **options) as client:
        response = await client.ask()

    said = {name: value for name, value in response.headers.items() if "etry" in name}
    assert said == headers
    assert retry_after_s({name.lower(): value for name, value in said.items()}) == wait_s


async def test_a_429_may_name_a_date_or_mix_all_forms() -> None:
    async with simulated(faults={"rate_limited": 1}, retry_after="date") as client:
        headers = (await client.ask()).headers
        assert retry_after_s({name.lower(): value for name, value in headers.items()}) in (1, 2)

    async with simulated(faults={"rate_limited": 1}, retry_after="mixed") as client:
        forms = {
            response.headers.get("Retry-After") or response.headers["retry-after-ms"]
            for response in await client.ask_many(30)
        }

    assert {"1", "1.000", "1000"} < forms


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["dropped", "cut_off"])
async def test_a_broken_connection_is_broken(fault: str, stream: bool) -> None:
    async with simulated(faults={fault: 1}, fault_attempts=1) as client:
        with pytest.raises(aiohttp.ClientError):
            await client.ask(stream=stream)

        again = await client.ask(stream=stream)
        first, _ = client.provider.records

    assert again.status == 200
    assert first.status == (CLOSED if fault == "dropped" else 200)
    assert (first.output_tokens > 0) == (fault == "cut_off"), "what was made is charged"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fault", "status"), [("silent", LEFT), ("stalled", 200)])
@pytest.mark.virtual_time
async def test_a_stall_lasts_until_the_client_leaves(fault: str, status: int, stream: bool) -> None:
    async with simulated(faults={fault: 1}) as client:
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.2):
                await client.ask(stream=stream)

        with anyio.fail_after(5):
            while client.provider.log.in_flight:  # the server is told at its own pace
                await client.get("/stats")

        (record,) = client.provider.records

    assert (record.status, record.fault) == (status, fault)
    assert record.answered_s - record.arrived_s < 5


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["silent", "stalled", "slow_drip"])
@pytest.mark.virtual_time
async def test_a_slow_answer_is_whole_in_the_end(fault: str, stream: bool) -> None:
    async with simulated(faults={fault: 1}, stall_s=0.1, drip_s=0.1) as client:
        response = await client.ask(stream=stream)
        (record,) = client.provider.records

    assert response.events if stream else response.text
    assert record.answered_s - record.arrived_s >= 0.09


async def test_spoilt_json_comes_in_a_response_that_looks_whole() -> None:
    for fault in ("malformed_json", "truncated_json"):
        async with simulated(faults={fault: 1}) as client:
            for stream in (False, True):
                response = await client.ask(stream=stream)
                assert response.status == 200
                with pytest.raises((ValueError, AssertionError)):
                    assert response.events if stream else response.json


async def test_a_completion_may_be_empty_uncounted_filtered_refused_or_none_at_all() -> None:
    async def ask(fault: str, **fields: Any) -> Response:
        async with simulated(faults={fault: 1}) as client:
            return await client.ask(**fields)

    assert (await ask("empty_answer")).text == ""
    assert "usage" not in (await ask("missing_usage")).json
    streamed = await ask("missing_usage", stream=True, stream_options={"include_usage": True})
    assert all(not event.get("usage") for event in streamed.events)
    filtered = await ask("content_filter")
    assert filtered.json["choices"][0]["finish_reason"] == "content_filter"
    refused = (await ask("refusal")).json["choices"][0]["message"]
    assert refused["content"] is None
    assert "sorry" in refused["refusal"]
    streamed = await ask("refusal", stream=True)
    assert "I'm sorry" in streamed.events[0]["choices"][0]["delta"]["refusal"]
    assert "choices" not in (await ask("wrong_shape")).json
    assert "choices" not in (await ask("wrong_shape", stream=True)).events[0]


async def test_the_nth_request_gets_the_fault_that_was_written_for_it() -> None:
    async with simulated(faults_at={2: "overloaded"}) as client:
        statuses = [(await client.ask()).status for _ in range(3)]

    assert statuses == [200, 529, 200]


async def test_an_answer_ends_at_max_tokens_and_at_stop() -> None:
    async with simulated(answers=["one two three four"]) as client:
        cut = await client.ask(max_tokens=2)
        stopped = await client.ask(stop=["three"])

    assert (cut.text, cut.json["choices"][0]["finish_reason"]) == ("one two ", "length")
    assert cut.json["usage"]["completion_tokens"] == 2
    assert stopped.text == "one two "


async def test_an_answer_follows_a_json_schema_and_has_logprobs_where_asked() -> None:
    schema = {
        "type": "object",
        "properties": {
            "score": {"type": "integer", "minimum": 1, "maximum": 5},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "label": {"enum": ["yes", "no"]},
            "sure": {"type": ["boolean", "null"]},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}, "minItems": 2},
        },
        "$defs": {"part": {"anyOf": [{"type": "string", "maxLength": 3}, {"const": 0}]}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    async with simulated() as client:
        response = await client.ask(response_format=form, logprobs=True)

    answer = json.loads(response.text)
    assert 1 <= answer["score"] <= 5
    assert 0 < answer["share"] < 1
    assert answer["label"] in ("yes", "no")
    assert answer["sure"] in (True, False, None)
    assert len(answer["parts"]) == 2
    assert all(part == 0 or len(part) <= 3 for part in answer["parts"])
    tokens = response.json["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == response.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"model": "m", "messages": []}',
        b'{"model": "m", "messages": ["hello"]}',
        b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 0}',
    ],
)
async def test_what_is_no_request_is_a_bad_request(body: bytes) -> None:
    async with simulated() as client:
        url = f"{client.provider.url}/chat/completions"
        async with client.session.post(url, data=body) as response:
            assert response.status == 400
            assert (await response.json())["error"]["message"]


async def test_a_key_is_insisted_on_and_may_be_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATED_KEY", "canary")
    async with simulated(api_key_env="SIMULATED_KEY", echoes_key=True) as client:
        right = await client.ask(headers={"Authorization": "Bearer canary"})
        wrong = await client.ask(headers={"Authorization": "Bearer other"})

    assert (right.status, wrong.status) == (200, 401)
    assert "Bearer other" in wrong.json["error"]["message"]


@pytest.mark.virtual_time
async def test_requests_beyond_the_most_in_flight_get_503() -> None:
    async with simulated(max_in_flight=5, latency_s=0.2) as client:
        statuses = Counter(response.status for response in await client.ask_many(12))
        stats = client.provider.stats()

    assert statuses == {200: 5, 503: 7}
    assert stats["max_in_flight"] > 5
    assert stats["in_flight"] == 0


@pytest.mark.virtual_time
async def test_requests_per_minute_hold_over_any_window_and_say_when_to_return() -> None:
    async with simulated(requests_per_minute=5, window_s=1.0) as client:
        first = await client.ask_many(8)
        refused = [response for response in first if response.status == 429]
        for _ in range(2):
            waits_s = [int(each.headers["retry-after-ms"]) / 1000 for each in refused]
            await anyio.sleep(max(waits_s))  # as the server asks
            assert (await client.ask()).status == 200
            again = await client.ask_many(5)
            refused = [*refused, *(each for each in again if each.status == 429)][-1:]

        taken_s = [record.arrived_s for record in client.provider.records if record.status == 200]

    assert [each.status for each in first].count(429) == 3
    assert all(each.headers["Retry-After"] == "1" for each in first if each.status == 429)
    assert refused[0].headers["x-ratelimit-limit-requests"] == "5"
    assert refused[0].headers["x-ratelimit-remaining-requests"] == "0"
    assert refused[0].headers["x-ratelimit-reset-requests"].endswith("ms")
    for at_s in taken_s:
        assert sum(at_s <= other < at_s + 1.0 for other in taken_s) <= 5


async def test_tokens_per_minute_count_prompt_and_answer_and_refuse_what_never_fits() -> None:
    async with simulated(tokens_per_minute=50, answers=["x" * 40]) as client:
        first, second, third = [await client.ask("y" * 24) for _ in range(3)]
        huge = await client.ask("y" * 400)

    assert [first.status, second.status, third.status] == [200, 200, 429]
    assert first.headers["x-ratelimit-remaining-tokens"] == "30"
    assert third.headers["x-ratelimit-remaining-tokens"] == "10"
    assert huge.status == 429
    assert huge.json["error"]["message"].startswith("Request too large")
    assert "Retry-After" not in huge.headers


def test_a_sliding_window_frees_each_amount_a_window_after_it_was_used() -> None:
    window = SlidingWindow(10, 60.0)
    for at_s in (0.0, 10.0, 20.0):
        window.add(at_s, 3)

    assert window.wait_s(20.0, 1) == 0
    assert window.wait_s(20.0, 4) == 40
    assert window.wait_s(20.0, 5) == 50
    assert window.wait_s(20.0, 11) == math.inf
    assert window.reset_s(20.0) == 60
    assert window.wait_s(60.0, 4) == 0
    assert window.remaining(60.0) == 4


async def test_a_prompt_beyond_the_context_is_too_long() -> None:
    async with simulated(context_tokens=20) as client:
        assert (await client.ask("x" * 64)).status == 200
        response = await client.ask("x" * 65)

    assert response.json["error"]["code"] == "context_length_exceeded"


async def test_latencies_have_the_mean_and_the_width_that_were_asked_for() -> None:
    places = [(number + 0.5) / 10_000 for number in range(10_000)]
    for kind, width in (("constant", 0.0), ("uniform", 0.1 / 3**0.5), ("lognormal", 0.1)):
        options = SimulatorOptions.model_validate(
            {"latency_s": 0.2, "jitter_s": 0.1, "latency_distribution": kind}
        )
        drawn = [options.latency_at(place) for place in places]
        assert mean(drawn) == pytest.approx(0.2, rel=0.01)
        assert mean((each - 0.2) ** 2 for each in drawn) ** 0.5 == pytest.approx(width, rel=0.05)


async def test_tokens_come_at_their_speed_after_the_latency() -> None:
    async with simulated(latency_s=0.05, tokens_per_second=100, answers=["x" * 40]) as client:
        await client.ask()
        await client.ask(stream=True)
        records = client.provider.records

    assert all(record.answered_s - record.arrived_s >= 0.12 for record in records)


async def test_the_log_and_the_totals_tell_what_was_asked_and_what_it_cost(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    prices = {"input_usd_per_million": 1000.0, "output_usd_per_million": 2000.0}
    async with simulated(log=path, faults_at={2: "server_error"}, **prices) as client:
        first = await client.ask("a")
        await client.ask("b")
        await client.ask("b")
        stats = await client.get("/stats")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert lines == [json.loads(json.dumps(each._asdict())) for each in client.provider.records]

    assert [line["attempt"] for line in lines] == [1, 1, 2]
    assert [line["status"] for line in lines] == [200, 500, 200]
    assert lines[0]["request_id"] == first.headers["x-request-id"]
    assert all(line["arrived_s"] <= line["answered_s"] for line in lines)
    tokens_in, tokens_out = (
        sum(line[name] for line in lines) for name in ("input_tokens", "output_tokens")
    )
    assert stats["by_status"] == {"200": 2, "500": 1}
    assert (stats["input_tokens"], stats["output_tokens"]) == (tokens_in, tokens_out)
    assert stats["cost_usd"] == pytest.approx((tokens_in + 2 * tokens_out) / 1000)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    rows = [
        {"problem_id": "p1", "model": "small", "solution": "small one"},
        {"problem_id": "p1", "model": "large", "solution": "large one"},
        {"problem_id": "p2", "solution": "anyone's two"},
        {"prompt": "What is the capital of France?", "model": "small", "answer": "Paris"},
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


async def test_a_recorded_answer_is_found_by_metadata_user_pattern_or_prompt(
    recordings: Path, tmp_path: Path
) -> None:
    problems = tmp_path / "problems.jsonl"
    problems.write_text(
        '{"problem_id": "p1", "question": "Why?"}\n'
        '{"problem_id": "p2", "question": " Why? Because of what? "}\n'
    )
    pattern = {"replay_pattern": r"^\[(\w+)\]", "replay_problems": problems}
    async with simulated(replay=recordings, **pattern) as client:
        answers = [
            await client.ask("x", metadata={"problem_id": "p1"}),
            await client.ask("x", model="large", user="p1"),
            await client.ask("[p2] x", metadata={"problem_id": "p1"}),
            await client.ask("Tell me.\n\nWhat is the capital of France?\nBriefly."),
            await client.ask("Why?"),
            await client.ask("Say: Why? Because of what? Now."),
        ]
        models = await client.get("/v1/models")
        keys = [record.problem_id for record in client.provider.records]

    found = ["small one", "large one", "anyone's two", "Paris", "small one", "anyone's two"]
    assert [answer.text for answer in answers] == found
    assert [model["id"] for model in models["data"]] == ["large", "small"]
    assert keys[:3] == ["p1", "p1", "p2"]


async def test_what_was_not_recorded_is_not_found(recordings: Path) -> None:
    async with simulated(replay=recordings) as client:
        unknown = await client.ask("x")
        unanswered = await client.ask("x", model="large", user="p3")

    assert (unknown.status, unanswered.status) == (404, 404)
    assert "'large'" in unanswered.json["error"]["message"]
    assert "'p3'" in unanswered.json["error"]["message"]


async def test_several_recordings_of_a_problem_are_drawn_by_the_request(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    rows = [{"problem_id": "p", "answer": "one"}, {"problem_id": "p", "answer": "two"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    parts = [{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}]
    async with simulated(replay=path) as client:
        drawn = [await client.ask(user="p", seed=seed) for seed in range(20)]
        again = [await client.ask(user="p", seed=seed) for seed in range(20)]
        messages = [{"role": "user", "content": parts}]
        assert (await client.ask(messages=messages, user="p")).json["usage"]["prompt_tokens"] == 6
        assert (await client.get("/v1/models"))["data"][0]["id"] == "simulated"

    assert {answer.text for answer in drawn} == {"one", "two"}
    assert [answer.text for answer in drawn] == [answer.text for answer in again]


def test_a_replay_without_recordings_or_problems_is_refused(tmp_path: Path) -> None:
    path, problems = tmp_path / "answers.jsonl", tmp_path / "problems.jsonl"
    path.write_text("")
    with pytest.raises(ValidationError, match="no recorded answers"):
        SimulatedProvider(SimulatorOptions(replay=path))

    path.write_text('{"problem_id": "p", "answer": "one"}\n')
    problems.write_text('{"problem_id": "p"}\n')
    with pytest.raises(ValidationError, match="and the problem's text"):
        SimulatedProvider(SimulatorOptions(replay=path, replay_problems=problems))


def test_every_line_of_a_replay_that_is_wrong_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(
        '{"problem_id": "p"}\n\nnonsense\n[1]\n{"answer": "a"}\n'
        '{"prompt": "p", "answer": "a", "model": 1}\n'
    )
    with pytest.raises(ValidationError) as caught:
        SimulatedProvider(SimulatorOptions(replay=path))

    lines = [error.removeprefix(f"{path}:").partition(":")[0] for error in caught.value.errors]
    assert lines == ["1", "3", "4", "5", "6"]
    with pytest.raises(ValidationError, match="No such file"):
        SimulatedProvider(SimulatorOptions(replay=tmp_path / "none"))

    with pytest.raises(ValidationError, match="replay_pattern"):
        SimulatedProvider(SimulatorOptions(replay=path, replay_pattern="("))


async def test_each_problem_of_gsm8k_is_found_in_a_prompt(gsm8k: Path) -> None:
    files = {
        "replay": gsm8k / "recorded_answers.jsonl",
        "replay_problems": gsm8k / "problems.jsonl",
    }
    lines = (gsm8k / "problems.jsonl").read_text().splitlines()
    questions = {row["problem_id"]: row["question"] for row in map(json.loads, lines)}
    async with simulated(**files) as client:
        for number, question in enumerate(questions.values()):
            model = ("6b_finetuning", "6b_verification")[number % 2]
            await client.ask(f"Solve this.\n\n{question}\n\nBriefly.", model=model)

        assert [record.problem_id for record in client.provider.records] == list(questions)
        assert client.provider.stats()["by_status"] == {"200": 1319}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"faults": {"earthquake": 0.1}}, "'earthquake' is not a fault; there are rate_limited"),
        ({"faults_at": {1: "earthquake"}}, "'earthquake' is not a fault"),
        ({"faults": {"dropped": 0.7}, "error_rate": 0.4}, "add up to 1.1"),
        ({"replay_pattern": "x"}, "without a replay"),
        ({"latency_distribution": "normal"}, "latency_distribution"),
        ({"retry_after": "later"}, "retry_after"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(FieldErrors, match=said):
        SimulatorOptions(**options)


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    async with simulated() as client:
        port = int(client.provider.origin.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            async with SimulatedProvider(SimulatorOptions(port=port)):
                pass


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = (*COMMAND_LINE, "simulate-model", "--port", "0", *arguments)
    return start_python(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_the_command_says_its_address_serves_and_ends_cleanly_at_a_signal(
    tmp_path: Path, ending: signal.Signals
) -> None:
    log = tmp_path / "log.jsonl"
    options = ["--fault", "stalled=0.5", "--fault-at", "1=server_error", "--latency", "0"]
    with start("--log", log, *options) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/chat/completions", json=body) as response,
        ):
            assert response.status == 500
            process.send_signal(ending)
            with anyio.fail_after(10):
                out, err = await anyio.to_thread.run_sync(process.communicate)

    assert process.returncode == 0
    assert out == ""
    assert err == "1 request, at most 1 in flight\n"
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["fault"] == "server_error"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--fault", "earthquake=1"], 2, "'earthquake' is not a fault"),
        (["--fault", "dropped"], 2, "'dropped' is not of the form NAME=VALUE"),
        (["--latency-distribution", "normal"], 2, "latency_distribution"),
        (["--replay", "/nowhere.jsonl"], 3, "/nowhere.jsonl: No such file or directory"),
        (["--host", "192.0.2.1"], 3, "error:"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(
    arguments: list[str], code: int, said: str
) -> None:
    result = CliRunner().invoke(app, ["simulate-model", "--port", "0", *arguments])
    assert result.exit_code == code
    words = " ".join(result.output.replace("│", " ").split())
    assert said in words

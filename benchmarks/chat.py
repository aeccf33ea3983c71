"""What a chat call costs: penstock's client beside raw aiohttp and the official SDK, in one run.

Beside the client alone stand calls of an agent in a study: through ``ctx.model``, with each way of
keeping calls, and of the official SDK through ``transport()``.

The server is a process of its own and answers after 200 ms. Rounds of the contenders alternate, so
that their ratios hold on a noisy machine; a contender that is not installed is said to be missing.

    python benchmarks/chat.py [--in-flight 64 500 2000] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, NamedTuple

import anyio
import orjson

import penstock as ps
from penstock.models.chat_model import ChatMessage, ChatModel, CompletionRequest
from penstock.models.openai.client import OpenAIChatModel
from penstock.study.execution import KeepCalls
from penstock.study.spending import Price

Call = Callable[[], Awaitable[None]]
Contender = Callable[[str], AbstractAsyncContextManager[Call]]

REQUEST = CompletionRequest(
    model="some-model",
    messages=(
        ChatMessage(role="system", content="You solve problems. " * 10),
        ChatMessage(role="user", content="How many eggs are left? " * 40),
    ),
    temperature=0.7,
    max_tokens=400,
)
BODY = {
    "model": REQUEST.model,
    "messages": [
        {"role": message.role, "content": message.content} for message in REQUEST.messages
    ],
    "temperature": REQUEST.temperature,
    "max_tokens": REQUEST.max_tokens,
}
KEY = "some-key-0123456789"
_PRICE = Price(input_usd_per_million=1.0, output_usd_per_million=2.0)
SLOW_CALLS = 500
"""A contender that takes milliseconds a call need not make tens of thousands of them."""


class Measured(NamedTuple):
    cpu_ms: float
    calls_per_s: float


def main() -> None:
    arguments = _arguments()
    with chat_server() as base_url:
        report = {
            in_flight: anyio.run(_measure_all, base_url, in_flight, arguments.rounds)
            for in_flight in arguments.in_flight
        }

    for in_flight, measured in report.items():
        _print(in_flight, measured)

    missing = [name for name, (module, *_) in OPTIONAL.items() if not _is_installed(module)]
    if missing:
        print(f"not installed, so not measured: {', '.join(missing)}")

    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[64, 500, 2000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    return parser.parse_args()


@contextmanager
def chat_server(latency_s: float = 0.2) -> Iterator[str]:
    """Have a server of chat calls in a process of its own; give its address."""
    script = Path(__file__).with_name("chat_server.py")
    command = [sys.executable, str(script), "--latency-s", str(latency_s)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        process.stdin.close()


async def _measure_all(base_url: str, in_flight: int, rounds: int) -> dict[str, list[Measured]]:
    slow = {
        name: contender for name, (module, contender) in OPTIONAL.items() if _is_installed(module)
    }
    measured: dict[str, list[Measured]] = {name: [] for name in [*FAST, *slow]}
    for _ in range(rounds):
        for name, contender in FAST.items():
            calls = max(4 * in_flight, 2000)
            measured[name].append(await _measure(contender, base_url, in_flight, calls))

    for name, contender in slow.items():
        calls = max(in_flight, SLOW_CALLS)
        measured[name].append(await _measure(contender, base_url, in_flight, calls))

    return measured


async def _measure(contender: Contender, base_url: str, in_flight: int, calls: int) -> Measured:
    async with contender(base_url) as call:
        await _make(call, in_flight, in_flight)  # connections are made once a study
        gc.collect()
        begun, begun_cpu = perf_counter(), process_time()
        await _make(call, in_flight, calls)
        spent_s, cpu_s = perf_counter() - begun, process_time() - begun_cpu
        return Measured(cpu_s / calls * 1e3, calls / spent_s)


async def _make(call: Call, in_flight: int, calls: int) -> None:
    numbers = iter(range(calls))

    async def work() -> None:
        for _ in numbers:
            await call()

    async with anyio.create_task_group() as group:
        for _ in range(in_flight):
            group.start_soon(work)


@asynccontextmanager
async def raw_aiohttp(base_url: str) -> AsyncIterator[Call]:
    """Ask as one would by hand who looks at every microsecond, with penstock's time limits."""
    from aiohttp import (  # noqa: PLC0415 - as the client imports it
        ClientSession,
        ClientTimeout,
        DummyCookieJar,
        TCPConnector,
    )
    from yarl import URL  # noqa: PLC0415

    url = URL(f"{base_url}/chat/completions")
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

    async def call() -> None:
        async with session.post(url, data=orjson.dumps(BODY)) as response:
            answer = orjson.loads(await response.read())
            assert response.status == 200
            assert answer["choices"][0]["message"]["content"]

    async with ClientSession(
        connector=TCPConnector(limit=0),
        cookie_jar=DummyCookieJar(),
        headers=headers,
        timeout=ClientTimeout(total=60.0, connect=10.0),
    ) as session:
        yield call


@asynccontextmanager
async def _penstock(base_url: str) -> AsyncIterator[Call]:
    async with OpenAIChatModel(base_url, api_key=KEY) as model:
        yield _calls(model)


def _calls(model: ChatModel) -> Call:
    async def call() -> None:
        completion = await model.complete(REQUEST)
        assert completion.text

    return call


@asynccontextmanager
async def _official_sdk(base_url: str, *, backend: str | None = None) -> AsyncIterator[Call]:
    openai = import_module("openai")
    options: dict[str, Any] = {"http_client": getattr(openai, backend)()} if backend else {}

    async def call() -> None:
        answer = await client.chat.completions.create(**BODY)
        assert answer.choices[0].message.content

    async with openai.AsyncOpenAI(
        base_url=base_url, api_key=KEY, max_retries=0, **options
    ) as client:
        yield call


@asynccontextmanager
async def _in_a_run(base_url: str, keep_calls: KeepCalls) -> AsyncIterator[Any]:
    """Give what an agent of a study has of a model, while its run goes on."""
    is_there, is_over, held = anyio.Event(), anyio.Event(), list[Any]()

    async def agent(ctx: ps.RunContext) -> str:
        held.append(ctx.model("small"))
        is_there.set()
        await is_over.wait()
        return "done"

    with TemporaryDirectory() as folder:
        study = ps.Study(
            study_id="chat",
            title="Chat",
            models={
                "small": ps.Model(
                    base_url=base_url, model=REQUEST.model, max_tokens=400, price=_PRICE
                )
            },
            agents={"asker": agent},
            problems=(ps.Problem(problem_id="p", brief="Ask."),),
            output_dir=Path(folder) / "results",
        )
        runner = ps.StudyRunner(study, keep_calls=keep_calls, timeout_s=None)
        async with anyio.create_task_group() as group:
            group.start_soon(runner.run)
            await is_there.wait()
            yield held[0]
            is_over.set()


@asynccontextmanager
async def _through_ctx_model(base_url: str, *, keep_calls: KeepCalls) -> AsyncIterator[Call]:
    async with _in_a_run(base_url, keep_calls) as model:

        async def call() -> None:
            answer = await model.chat(REQUEST.messages, temperature=REQUEST.temperature)
            assert answer.text

        yield call


@asynccontextmanager
async def _sdk_through_transport(base_url: str) -> AsyncIterator[Call]:
    openai, httpx2 = import_module("openai"), import_module("httpx2")

    async def call() -> None:
        answer = await client.chat.completions.create(**BODY)
        assert answer.choices[0].message.content

    async with _in_a_run(base_url, "none") as model:
        http = httpx2.AsyncClient(transport=model.transport())
        async with openai.AsyncOpenAI(
            base_url=model.base_url, api_key="-", max_retries=0, http_client=http
        ) as client:
            yield call


FAST: dict[str, Contender] = {
    "raw aiohttp": raw_aiohttp,
    "penstock": _penstock,
    **{
        f"ctx.model, keep_calls: {way}": partial(_through_ctx_model, keep_calls=way)
        for way in ("none", "usage", "full")
    },
}
OPTIONAL: dict[str, tuple[str, Contender]] = {
    "openai SDK": ("openai", _official_sdk),
    "openai SDK, transport()": ("openai", _sdk_through_transport),
    "openai SDK on aiohttp": (
        "openai",
        partial(_official_sdk, backend="DefaultAioHttpClient"),
    ),
}


def _is_installed(module: str) -> bool:
    return find_spec(module) is not None


def _print(in_flight: int, measured: dict[str, list[Measured]]) -> None:
    print(f"\n{in_flight:,} in flight, 200 ms a call")
    print(f"{'':28}{'CPU ms/call':>12}{'ratio':>8}{'calls/s':>10}")
    raw = median(each.cpu_ms for each in measured["raw aiohttp"])
    for name, rounds in measured.items():
        cpu_ms = median(each.cpu_ms for each in rounds)
        calls_per_s = median(each.calls_per_s for each in rounds)
        print(f"{name:28}{cpu_ms:12.3f}{cpu_ms / raw:8.2f}{calls_per_s:10,.0f}")


if __name__ == "__main__":
    main()

"""What a chat call of an agent in a durable study costs, and how soon a gate lets calls through.

CPU of a call of an agent that asks once and answers with what it was told: its run with all that is
kept of it, its gate, budget and prices. By hand: the same request with raw aiohttp under the same
time limits, so many at once, and nothing kept. The server is a process of its own and answers after
200 ms.

The second part is by the clock: 2,000 calls that begin together through a gate whose
``max_in_flight`` is declared to be as many, of a server that answers after 3 s, beside those of raw
aiohttp.

    python benchmarks/chat_study.py [--in-flight 64 500 2000] [--rounds 2] [--calls 2000]
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - what one would write by hand
import gc
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import NamedTuple

from chat import REQUEST, chat_server, raw_aiohttp
from figures import Figure, options, report
from measure import in_turns
from studies import run_alone

import penstock as ps
from penstock.events import StudyFinished
from penstock.running.garbage import relaxed_gc
from penstock.study.execution import KeepCalls
from penstock.study.spending import EndpointLimits, Price

PRICE = Price(input_usd_per_million=1.0, output_usd_per_million=2.0)
TARGETS: dict[KeepCalls, float] = {"none": 2.2, "full": 2.5}


class Spent(NamedTuple):
    cpu_us: float
    clock_s: float


def main() -> None:
    parser = options(__doc__, rounds=2, calls=2_000)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[64, 500, 2000])
    arguments = parser.parse_args()
    with chat_server() as url:
        figures = [
            figure
            for in_flight in arguments.in_flight
            for figure in of_calls(url, in_flight, arguments.rounds)
        ]

    with chat_server(latency_s=3.0) as url:
        figures.append(slow_start(url, arguments.calls))

    report("chat_study", figures, arguments)


def of_calls(url: str, in_flight: int, rounds: int) -> Iterator[Figure]:
    calls = max(4 * in_flight, 2_000)

    def cpu_us(keep_calls: KeepCalls | None) -> float:
        if keep_calls is None:
            return _by_hand(url, calls, in_flight).cpu_us

        return _study(url, calls, in_flight, keep_calls=keep_calls).cpu_us

    contenders: tuple[KeepCalls | None, ...] = (None, "none", "full")
    cpu_us("none")  # imports what it uses
    measured = {name: median(each) for name, each in in_turns(contenders, cpu_us, rounds).items()}
    for keep_calls, at_most_x in TARGETS.items():
        name = f"chat agent at {in_flight:,}, keep_calls: {keep_calls}"
        ours, by_hand = measured[keep_calls], measured[None]
        yield Figure(name, ours, "µs/call", by_hand, at_most_x=at_most_x)


def slow_start(url: str, calls: int) -> Figure:
    by_hand_s = _by_hand(url, calls, calls).clock_s
    ours_s = _study(url, calls, calls, keep_calls="none").clock_s
    name = f"{calls:,} calls of 3 s through a gate of max_in_flight {calls:,}"
    return Figure(name, ours_s, "s", by_hand_s, at_most_x=1.3)


def _by_hand(url: str, calls: int, in_flight: int) -> Spent:
    async def every() -> Spent:
        numbers = iter(range(calls))

        async def ask() -> None:
            for _ in numbers:
                await call()

        async with raw_aiohttp(url) as call:
            gc.collect()
            begun, begun_cpu = perf_counter(), process_time()
            await asyncio.gather(*(ask() for _ in range(in_flight)))
            return Spent((process_time() - begun_cpu) / calls * 1e6, perf_counter() - begun)

    with relaxed_gc():
        return asyncio.run(every())


async def _asks(ctx: ps.RunContext) -> str:
    answer = await ctx.model("small").chat(REQUEST.messages, temperature=REQUEST.temperature)
    return answer.text


def _study(url: str, calls: int, in_flight: int, *, keep_calls: KeepCalls) -> Spent:
    model = ps.Model(base_url=url, model=REQUEST.model, max_tokens=400, price=PRICE)
    with TemporaryDirectory() as folder:
        study = ps.Study(
            study_id="chat",
            title="Chat",
            models={"small": model},
            limits={url: EndpointLimits(max_in_flight=in_flight)},
            agents={"asker": _asks},
            problems=(ps.Problem(problem_id="p", brief="Ask."),),
            replicates=calls,
            output_dir=Path(folder) / "results",
        )
        make = partial(ps.StudyRunner, study, concurrency=in_flight, show_progress=False)
        runner = make(keep_calls=keep_calls, timeout_s=None)
        spent: list[Spent] = []
        gc.collect()
        begun, begun_cpu = perf_counter(), process_time()

        @runner.on(StudyFinished)
        def note(_: StudyFinished) -> None:
            cpu_us = (process_time() - begun_cpu) / calls * 1e6
            spent.append(Spent(cpu_us, perf_counter() - begun))

        summary = run_alone(runner.run)
        assert summary.succeeded == calls
        return spent[0]


if __name__ == "__main__":
    main()

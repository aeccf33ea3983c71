"""What calls through ``ctx.model`` cost, and what keeping them does: CPU a call, and bytes.

Agents talk with the server of `chat.py` for twenty turns each. Rounds with ``keep_calls: none``,
``usage`` and ``full`` alternate, so that their ratios hold on a noisy machine. Bytes are those by
which the store of ``full`` is larger than that of ``none``, for each byte of text that was said.

    python benchmarks/conversations.py [--runs 200] [--in-flight 100] [--rounds 3]
"""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Literal, NamedTuple

import anyio
from chat import chat_server

import penstock as ps

TURNS = 20
WAYS: Sequence[Literal["none", "usage", "full"]] = ("none", "usage", "full")
WORDS = ("first", "then", "because", "total", "remains", "number", "given", "changed")
SAID = "SELECT coalesce(sum(length(CAST(text ->> '$.content' AS BLOB))), 0) FROM content"


class Measured(NamedTuple):
    cpu_ms: float
    calls_per_s: float
    store_bytes: int
    text_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, list[Measured]] = {way: [] for way in WAYS}
    with chat_server() as base_url:
        for _ in range(options.rounds):
            for way in WAYS:
                found[way].append(anyio.run(_measured, base_url, way, options))

    print(f"{options.runs:,} conversations of {TURNS} turns, {options.in_flight:,} in flight")
    print(f"{'keep_calls':12}{'CPU ms/call':>12}{'ratio':>8}{'calls/s':>10}")
    least = median(each.cpu_ms for each in found["none"])
    for name, rounds in found.items():
        cpu_ms = median(each.cpu_ms for each in rounds)
        calls_per_s = median(each.calls_per_s for each in rounds)
        print(f"{name:12}{cpu_ms:12.3f}{cpu_ms / least:8.2f}{calls_per_s:10,.0f}")

    kept = found["full"][0].store_bytes - found["none"][0].store_bytes
    print(f"bytes for each byte of text: {kept / found['full'][0].text_bytes:.2f}")


async def _talk(ctx: ps.RunContext) -> str:
    """Talk for twenty turns, in words of the run's own."""
    model, random = ctx.model("small"), Random(ctx.seed)
    messages: list[dict[str, Any]] = []
    for _ in range(TURNS):
        said = " ".join(random.choices(WORDS, k=150))
        messages.append({"role": "user", "content": said})
        answer = await model.chat(messages)
        messages.append({"role": "assistant", "content": answer.text})

    return "done"


async def _measured(
    base_url: str, way: Literal["none", "usage", "full"], options: argparse.Namespace
) -> Measured:
    with TemporaryDirectory() as folder:
        study = ps.Study(
            study_id="conversations",
            title="Conversations",
            models={"small": ps.Model(base_url=base_url, model="some-model", max_tokens=400)},
            agents={"talker": _talk},
            problems=(ps.Problem(problem_id="p", brief="Talk."),),
            replicates=options.runs,
            output_dir=Path(folder) / "results",
        )
        runner = ps.StudyRunner(study, concurrency=options.in_flight, keep_calls=way)
        begun, begun_cpu = perf_counter(), process_time()
        summary = await runner.run()
        spent_s, cpu_s = perf_counter() - begun, process_time() - begun_cpu
        assert summary.succeeded == options.runs
        path = runner.output_dir / "study.sqlite"
        with closing(sqlite3.connect(path)) as store:
            ((text_bytes,),) = store.execute(SAID)

        calls = options.runs * TURNS
        return Measured(cpu_s / calls * 1e3, calls / spent_s, path.stat().st_size, text_bytes)


if __name__ == "__main__":
    main()

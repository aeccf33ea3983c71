"""What goes wrong in a soak: agents that fail in many ways, subscribers that come, go and lag."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

import penstock as ps
from penstock.errors import SkipRun

__all__ = ["Faults"]


class Abrupt(BaseException):
    """An exception that is no Exception."""


class UnprintableError(Exception):
    """An error that fails again when it is told."""

    def __str__(self) -> str:
        raise ValueError("told badly")


# Not KeyboardInterrupt: it is the person who runs the study, and stops it.
ODD = (Abrupt, SystemExit, UnprintableError)
PROVIDER_FAULTS = {
    "rate_limited": 0.0002,  # each halves how many calls may be in flight, for a while
    "server_error": 0.02,
    "dropped": 0.02,
    "cut_off": 0.02,
    "silent": 0.002,
    "stalled": 0.002,
    "slow_drip": 0.01,
    "malformed_json": 0.02,
    "truncated_json": 0.01,
    "empty_answer": 0.01,
    "missing_usage": 0.01,
}
"""What the simulated chat model does wrong, as shares of its requests."""

LAG = 20_000
"""How many events a subscriber hears before it falls behind."""


class Faults:
    """Agents and subscribers that misbehave.

    Args:
        answer_s: How long an answer takes, in seconds; all other times follow from it.
    """

    def __init__(self, answer_s: float) -> None:
        self.answer_s = answer_s
        self.timeout_s = 2.5 * answer_s

    async def odd(self, ctx: ps.RunContext) -> dict[str, object]:
        """Answer; one run in four goes wrong at first, some for good."""
        await anyio.sleep(self.answer_s * (0.5 + float(ctx.rng.random())))
        ctx.record(cost_usd=0.001, input_tokens=100, output_tokens=20)
        ctx.observe("tool_call", "looked it up")
        match ctx.seed % 40:
            case 0 | 1 | 2 | 3 | 4 | 5 if ctx.attempt == 1:
                raise ConnectionError("the first time it often fails")
            case 6:
                await anyio.sleep_forever()
            case 7:
                raise ODD[ctx.seed // 40 % len(ODD)]
            case 8:
                return {"kept": object()}  # it cannot be
            case 9:
                raise SkipRun("not today")
            case 10:
                return {"text": "a long answer " * 10_000}

        return {"text": "an answer " * 40}

    def threaded(self, ctx: ps.RunContext) -> str:
        """Answer from a worker thread."""
        time.sleep(self.answer_s / 100)
        if ctx.seed % 20 == 0 and ctx.attempt == 1:
            raise ConnectionError("the first time it often fails")

        return "from a thread"

    async def fall_behind(self, stream: ps.EventStream) -> None:
        """Hear everything, and now and then fall so far behind that new runs wait."""
        heard = 0
        async for _ in stream:
            heard += 1
            if heard % LAG == 0:
                await anyio.sleep(self.answer_s)

    async def fail(self, stream: ps.EventStream) -> None:
        """Fail at the first event, and be switched off."""
        async for event in stream:
            raise ValueError(f"no taste for {event}")

    async def watch(self, runner: ps.StudyRunner) -> None:
        """Come, read too slowly, lose events, go; again and again."""
        while True:
            with runner.watch(size=64) as stream, anyio.move_on_after(self.answer_s):
                async for _ in stream:
                    await anyio.sleep(self.answer_s / 100)

            await anyio.sleep(self.answer_s / 10)

    async def change_limit(self, runner: ps.StudyRunner) -> None:
        """Halve how many runs may be in flight, and double it again."""
        full = runner.concurrency
        while True:
            for limit in (full // 2, full):
                await anyio.sleep(5 * self.answer_s)
                runner.concurrency = limit

    @contextmanager
    def provider(self) -> Iterator[str]:
        """Serve a simulated chat model in a process of its own; gives its base URL."""
        command = [sys.executable, "-c", "from penstock.cli import main; main()", "simulate-model"]
        latency = {"latency": self.answer_s, "jitter": self.answer_s / 2, "drip": self.answer_s}
        for name, value in {"port": 0, "stall": 30 * self.answer_s, **latency}.items():
            command += [f"--{name}", str(value)]

        for name, share in PROVIDER_FAULTS.items():
            command += ["--fault", f"{name}={share}"]

        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            try:
                assert process.stdout is not None
                yield process.stdout.readline().strip()
            finally:
                process.terminate()

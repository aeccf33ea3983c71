"""What a provider bills is never more than the budget, whatever happens to the study that asks.

Each history is a study with a budget that is run in several sessions while its provider fails and
the study is interrupted, interrupted twice or killed at the arrival of some request. The bill is
the simulated provider's own count. ``PENSTOCK_BILLS`` says how many histories are made: a few in
``make test``, 200 in ``make bills``.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from random import Random
from subprocess import DEVNULL, PIPE, Popen

import anyio
import pytest

import penstock as ps
from penstock.models.chat_model import Usage
from penstock.models.gate.prices import Prices
from penstock.simulator import Fault, SimulatedProvider, SimulatorOptions
from penstock.simulator.exchange import Arrival, Reply
from penstock.study.spending import Price
from tests.children import COMMAND_LINE, start_python
from tests.faults.conftest import Prove, environment
from tests.models.studies import chat, chat_study

pytestmark = pytest.mark.anyio

HISTORIES = int(os.environ.get("PENSTOCK_BILLS", "4"))
MOST_TOKENS = 20
PRICE = {"input_usd_per_million": 1000.0, "output_usd_per_million": 10_000.0}
ENDS = ("natural", "interrupt", "twice", "kill", "kill")
FAULTS = (
    Fault.RATE_LIMITED,
    Fault.SERVER_ERROR,
    Fault.OVERLOADED,
    Fault.DROPPED,
    Fault.CUT_OFF,
    Fault.STALLED,
    Fault.SILENT,
    Fault.MALFORMED_JSON,
    Fault.TRUNCATED_JSON,
    Fault.EMPTY_ANSWER,
    Fault.MISSING_USAGE,
    Fault.CONTENT_FILTER,
)


IN_HAND = """
async def ask_twice(ctx):
    model = ctx.model("some-model")
    first = await model.chat(ctx.problem.brief)
    second = await model.chat(f"Are you sure of {first.text}?")
    return second.text
"""


class Bill:
    """What a simulated provider charges: each answer that it makes, whether it is read or not.

    Args:
        provider: The provider; it decides on a reply when the request has come.
        price: What it charges for a million tokens.
    """

    def __init__(self, provider: SimulatedProvider, price: Mapping[str, float] = PRICE) -> None:
        self._prices = Prices({"some-model": Price(**price)})
        self.usd = 0.0
        self.requests = 0
        self.came = 0
        self.when: Callable[[int], None] = lambda _number: None
        self._reply = provider._simulation.reply
        provider._simulation.reply = self.reply  # type: ignore[method-assign]

    def reply(self, arrival: Arrival) -> Reply:
        reply = self._reply(arrival)
        charged = Usage(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens)
        self.usd += self._prices.cost_usd("some-model", charged) or 0.0
        self.requests += 1
        self.came += 1
        self.when(self.came)
        return reply

    def begin(self, when: Callable[[int], None]) -> None:
        """Count what comes from now on for itself."""
        self.came, self.when = 0, when


async def session_of(
    path: Path,
    begin: Callable[[Callable[[int], None]], None],
    at: int | None,
    number: signal.Signals,
    *arguments: str,
) -> int | None:
    """Run a study in a process of its own, which is sent a signal at the arrival of a request.

    Args:
        path: The study.
        begin: Told what to call with the number of each request that arrives.
        at: At which of them; None for a session that ends by itself.
        number: The signal; an interrupt is sent again when it was noticed.
        *arguments: What else the command line says.
    """
    with start(path, "--no-progress", "--max-failures", "100000", *arguments) as process:
        came = 0

        def when(count: int) -> None:
            nonlocal came
            came = count
            if count == at:
                process.send_signal(number)

        begin(when)
        said, is_told = "", number is not signal.SIGINT or at is None
        async for line in lines_of(process):
            said += line
            if not is_told and at is not None and came >= at and said.strip():
                is_told = True
                process.send_signal(signal.SIGINT)

        assert "Traceback" not in said, said
        return process.returncode


def start(path: Path, *arguments: str) -> Popen[str]:
    command = (*COMMAND_LINE, "run", path, *arguments)
    return start_python(*command, env=environment(), stdout=DEVNULL, stderr=PIPE)


async def lines_of(process: Popen[str]) -> AsyncIterator[str]:
    """Read what a process says, line by line, until it has ended."""
    assert process.stderr is not None
    while line := await anyio.to_thread.run_sync(process.stderr.readline):
        yield line

    await anyio.to_thread.run_sync(process.wait)


def options_of(random: Random) -> SimulatorOptions:
    faults = random.sample(FAULTS, random.randint(0, 5))
    return SimulatorOptions(
        seed=random.randrange(1000),
        latency_s=0.05,
        jitter_s=0.05,
        stall_s=3600.0,
        answers=("x" * 200, "a short one"),
        faults={fault: 0.6 * random.random() / len(faults) for fault in faults},
        retry_after_s=0.02,
        retry_after="fraction",
    )


def write_study(folder: Path, url: str, budget_usd: float, random: Random) -> Path:
    judge = {
        "base_url": url,
        "model": "judge-model",
        "max_tokens": MOST_TOKENS,
        "prompt": "How good is {{ answer }}?",
        "choices": {"a": 1},
        "timeout_s": 0.5,
    }
    agent = chat(url, max_tokens=MOST_TOKENS, timeout_s=0.5, stream=random.random() < 0.5)
    study = chat_study(
        folder,
        agent,
        budget={"max_cost_usd": budget_usd},
        prices={"some-model": PRICE, "judge-model": PRICE},
        evaluators={"grade": {"judge": judge}} if random.random() < 0.5 else {},
        problems=[ps.Problem(problem_id=f"p{number}", brief=f"{number}?") for number in range(20)],
        run_budget={"replicates": 3},
        response_cache="cache.sqlite" if random.random() < 0.3 else None,
    )
    declared = study.to_dict()
    if random.random() < 0.4:  # an agent in Python, that asks the same model twice
        (folder / "agents.py").write_text(IN_HAND)
        declared["models"] = {"some-model": agent["chat"]}
        declared["agents"] = {"gpt": "agents.py:ask_twice"}

    path = folder / "study.json"
    path.write_text(json.dumps(declared))
    return path


async def a_session(path: Path, bill: Bill, random: Random) -> int | None:
    """Run the study once, and end it as it comes."""
    end, at = random.choice(ENDS), random.randint(1, 40)
    arguments = [
        *("--no-progress", "--retries", str(random.randint(0, 3))),
        *("--concurrency", str(random.choice([2, 10, 40])), "--max-failures", "100000"),
        *(("--timeout", "0.2") if random.random() < 0.5 else ()),
    ]
    with start(path, *arguments) as process:
        bill.came = 0
        bill.when = lambda number: send_at(process, end, number, at)
        said, is_interrupted = "", False
        async for line in lines_of(process):
            said += line
            if end == "twice" and not is_interrupted and bill.came >= at and said.strip():
                is_interrupted = True
                process.send_signal(signal.SIGINT)

        assert "Traceback" not in said, said
        return process.returncode


def send_at(process: Popen[str], end: str, number: int, at: int) -> None:
    if number == at and end != "natural":
        process.send_signal(signal.SIGKILL if end == "kill" else signal.SIGINT)


@pytest.mark.field("studies-M3")
@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_a_provider_never_bills_more_than_the_budget_whatever_happens(
    seed: int, tmp_path: Path, proved: Prove
) -> None:
    random = Random(seed)
    budget_usd = random.uniform(3, 15)
    async with SimulatedProvider(options_of(random)) as provider:
        bill = Bill(provider)
        path = write_study(tmp_path, provider.url, budget_usd, random)
        for _ in range(random.randint(2, 5)):
            code = await a_session(path, bill, random)
            assert bill.usd <= budget_usd + 1e-6, f"exit {code}"
            told_usd, _tokens = ps.StudyResult.open(tmp_path / "results").summary.committed
            assert bill.usd <= told_usd + 1e-6, f"exit {code}: what is told is too little"

    proved(
        "a provider that fails, a study that is interrupted and killed, and a budget",
        "on the provider's own count, no more is billed than the budget, and no more than is told",
        "{histories:.0f} histories, {requests:,.0f} requests, {billed:.0f} of {budget:.0f} dollars",
        histories=1,
        requests=bill.requests,
        billed=bill.usd,
        budget=budget_usd,
    )

"""Every fault of a provider through a real study: what is recorded is what the server did.

``PENSTOCK_SOAK=1`` in the environment also runs what takes minutes: each fault alone at 1,000 in
flight, and a limit that is held over several minutes.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import penstock as ps
from penstock._base.aimd import AdaptiveLimit
from penstock.simulator import Fault, SimulatedProvider, SimulatorOptions
from penstock.study.policies import RunBudget

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]
soak = pytest.mark.skipif("PENSTOCK_SOAK" not in os.environ, reason="PENSTOCK_SOAK=1 runs it")

CLASSES: dict[str | None, str | None] = {
    None: None,
    "rate_limited": "RateLimitedError",
    "unauthorized": "AuthenticationError",
    "bad_request": "BadRequestError",
    "context_too_long": "ContextTooLongError",
    "prompt_filter": "ContentFilteredError",
    "server_error": "OverloadedError",
    "unavailable": "OverloadedError",
    "overloaded": "OverloadedError",
    "dropped": "ModelConnectionError",
    "silent": "ModelTimeoutError",
    "cut_off": "ModelConnectionError",
    "stalled": "ModelTimeoutError",
    "slow_drip": None,
    "malformed_json": "MalformedResponseError",
    "truncated_json": "MalformedResponseError",
    "empty_answer": "MalformedResponseError",
    "missing_usage": None,
    "content_filter": "ContentFilteredError",
    "refusal": "RefusalError",
    "wrong_shape": "MalformedResponseError",
    "error_in_200": "RateLimitedError",
    "error_in_stream": "RateLimitedError",
    "broken_answer": "OverloadedError",
    "unknown_ending": None,
    "tool_call": None,
    "paused": None,  # chat completions have no word for it
}
RETRIED = {
    "RateLimitedError",
    "OverloadedError",
    "ModelConnectionError",
    "ModelTimeoutError",
    "MalformedResponseError",
}
"""What may be tried again; a run that failed otherwise has failed."""

ALONE = [fault for fault in Fault if fault is not Fault.UNAUTHORIZED]
ATTEMPTS = 6
CUTTING = {
    *(Fault.RATE_LIMITED, Fault.UNAVAILABLE, Fault.OVERLOADED),
    *(Fault.ERROR_IN_200, Fault.ERROR_IN_STREAM),  # which says that it is a rate
}
"""What makes the gate let fewer in: with these a limit of a thousand in flight is not used up."""

WAITED_FOR = {Fault.SILENT, Fault.STALLED}
"""What ends with a timeout."""


@pytest.fixture
def without_slow_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gate have all in flight from the beginning, or the test would wait for it."""
    defaults = {**(AdaptiveLimit.__init__.__kwdefaults__ or {}), "initial": 1000}
    monkeypatch.setattr(AdaptiveLimit.__init__, "__kwdefaults__", defaults)


class Attempt(NamedTuple):
    run_id: str
    number: int
    status: str
    error_kind: str | None
    is_final: bool
    input_tokens: int
    cost_usd: float


def study_at(url: str, runs: int, **fields: Any) -> ps.Study:
    """One chat agent; the name of the model tells the server which run is asking."""
    chat = {
        "base_url": url,
        "model": "{{ run.run_id }}",
        "prompt": "{{ problem.brief }} ({{ run.replicate }})",
        "max_tokens": 60,
        "timeout_s": 30.0,
    }
    given: dict[str, Any] = {
        "study_id": "faults",
        "title": "Faults",
        "problems": [ps.Problem(problem_id="p", brief="How many?")],
        "agents": {"simulated": {"chat": {**chat, **fields.pop("chat", {})}}},
        "run_budget": RunBudget(replicates=runs),
    }
    return ps.Study.model_validate(given | fields)


async def run(study: ps.Study, folder: Path, in_flight: int) -> tuple[Any, list[Attempt]]:
    runner = ps.StudyRunner(
        study,
        output_dir=folder,
        parallelism=in_flight,
        retry=ps.Retry(attempts=ATTEMPTS, wait_s=0.02, max_wait_s=0.05),
        show_progress=False,
    )
    summary = await runner.run()
    query = (
        "SELECT run_id, attempt, status, error_kind, final, input_tokens, cost_usd FROM attempts "
        "ORDER BY run_id, attempt"
    )
    with closing(sqlite3.connect(folder / "study.sqlite")) as connection:
        return summary, [Attempt(*row) for row in connection.execute(query)]


@asynccontextmanager
async def serving(options: SimulatorOptions) -> AsyncIterator[str]:
    async with SimulatedProvider(options) as provider:
        yield provider.url


def served_by(log: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in log.read_text().splitlines()]
    return sorted(records, key=lambda record: int(record["number"]))


def most_in_flight(records: list[dict[str, Any]]) -> int:
    changes = sorted(
        change
        for record in records
        for change in ((record["arrived_s"], 1), (record["answered_s"], -1))
    )
    return max(accumulate(change for _, change in changes))


async def run_with(
    faults: dict[str, float],
    folder: Path,
    in_flight: int,
    runs: int,
    *,
    latency_s: float = 0.02,
    timeout_s: float = 0.5,
    **options: Any,
) -> tuple[Any, list[Attempt], list[dict[str, Any]]]:
    """Run a study at a provider with these faults, and hold what both have recorded together."""
    log = folder / "log.jsonl"
    given = {
        "faults": faults,
        "latency_s": latency_s,
        "retry_after": "fraction",
        "retry_after_s": 0.05,
        "drip_s": 0.1,
        "log": log,
    }
    async with serving(SimulatorOptions.model_validate(given | options)) as url:
        limits = {url: {"max_in_flight": in_flight}}
        study = study_at(url, runs, limits=limits, chat={"timeout_s": timeout_s})
        summary, attempts = await run(study, folder / "study", in_flight)

    records = served_by(log)
    served = defaultdict(list)
    for record in records:
        served[record["model"]].append(record)

    recorded = defaultdict(list)
    for attempt in attempts:
        recorded[attempt.run_id].append(attempt)

    assert recorded.keys() == served.keys()
    for run_id, tries in recorded.items():
        faults_met = [record["fault"] for record in served[run_id]]
        assert [attempt.error_kind for attempt in tries] in list(told_of(faults_met))
        assert [attempt.number for attempt in tries] == list(range(1, len(tries) + 1))
        assert [attempt.is_final for attempt in tries] == [0] * (len(tries) - 1) + [1]
        assert all(attempt.error_kind in RETRIED for attempt in tries[:-1])
        last = tries[-1]
        assert last.status == ("success" if last.error_kind is None else "failed")
        assert last.error_kind not in RETRIED or len(tries) == ATTEMPTS

    return summary, attempts, records


def told_of(faults_met: list[str | None]) -> Iterator[list[str | None]]:
    """Give what attempts may tell of the faults that their requests met.

    A refusal is waited for within its attempt. A connection that is closed before an answer begins
    is asked again within it, where it has served before; where it is new, the attempt fails.
    """
    if not faults_met:
        yield []
        return

    fault, *others = faults_met
    for rest in told_of(others):
        if fault not in CUTTING:
            yield [CLASSES[fault], *rest]

        if fault in CUTTING or fault == Fault.DROPPED:
            yield rest


@pytest.mark.parametrize("fault", ALONE)
async def test_a_fault_alone_is_tried_again_once_where_that_may_help_and_else_fails(
    fault: str, tmp_path: Path
) -> None:
    summary, attempts, _ = await run_with({fault: 1.0}, tmp_path, 1, 2, fault_attempts=1)
    is_retried = CLASSES[fault] in RETRIED and fault not in CUTTING
    in_attempt = fault in CUTTING or CLASSES[fault] is None
    assert len(attempts) == (4 if is_retried else 2)
    assert summary.succeeded == (2 if is_retried or in_attempt else 0)


@pytest.mark.parametrize("fault", ALONE)
async def test_a_fault_alone_is_recorded_as_what_it_is_with_fifty_in_flight(
    fault: str, tmp_path: Path
) -> None:
    summary, attempts, _ = await run_with({fault: 0.3}, tmp_path, 50, 50)
    assert summary.succeeded + summary.failed == 50
    kinds = Counter(attempt.error_kind for attempt in attempts)
    assert kinds.keys() == {None} | ({CLASSES[fault]} if fault not in CUTTING else set())
    assert kinds[None] == summary.succeeded


@soak
@pytest.mark.parametrize("fault", ALONE)
@pytest.mark.usefixtures("without_slow_start")
async def test_a_fault_alone_is_recorded_as_what_it_is_with_a_thousand_in_flight(
    fault: str, tmp_path: Path
) -> None:
    summary, _, records = await run_with(
        {fault: 0.05}, tmp_path, 1000, 2000, latency_s=2.0, timeout_s=30.0
    )
    assert summary.succeeded + summary.failed == 2000
    assert most_in_flight(records) >= 800 or fault in CUTTING


@pytest.mark.parametrize(("in_flight", "runs"), [(1, 10), (50, 300), (1000, 1200)])
async def test_all_faults_together_lose_no_run_and_answer_none_twice(
    in_flight: int, runs: int, tmp_path: Path
) -> None:
    faults = {fault.value: 0.01 for fault in ALONE}
    summary, attempts, _ = await run_with(faults, tmp_path, in_flight, runs)
    assert summary.succeeded + summary.failed == runs
    assert sum(attempt.is_final for attempt in attempts) == runs
    if runs >= 1000:
        expected = {CLASSES[fault] for fault in (None, *ALONE)} - {"RateLimitedError"}
        assert {attempt.error_kind for attempt in attempts} == expected


@pytest.mark.usefixtures("without_slow_start")
async def test_a_thousand_are_really_in_flight_where_no_fault_says_that_it_is_too_much(
    tmp_path: Path,
) -> None:
    quick = [fault for fault in ALONE if fault not in CUTTING | WAITED_FOR]
    faults = {fault.value: 0.01 for fault in quick}
    summary, _, records = await run_with(faults, tmp_path, 1000, 1300, latency_s=2.0, timeout_s=20)
    assert summary.succeeded + summary.failed == 1300
    assert most_in_flight(records) >= 900


@pytest.mark.parametrize("in_flight", [1, 50, 1000])
async def test_a_refused_key_stops_the_study_at_once(in_flight: int, tmp_path: Path) -> None:
    summary, attempts, _ = await run_with({"unauthorized": 1.0}, tmp_path, in_flight, 2000)
    assert summary.stopped_because
    assert {attempt.error_kind for attempt in attempts} == {"AuthenticationError"}
    assert summary.failed <= in_flight
    assert summary.succeeded == 0


@pytest.mark.parametrize("fault", ["missing_usage", "slow_drip"])
async def test_an_answer_that_is_only_odd_is_kept_with_its_tokens(
    fault: str, tmp_path: Path
) -> None:
    summary, attempts, _ = await run_with({fault: 1.0}, tmp_path, 5, 5)
    assert summary.succeeded == 5
    assert all(attempt.input_tokens > 0 for attempt in attempts)


@pytest.mark.usefixtures("without_slow_start")
async def test_after_a_429_nobody_asks_until_the_pause_is_over(tmp_path: Path) -> None:
    log, pause_s, runs = tmp_path / "log.jsonl", 2.0, 1000
    options = SimulatorOptions(
        latency_s=0.8, faults_at={495: Fault.RATE_LIMITED}, retry_after_s=pause_s, log=log
    )
    async with serving(options) as url:
        study = study_at(url, runs, limits={url: {"max_in_flight": 500}})
        summary, attempts = await run(study, tmp_path / "study", 500)

    records = served_by(log)
    (refused,) = [record for record in records if record["status"] == 429]
    in_flight = [
        record
        for record in records
        if record["arrived_s"] <= refused["arrived_s"] < record["answered_s"]
    ]
    during = [
        record["arrived_s"] - refused["answered_s"]
        for record in records
        if 0 < record["arrived_s"] - refused["answered_s"] < pause_s
    ]
    assert len(in_flight) > 400, "the 429 came at full load"
    assert during == []
    assert summary.succeeded == runs
    assert len(attempts) == runs, "a refusal is waited for, and is not an attempt"


@pytest.mark.usefixtures("without_slow_start")
async def test_a_budget_holds_on_the_servers_own_count_with_a_thousand_in_flight(
    tmp_path: Path,
) -> None:
    prices = {"priced": {"input_usd_per_million": 1000.0, "output_usd_per_million": 4000.0}}
    log, runs = tmp_path / "log.jsonl", 2000
    options = SimulatorOptions(
        latency_s=0.8, faults={Fault.CUT_OFF: 0.02, Fault.SERVER_ERROR: 0.02}, log=log
    )
    async with serving(options) as url:
        common: dict[str, Any] = {"prices": prices, "limits": {url: {"max_in_flight": 1000}}}
        common["chat"] = {"model": "priced", "max_tokens": 40}
        trial, attempts = await run(study_at(url, 100, **common), tmp_path / "trial", 100)
        budget_usd = trial.cost_usd / 100 * runs / 2
        before = len(served_by(log))
        study = study_at(url, runs, **common, budget={"max_cost_usd": budget_usd})
        summary, attempts = await run(study, tmp_path / "study", 1000)

    records = served_by(log)[before:]
    tokens_in = sum(record["input_tokens"] for record in records)
    tokens_out = sum(record["output_tokens"] for record in records)
    spent_usd = (tokens_in * 1000 + tokens_out * 4000) / 1e6
    assert most_in_flight(records) >= 500, "some wait for what others have reserved"
    assert 0.9 * budget_usd < spent_usd <= budget_usd, (spent_usd, budget_usd)
    assert sum(attempt.cost_usd for attempt in attempts) <= budget_usd
    assert summary.is_out_of_budget
    assert summary.failed == 0
    assert summary.succeeded < runs


GSM8K = """\
study_id: gsm8k-over-http
title: GSM8K over HTTP
agents:
  6b_finetuning: {{chat: {{base_url: "{url}", model: 6b_finetuning, timeout_s: 5}}}}
  6b_verification: {{chat: {{base_url: "{url}", model: 6b_verification, timeout_s: 5}}}}
problems: {{file: {folder}/problems.jsonl, id: problem_id, brief: question, expected: answer}}
evaluators: {{correct: {{number: {{pattern: 'A:.*?(-?\\d[\\d,]*(?:\\.\\d+)?)\\D*$'}}}}}}
limits: {{"{url}": {{max_in_flight: 1000}}}}
"""

HARDSHIPS = {
    "rate_limited": 0.05,
    "server_error": 0.03,
    "dropped": 0.02,
    "malformed_json": 0.01,
    "stalled": 0.01,
}


@pytest.mark.usefixtures("without_slow_start")
@pytest.mark.parametrize("faults", [pytest.param({}, marks=soak, id="none"), HARDSHIPS])
async def test_gsm8k_over_http_gives_the_published_numbers_whatever_goes_wrong(
    faults: dict[str, float], gsm8k: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    given = {
        "replay": gsm8k / "recorded_answers.jsonl",
        "replay_problems": gsm8k / "problems.jsonl",
        "faults": faults,
        "retry_after": "mixed",
        "retry_after_s": 0.1,
        "log": log,
    }
    async with serving(SimulatorOptions.model_validate(given)) as url:
        file = tmp_path / "study.yaml"
        file.write_text(GSM8K.format(url=url, folder=gsm8k))
        summary, attempts = await run(ps.load_study(file), tmp_path / "study", 1000)

    query = (
        "SELECT agent_id, sum(metric_value), count(*), count(DISTINCT run_id) "
        "FROM evaluations JOIN runs USING (run_id) GROUP BY agent_id ORDER BY agent_id"
    )
    with closing(sqlite3.connect(tmp_path / "study" / "study.sqlite")) as connection:
        scores = connection.execute(query).fetchall()

    assert scores == [("6b_finetuning", 286, 1319, 1319), ("6b_verification", 515, 1319, 1319)]
    assert (summary.succeeded, summary.failed) == (2638, 0)
    kinds = Counter(attempt.error_kind for attempt in attempts if attempt.error_kind)
    met = Counter(record["fault"] for record in served_by(log) if record["fault"])
    told = Counter(CLASSES[fault] for fault in met.elements() if fault not in CUTTING)
    lost, told_lost = kinds.pop("ModelConnectionError", 0), told.pop("ModelConnectionError", 0)
    assert kinds == told
    assert 0 < lost < told_lost or not faults, "most are asked again on another connection"
    assert len(met) == (5 if faults else 0)


@soak
async def test_the_servers_own_limits_are_never_hit_and_nine_tenths_of_them_are_used(
    tmp_path: Path,
) -> None:
    rpm = 1200
    log = tmp_path / "log.jsonl"
    options = SimulatorOptions(latency_s=0.2, requests_per_minute=rpm, log=log)
    async with serving(options) as url:
        limits = {url: {"max_in_flight": 1000, "requests_per_minute": rpm}}
        await run(study_at(url, 3 * rpm, limits=limits), tmp_path / "study", 1000)

    records = served_by(log)
    assert {record["status"] for record in records} == {200}
    lasted_s = records[-1]["arrived_s"] - records[0]["arrived_s"]
    assert len(records) / lasted_s >= 0.9 * rpm / 60
